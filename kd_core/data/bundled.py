"""The tasks that come in packages: which there are, and whose texts they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kd_core.config import TaskConfig
from kd_core.data import bbc, reviews
from kd_core.data.origin import Origin
from kd_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from kd_core.data.task import Task

TASKS: dict[str, str] = bbc.TASKS | reviews.TASKS
ORIGINS: dict[str, Origin] = dict.fromkeys(bbc.TASKS, bbc.ORIGIN) | dict.fromkeys(
    reviews.TASKS, reviews.ORIGIN
)
# Not drop_empty, merge_labels and drop_overlap, which version 0.1 took and ignored: its runs are still read.
_FILE_SETTINGS = (
    *("text_column", "label_column", "test_file", "transfer_file", "encoding", "delimiter"),
    *("answer_columns", "answers", "gold", "normalise", "smoothing", "label_empty", "drop_rare"),
)


def load_bundled(config: TaskConfig) -> Task:
    """The task ``config.name``.

    Raises: DataError if there is no such task or its package is missing or changed; ConfigError if a setting
    for files is given.
    """
    if config.name not in TASKS:
        raise DataError(f"There is no bundled task {config.name!r}; choose from {', '.join(TASKS)}.")
    usual = TaskConfig()
    if given := [name for name in _FILE_SETTINGS if getattr(config, name) != getattr(usual, name)]:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        raise ConfigError(f"{config.name} is a bundled task and takes no {flags}; give a file as the task")
    return (bbc.load if config.name in bbc.TASKS else reviews.load)(config)


def text_groups(name: str) -> dict[str, int]:
    """The group of each text of a bundled task, transfer texts too; by its ``normalised`` form.

    Texts of one group say the same in part, and belong on one side of a split.
    """
    return bbc.text_groups(name) if name in bbc.TASKS else reviews.text_groups()
