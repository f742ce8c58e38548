"""Tasks: bundled ones, own files, Hub data sets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kd_core.config import HUB_PREFIX, TaskConfig, flag
from kd_core.errors import DataError

if TYPE_CHECKING:
    from kd_core.data.task import Task

# huggingface_hub reads it once, when it is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def load_task(config: TaskConfig) -> Task:
    """The task ``config.name``: a bundled one, a Hub data set (``hub:ID``) or a file.

    Raises: DataError if there is no such task or its content cannot be used; ConfigError if a setting
    does not go with it.
    """
    from kd_core.data.fewer import fewer

    task = fewer(_whole(config), config)
    _check_splits(task, config)
    return task


def check_places(config: TaskConfig) -> None:
    """That it is a bundled task, a Hub data set or a file that is there; reads none. Raises: DataError."""
    from kd_core.data.bundled import TASKS
    from kd_core.data.read import KINDS
    from kd_core.system.paths import expanded, moved

    kinds = tuple(KINDS)
    if not config.name.startswith(HUB_PREFIX):  # which takes none
        _check_file(config.test_file, "--test-file")
    if config.knowledge:
        _refuse_remote(config.knowledge, "--knowledge")
        if config.knowledge.lower().endswith(kinds):  # else its reader says what it should be
            _check_file(config.knowledge, "--knowledge")
        return
    _check_file(config.transfer_file, "--transfer-file")
    if config.name in TASKS:
        return
    _refuse_remote(config.name.removeprefix(HUB_PREFIX), "--task")
    if config.name.startswith(HUB_PREFIX) or (config.name and os.path.exists(moved(expanded(config.name)))):
        return
    if config.name.lower().endswith(kinds):
        _check_file(config.name, "--task")
    raise DataError(
        f"There is no task or file {config.name!r}. Choose a bundled task ({', '.join(TASKS)}), "
        f"a file ({', '.join(KINDS)}) or a Hub data set ({HUB_PREFIX}ID)."
    )


def _check_splits(task: Task, config: TaskConfig) -> None:
    """Raises: DataError where nothing is left to train with, to choose by or to test on."""
    given = [name for name in ("drop_rare", "drop_overlap") if getattr(config, name)]
    without = "".join(f", or leave out {flag(f'task.{name}')}" for name in given)
    for split in ("train", "validation", "test"):
        if not task.rows[split]:
            raise DataError(
                f"No {split} text is left: each split needs one at least. Bring more texts of each "
                f"class{without}."
            )


def _whole(config: TaskConfig) -> Task:
    # Here, since the readers import datasets and pandas: seconds that the sub-modules' users need not wait.
    from kd_core.data.answers import load_answers
    from kd_core.data.bundled import TASKS, load_bundled
    from kd_core.data.files import load_files
    from kd_core.data.hub import load_hub

    check_places(config)
    if config.knowledge:
        return load_answers(config)
    if config.name in TASKS:
        return load_bundled(config)
    return load_hub(config) if config.name.startswith(HUB_PREFIX) else load_files(config)


def _check_file(place: str | None, flag: str) -> None:
    """Raises: DataError where there is none."""
    from kd_core.data.decode import existing_file

    _refuse_remote(place, flag)
    if place:
        existing_file(place, flag)


def _refuse_remote(place: str | None, flag: str) -> None:
    """Raises: DataError for an address or a network share, which would be fetched from another machine."""
    if place and ("://" in place or place.startswith(("\\\\", "//"))):
        raise DataError(
            f"{flag} must be a file on this machine, got {place!r}. Download it first and give its path."
        )


__all__ = ["load_task"]
