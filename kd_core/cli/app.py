"""``kd app``."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tomllib
from pathlib import Path

import click

from kd_core.errors import ConfigError
from kd_core.system import paths
from kd_core.system.process import is_loopback, local_address, python


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.option(
    "--host",
    help="Address to serve at: this machine alone (127.0.0.1), and another where a log-in is configured; a "
    "classroom, this machine's in the local network.",
)
@click.option("--classroom", is_flag=True, help="Only Learn, for everybody in the local network.")
@click.option(
    "--seats",
    type=click.IntRange(1, 1000),
    default=80,
    show_default=True,
    help="Browsers that a classroom lets in.",
)
def app(port: int, host: str | None, classroom: bool, seats: int) -> None:
    """Open the dashboard in the browser, or a classroom that others can join."""
    folder = paths.app_folder()
    script = folder / ("classroom.py" if classroom else "app.py")
    if not script.is_file():
        raise ConfigError(f"the dashboard is not in {folder}; install kd-studio again")
    options = (
        _classroom(port, host, seats)
        if classroom
        else _dashboard("127.0.0.1" if host is None else host, folder)
    )
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    command = python("streamlit", "run", str(script), "--server.port", str(port), *flags)
    if sys.platform == "win32":  # where a process that takes another's place leaves the terminal to itself
        sys.exit(subprocess.call(command))
    # Streamlit's process takes the place of this one, so that signals reach it.
    os.execv(sys.executable, command)


def _dashboard(host: str, folder: Path) -> dict[str, str]:
    options = {"server.address": host}
    if not is_loopback(host):
        if not _has_log_in(folder):
            raise ConfigError(
                f"--host {host} would open the dashboard to everybody on the network; first configure a "
                "log-in, in a section [auth] of .streamlit/secrets.toml, or leave --host out"
            )
        options |= {"client.showErrorDetails": "none", "server.allowedHosts": "*"}
    return options


def _classroom(port: int, host: str | None, seats: int) -> dict[str, str]:
    """Says where it is. The presenter's word goes by the environment: others see a command line."""
    host = local_address() if host is None else host
    if host is None:
        raise ConfigError(
            "this machine is in no network that others could reach it by; join one, or give its address "
            "with --host (127.0.0.1 to rehearse alone)"
        )
    if host in ("", "0.0.0.0", "::"):
        raise ConfigError(
            f"--host {host} is no address to type: give this machine's in the room's network, or leave it out"
        )
    path, word = _pronounceable(5), secrets.token_urlsafe(16)
    os.environ["KD_CLASSROOM_WORD"], os.environ["KD_CLASSROOM_SEATS"] = word, str(seats)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/{path}"
    click.echo(f"For you:       {address}/present/{word}")
    click.echo("               Open it before others see your screen: whoever has it can ask and reveal.")
    click.echo(f"For everybody: {address}")
    click.echo(f"               Your page shows it as a QR code. {seats} seats; Ctrl-C ends the classroom.")
    return {
        "server.address": host,
        "server.baseUrlPath": path,
        "server.allowedHosts": host,
        "server.headless": "true",
        "logger.hideWelcomeMessage": "true",  # it would repeat the address, below what is said here
        "client.showErrorDetails": "none",
        "browser.serverAddress": host,
    }


def _pronounceable(syllables: int) -> str:
    """A random word that can be typed from a wall: 6 bits a syllable."""
    return "".join(secrets.choice("bdfgklmnprstvz") + secrets.choice("aeiou") for _ in range(syllables))


def _has_log_in(folder: Path) -> bool:
    """Whether one of the files that Streamlit reads its secrets from has a section ``[auth]``."""
    for place in (Path.home(), Path.cwd(), folder):
        try:
            secrets = tomllib.loads((place / ".streamlit" / "secrets.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if secrets.get("auth"):
            return True
    return False
