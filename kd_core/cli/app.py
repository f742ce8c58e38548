"""``kd app``."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

import click

from kd_core.errors import ConfigError
from kd_core.system import paths
from kd_core.system.process import is_loopback


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Others only with a log-in configured.")
def app(port: int, host: str) -> None:
    """Open the dashboard in the browser."""
    folder = paths.app_folder()
    if not (folder / "app.py").is_file():
        raise ConfigError(f"the dashboard is not in {folder}; install kd-studio again")
    options = {"server.port": str(port), "server.address": host}
    if not is_loopback(host):
        if not _has_log_in(folder):
            raise ConfigError(
                f"--host {host} would open the dashboard to everybody on the network; first configure a "
                "log-in, in a section [auth] of .streamlit/secrets.toml, or leave --host out"
            )
        options |= {"client.showErrorDetails": "none", "server.allowedHosts": "*"}
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    # Streamlit's process takes the place of this one, so that signals reach it.
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(folder / "app.py"), *flags])


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
