"""What a form would open on the server or fetch from the Hub: nothing of it because of a link alone."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import streamlit as st

from kd_core.config import HUB_PREFIX, DistillConfig
from kd_core.data import uploads
from kd_core.data.bundled import TASKS
from kd_core.errors import ConfigError
from kd_core.models.presets import STUDENTS, TEACHERS
from kd_core.system import paths
from pages.shared.visitors import has_log_in

AGREED = "form.agreed"  # names that somebody has typed, or agreed to


def agree(names: Collection[str]) -> None:
    if names:
        st.session_state[AGREED] = {*st.session_state.get(AGREED, ()), *names}


def typed(key: str) -> None:
    """For a widget's ``on_change``, which a link does not set off."""
    agree([str(st.session_state.get(key) or "").strip()])


def consent(config: DistillConfig, students: Iterable[str] = ()) -> bool:
    """Whether all that ``config`` opens may be opened; asks for what only a link has named.

    Raises: ConfigError, for a place that is none of those that a server with log-in shares.
    """
    names = outside(config, students)
    if has_log_in():
        confine(names)
    new = [name for name in names if name not in st.session_state.get(AGREED, ())]
    if not new:
        return True
    st.warning("This link asks to open, on this server or from the Hugging Face Hub:", icon=":material/link:")
    st.code("\n".join(new), language=None, wrap_lines=True)
    st.caption("Open it only where you know what it is, and who sent the link.")
    if st.button("Open", key="form.agree", icon=":material/folder_open:"):
        agree(new)
        st.rerun()
    return False


def outside(config: DistillConfig, students: Iterable[str] = ()) -> list[str]:
    """Names in ``config`` that are neither bundled, nor made here, nor of an uploaded task."""
    task, known = config.task, uploads.root()
    files = [
        name
        for name in (task.name, task.knowledge, task.test_file, task.transfer_file)
        if name and name not in TASKS
    ]
    names = [name for name in files if name.startswith(HUB_PREFIX) or not _within(name, [known])]
    local = ["auto", *(name for name, preset in TEACHERS.items() if preset.source != "hub")]
    names += [name for name in (config.teacher.model,) if name not in local]
    names += [name for name in (config.student.model, *students) if name not in STUDENTS]
    return list(dict.fromkeys(names))


def confine(names: Iterable[str]) -> None:
    """Raises: ConfigError for a place outside of the uploaded tasks and the folders in ``KD_FILES``."""
    shared = [Path(folder) for folder in os.environ.get("KD_FILES", "").split(os.pathsep) if folder]
    for name in names:
        path = paths.expanded(name.removeprefix(HUB_PREFIX))
        if (path.is_absolute() or ".." in path.parts or _exists(path)) and not _within(path, shared):
            raise ConfigError(
                f"{name!r} is on this server, outside of the folders that it shares. Upload the file on the "
                "Data page, or ask whoever runs the server to list its folder in KD_FILES."
            )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _within(name: str | Path, folders: Iterable[Path]) -> bool:
    try:
        place = paths.expanded(name).resolve()
        return any(place.is_relative_to(folder.resolve()) for folder in folders)
    except (OSError, ValueError, RuntimeError):
        return False
