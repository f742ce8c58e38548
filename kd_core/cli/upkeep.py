"""``kd clean`` and ``kd app``."""

from __future__ import annotations

import os
import sys
import tomllib
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import click

from kd_core import paths
from kd_core.cli.output import as_json, console, print_json, table
from kd_core.errors import ConfigError
from kd_core.network import is_loopback
from kd_core.words import megabytes


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@as_json
def clean(dry_run: bool, as_json: bool) -> None:
    """Show what takes space, and remove what no run needs any more."""
    from kd_core import cleaning
    from kd_core.store import Store

    items = cleaning.inventory(Store())
    freed = 0 if dry_run else cleaning.clean(items)
    spare = sum(item.bytes for item in items if item.removable)
    if as_json:
        found = [asdict(item) | {"path": str(item.path)} for item in items]
        return print_json({"items": found, "removable_bytes": spare, "freed_bytes": freed})
    kinds: dict[str, list[cleaning.Item]] = defaultdict(list)
    for item in items:
        kinds[item.kind].append(item)
    rows = [
        (
            cleaning.KINDS.get(kind, kind),
            f"{len(found):,}",
            megabytes(sum(item.bytes for item in found) / 1e6),
            megabytes(sum(item.bytes for item in found if item.removable) / 1e6),
        )
        for kind, found in kinds.items()
    ]
    out = console(sys.stdout)
    out.print(str(paths.home()), soft_wrap=True)
    if not items:
        out.print("Nothing takes space yet.")
        return None
    out.print(table(("", "Folders", "Size", "Not needed"), rows, numbers=(1, 2, 3)))
    if dry_run:
        out.print(f"\nkd clean would free {megabytes(spare / 1e6)}.")
    else:
        out.print(f"\nFreed {megabytes(freed / 1e6)}.")
    return None


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
