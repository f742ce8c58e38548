"""What takes space on this machine, and a way to free what no run needs."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from kd_core.errors import KDError
from kd_core.jobs import cleaning
from kd_core.jobs.cleaning import KINDS, Item
from kd_core.system import formatting
from pages.shared.state import store
from pages.shared.text import escape


def disk_space() -> None:
    """Folded: reading the sizes of all folders takes a moment."""
    folded = st.expander("Disk space", icon=":material/hard_drive:", key="runs.disk", on_change="rerun")
    if not folded.open:
        return
    with folded:
        items = cleaning.inventory(store())
        spare = [item for item in items if item.removable]
        free = sum(item.bytes for item in spare)
        st.dataframe(
            _by_kind(items),
            hide_index=True,
            width="content",
            key="runs.disk_table",
            column_config={
                "number": st.column_config.NumberColumn("Folders", format="localized"),
                **{
                    name: st.column_config.NumberColumn(label, format="%.1f MB")
                    for name, label in (("size", "Size"), ("spare", "Not needed"))
                },
                "kind": "What",
            },
            alt="Disk space by kind",
        )
        st.caption(
            "Not needed: caches that no run refers to, exported bundles, checkpoints of runs that are done, "
            "and folders that were left half-written. What is freed is computed again when it is needed, "
            "and a bundle when somebody makes it again on **Export**; no result is lost but those of deleted "
            "runs, which cannot be brought back then."
        )
        if st.button(
            f"Free {formatting.megabytes(free / 1e6)}" if spare else "Nothing to free",
            icon=":material/mop:",
            disabled=not spare,
            key="runs.clean",
        ):
            try:
                freed = cleaning.clean(spare, store())
            except KDError as error:
                st.error(escape(error), icon=":material/error:")
            else:
                st.toast(f"{formatting.megabytes(freed / 1e6)} freed.", icon=":material/check:")
                st.rerun()


def _by_kind(items: list[Item]) -> pd.DataFrame:
    rows = []
    for kind, label in KINDS.items():
        of_kind = [item for item in items if item.kind == kind]
        spare = sum(item.bytes for item in of_kind if item.removable)
        sizes = {"size": sum(item.bytes for item in of_kind) / 1e6, "spare": spare / 1e6}
        if of_kind:
            rows.append({"kind": label, "number": len(of_kind), **sizes})
    return pd.DataFrame(rows, columns=["kind", "number", "size", "spare"])
