"""What can be done with the chosen runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from kd_core.errors import KDError
from kd_core.jobs import deletion
from kd_core.jobs.states import ACTIVE, RESUMABLE
from kd_core.jobs.store import RunRow, Store
from pages.shared import addresses
from pages.shared.run_form.link import run_link
from pages.shared.state import runner, store
from pages.shared.text import escape, run_line

DELETED = "runs.deleted"  # ids of what was deleted last


def actions(chosen: Sequence[RunRow], listed: int) -> None:
    """A bar of buttons; always there, so that nothing moves when a run is chosen."""
    one = chosen[0] if len(chosen) == 1 else None
    with st.container(horizontal=True, vertical_alignment="center"):
        runs = "1 run" if listed == 1 else f"{listed:,} runs"
        st.markdown(f"{len(chosen)} of {runs} chosen", width="content")
        report = one is not None and one.status == "done"
        away = one is not None and one.status in ("unreadable", "deleted")
        if (
            _button(
                "Open report" if report or one is None else "Open live view",
                "open_in_new",
                away or one is None,
            )
            and one
        ):
            open_run(one)
        if _button("Name and tags", "edit", one is None) and one:
            edit(one)
        if _button("Duplicate", "content_copy", away or one is None) and one:
            st.switch_page(addresses.DISTILL, query_params=run_link(one))
        if _button("Resume", "play_arrow", one is None or one.status not in RESUMABLE) and one:
            runner().resume(one.id)
            st.switch_page(addresses.DISTILL, query_params={"run": one.id})
        if chosen and all(run.status == "deleted" for run in chosen):
            if _button("Bring back", "undo", False):
                bring_back([run.id for run in chosen])
        elif _button("Delete", "delete", not chosen):
            ask_delete(chosen)
    for run in chosen:
        if run.status == "unreadable":
            st.warning(escape(run.error), icon=":material/broken_image:")


def open_run(run: RunRow) -> None:
    """Its report, or where it can be watched and resumed."""
    page = addresses.REPORT if run.status == "done" else addresses.DISTILL
    st.switch_page(page, query_params={"run": run.id})


def undo_bar() -> None:
    """What was deleted just now, and a way to have it back."""
    ids: list[str] = st.session_state.get(DELETED, [])
    if ids:
        with st.container(horizontal=True, vertical_alignment="center", key="runs.undo_bar"):
            st.markdown("1 run deleted." if len(ids) == 1 else f"{len(ids):,} runs deleted.", width="content")
            if st.button("Undo", icon=":material/undo:", key="runs.undo"):
                bring_back(ids)


def bring_back(ids: Sequence[str]) -> None:
    """As many as there are; what is back already, in another tab, is no mistake. Raises: StoreError."""
    st.session_state.pop(DELETED, None)  # a bar for runs that are gone for good would stay
    there = {run.id for run in store().runs()}
    problems = _each([run_id for run_id in ids if run_id not in there], deletion.restore_run)[1]
    if not problems:
        st.rerun()


def _each(ids: Sequence[str], do: Callable[[Store, str], None]) -> tuple[list[str], list[str]]:
    """``do`` it to each run, whatever became of the others: those it was done to, and what went wrong."""
    done, problems = [], []
    for run_id in ids:
        try:
            do(store(), run_id)
            done.append(run_id)
        except KDError as error:
            problems.append(str(error))
            st.error(escape(error), icon=":material/error:")
    return done, problems


def _button(label: str, icon: str, disabled: bool) -> bool:
    key = f"runs.{label.split()[0].lower()}"
    return st.button(label, icon=f":material/{icon}:", disabled=disabled, key=key)


@st.dialog("Name and tags", icon=":material/edit:")
def edit(run: RunRow) -> None:
    everywhere = (tag for other in store().runs(kind="distil") for tag in other.tags)
    all_tags = sorted({*run.tags, *everywhere})  # another tab may have removed one of these meanwhile
    with st.form("runs.edit_form", border=False):
        name = st.text_input("Name", run.name, placeholder=run.title, max_chars=100, key="runs.edit_name")
        tags = st.multiselect(
            "Tags",
            all_tags,
            default=list(run.tags),
            accept_new_options=True,
            placeholder="Choose, or type a new one",
            key="runs.edit_tags",
        )
        if st.form_submit_button("Save", type="primary", key="runs.edit_save"):
            try:
                if name != run.name:  # what another tab has changed meanwhile, and this one has not, stays
                    store().rename(run.id, name)
                added = [tag for tag in tags if tag not in run.tags]
                store().change_tags(run.id, add=added, remove=set(run.tags) - set(tags))
            except KDError as error:
                st.error(escape(error), icon=":material/error:")
            else:
                st.rerun()


@st.dialog("Delete", icon=":material/delete:")
def ask_delete(runs: Sequence[RunRow]) -> None:
    busy = [run for run in runs if run.status in ACTIVE]
    if busy:
        st.warning(
            f"{escape(busy[0].title)} is {busy[0].status}. Stop it before you delete it.",
            icon=":material/warning:",
        )
        return
    st.markdown("This run will be deleted:" if len(runs) == 1 else f"These {len(runs)} runs will be deleted:")
    st.text("\n".join(run_line(run) for run in runs[:10]))
    if len(runs) > 10:
        st.caption(f"and {len(runs) - 10:,} more")
    whose, they = ("its", "It") if len(runs) == 1 else ("their", "They")
    st.caption(f"With {whose} models and reports. {they} can be brought back until disk space is freed.")
    if st.button("Delete", type="primary", icon=":material/delete:", key="runs.delete_yes"):
        gone, problems = _each([run.id for run in runs], deletion.delete_run)
        st.session_state[DELETED] = gone
        if not problems:
            st.rerun()
