"""``kd index``."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from kd_core.cli.output import as_json, console, print_json
from kd_core.system.formatting import counted


@click.command()
@click.option("--rebuild", "anew", is_flag=True, help="Add what it lacks; make a broken one anew.")
@as_json
def index(anew: bool, as_json: bool) -> None:
    """What the database lacks of the folders of runs and other jobs, which are the truth about them."""
    from kd_core.jobs.index import LOST, missing_runs, rebuild
    from kd_core.jobs.store import Store

    store, out = Store(), console(sys.stdout)
    if not anew:
        missing = missing_runs(store)
        if as_json:
            return print_json({"missing": missing})
        said = f"{counted(len(store.ids()), 'job')} in the database, deleted ones among them."
        if missing:
            said += f" It lacks {counted(len(missing), 'folder')}; kd index --rebuild adds them."
        return out.print(said, soft_wrap=True)
    result = rebuild(store)
    if as_json:
        old = result.old and str(result.old)
        return print_json({**asdict(result), "old": old, "lost": LOST})
    if result.old:
        out.print(f"The broken database was moved to {result.old}.", soft_wrap=True)
    for line in (f"{counted(len(result.added), 'folder')} added.", *result.unreadable.values()):
        out.print(line, soft_wrap=True)
    if result.without_curves:
        out.print(f"Without their curves: {', '.join(result.without_curves)}.", soft_wrap=True)
    if result.added:
        out.print(LOST, soft_wrap=True)
    return None
