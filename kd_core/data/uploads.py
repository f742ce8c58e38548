"""Uploaded tasks: each is a folder under ``KD_HOME/data`` with its files and the settings that read them.

Nothing of an upload is trusted: files get safe names, stay inside their folder, and are kept only once they
have been read as a task.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from kd_core.config import TaskConfig, completed
from kd_core.data import load_task
from kd_core.data.apart import read_file, scratch
from kd_core.data.columns import choose_columns, choose_text
from kd_core.data.decode import limit_bytes
from kd_core.data.summary import Summary, summarise
from kd_core.errors import DataError
from kd_core.system.atomic import MANIFEST, fetch, remove
from kd_core.system.paths import home, make_home

SETTINGS = "task.json"
SPARE_BYTES = 200 * 10**6  # what a full disk leaves to the runs
# Fields of TaskConfig that name a file -> the folder of that file.
PLACES = {"name": "", "knowledge": "", "test_file": "test", "transfer_file": "transfer"}
PREVIEW_ROWS = 8
# No files on Windows, and those that a saved task has of its own.
_TAKEN = re.compile(
    rf"(con|prn|aux|nul|com\d|lpt\d)(\.|$)|({re.escape(SETTINGS)}|{re.escape(MANIFEST)})$", re.IGNORECASE
)


@dataclass(frozen=True)
class Upload:
    """A file as a visitor sent it."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Preview:
    """A file's first rows, its columns, and which of them hold the texts and the labels.

    One that cannot be told is None; ``question`` says why, and is about the column ``asked`` for.
    """

    head: pd.DataFrame
    rows: int
    delimiter: str | None
    notes: tuple[str, ...]
    text: str | None = None
    label: str | None = None
    question: str | None = None
    asked: str = ""

    @property
    def columns(self) -> list[str]:
        return list(self.head.columns)


@dataclass(frozen=True)
class SavedTask:
    """``id`` is the folder's name; ``name`` tells the saved tasks apart; ``config`` has absolute paths."""

    id: str
    name: str
    config: TaskConfig
    size_bytes: int


def root() -> Path:
    return home() / "data"


def safe_name(name: str) -> str:
    """The last part of a path in letters, digits, ``_``, ``-`` and ``.``: "../a b.CSV" -> "a-b.csv"."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    stem, suffix = os.path.splitext(re.sub(r"[^\w.-]+", "-", last))
    stem = stem.strip(".-")[:40] or "data"
    safe = stem + suffix[:10].rstrip(".-").lower()
    return f"file-{safe}" if _TAKEN.match(safe) else safe


def preview(upload: Upload, delimiter: str | None = None) -> Preview:
    """Raises: DataError if the file cannot be read."""
    table = read_file(upload.data, safe_name(upload.name), delimiter=delimiter)
    text = label = question = None
    asked = ""
    try:
        text, label = choose_columns(table, None, None)
    except DataError as error:
        question, asked = str(error), "".join(error.settings)
        if asked == "label_column":
            with suppress(DataError):  # then both are asked for
                text = choose_text(table, None)
    head = table.frame.head(PREVIEW_ROWS)
    return Preview(head, len(table.frame), table.delimiter, table.notes, text, label, question, asked)


def recoded(upload: Upload, encoding: str) -> Upload:
    """The file in UTF-8, so that each file of a task may come in an encoding of its own.

    Raises: DataError if there is no such encoding, or if it does not fit.
    """
    read_file(upload.data, safe_name(upload.name), encoding=encoding)
    return replace(upload, data=upload.data.decode(encoding).encode())


def check(files: Mapping[str, Upload], settings: TaskConfig) -> Summary:
    """What ``files`` would give as a task; keeps nothing. They are by the fields of ``PLACES``, "name" first.

    With ``settings.knowledge``, whatever it is, "name" is a file of a teacher's answers.

    Raises: DataError, naming the setting that helps where there is one.
    """
    with scratch(safe_name(files["name"].name)) as folder:
        return summarise(load_task(_write(folder, files, settings)))


def save(files: Mapping[str, Upload], settings: TaskConfig) -> SavedTask:
    """Keep the files and the settings; the same ones again are the same task.

    Raises: DataError if they are no usable task, or if there is no room for them.
    """
    digest = hashlib.sha256(settings.model_dump_json(exclude=set(PLACES)).encode())
    digest.update(b"answers" if settings.knowledge else b"")
    for field, upload in sorted(files.items()):
        digest.update(f"\0{field}\0{len(upload.data)}\0".encode() + upload.data)
    place = root() / f"{digest.hexdigest()[:12]}-{Path(safe_name(files['name'].name)).stem}"

    def make(folder: Path) -> None:
        config = _write(folder, files, settings)
        load_task(config)
        (folder / SETTINGS).write_text(_relative(config, folder).model_dump_json(), encoding="utf-8")

    try:
        _check_room(sum(len(upload.data) for upload in files.values()))
        fetch(place, make)
    except (OSError, ValueError) as error:
        raise DataError(f"The upload cannot be kept in {root()}: {error}.") from error
    if task := next((task for task in saved() if task.id == place.name), None):
        return task
    raise DataError(f"{place.name} was deleted in this moment, in another tab. Save the files once more.")


def saved() -> list[SavedTask]:
    """All uploaded tasks, by name. Of several files of one name the first keeps it, and so its address."""
    aged = []
    for settings in root().glob(f"[!.]*/{SETTINGS}"):
        try:
            aged.append((settings.stat().st_mtime_ns, _read(settings.parent)))
        except (OSError, ValueError, RecursionError):
            continue  # deleted in this moment, or no longer what was written
    tasks: dict[str, SavedTask] = {}
    for _, task in sorted(aged, key=lambda pair: (pair[0], pair[1].id)):
        name = task.name if task.name not in tasks else f"{task.name} ({task.id[:4]})"
        tasks[name] = replace(task, name=name)
    return sorted(tasks.values(), key=lambda task: (task.name, task.id))


def delete(task_id: str) -> None:
    """Raises: DataError if there is no such task, or if it cannot be deleted."""
    if task_id not in {task.id for task in saved()}:
        raise DataError(f"There is no uploaded task {task_id!r}; it may have been deleted in another tab.")
    if not remove(root() / task_id):
        raise DataError(f"{root() / task_id} cannot be deleted whole. Delete what is left of it by hand.")


def _write(folder: Path, files: Mapping[str, Upload], settings: TaskConfig) -> TaskConfig:
    """The settings with the paths of the files, which are written into the folder."""
    paths: dict[str, str] = {}
    for field, upload in files.items():
        name = safe_name(upload.name)
        limit_bytes(len(upload.data), name)
        path = folder / PLACES[field] / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(upload.data)
        paths[field] = str(path)
    if settings.knowledge:  # a file of answers is the task
        paths["knowledge"] = paths["name"]
    return settings.model_copy(update=paths)


def _check_room(needed: int) -> None:
    make_home()
    root().mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root()).free
    if free < needed + SPARE_BYTES:
        raise DataError(
            f"The disk of {root()} has {free / 1e6:,.0f} MB left; "
            f"{(needed + SPARE_BYTES) / 1e6:,.0f} MB are needed. Free some space, or move KD_HOME."
        )


def _relative(config: TaskConfig, folder: Path) -> TaskConfig:
    """So that the data folder can be moved."""
    paths = {field: getattr(config, field) for field in PLACES}
    return config.model_copy(
        update={field: Path(path).relative_to(folder).as_posix() for field, path in paths.items() if path}
    )


def _read(place: Path) -> SavedTask:
    """Raises: OSError or ValueError if it is not what ``save`` wrote."""
    kept = {"task": json.loads((place / SETTINGS).read_text(encoding="utf-8"))}
    stored = TaskConfig.model_validate(completed(kept)["task"])
    paths = {field: place / path for field in PLACES if (path := getattr(stored, field))}
    for path in paths.values():
        if not path.resolve(strict=True).is_relative_to(root().resolve()):
            raise ValueError(f"{path} leads out of {root()}")
    return SavedTask(
        id=place.name,
        name=paths["name"].name,
        config=stored.model_copy(update={field: str(path) for field, path in paths.items()}),
        size_bytes=sum(path.stat().st_size for path in set(paths.values())),
    )
