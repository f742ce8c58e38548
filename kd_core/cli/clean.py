"""``kd clean``."""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import asdict

import click

from kd_core.cli.output import as_json, console, print_json, table
from kd_core.system import paths
from kd_core.system.formatting import megabytes


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@as_json
def clean(dry_run: bool, as_json: bool) -> None:
    """Show what takes space, and remove what no run needs any more."""
    from kd_core.jobs import cleaning
    from kd_core.jobs.store import Store

    store = Store()
    items = cleaning.inventory(store)
    freed = 0 if dry_run else cleaning.clean(items, store)
    spare = sum(item.bytes for item in items if item.removable)
    if as_json:
        entries = [asdict(item) | {"path": str(item.path)} for item in items]
        return print_json({"items": entries, "removable_bytes": spare, "freed_bytes": freed})
    kinds: dict[str, list[cleaning.Item]] = defaultdict(list)
    for item in items:
        kinds[item.kind].append(item)
    rows = [
        (
            cleaning.KINDS.get(kind, kind),
            f"{len(folders):,}",
            megabytes(sum(item.bytes for item in folders) / 1e6),
            megabytes(sum(item.bytes for item in folders if item.removable) / 1e6),
        )
        for kind, folders in kinds.items()
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
