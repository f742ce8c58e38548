"""Hub data sets as tasks, through ``datasets``; no code that comes with a data set is ever run."""

from __future__ import annotations

import os
import re
from itertools import chain
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, DatasetDict, load_dataset_builder
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

from kd_core.config import HUB_PREFIX, TaskConfig
from kd_core.data.assemble import build_task, clean_rows, clean_texts
from kd_core.data.columns import choose_columns
from kd_core.data.decode import limit_bytes
from kd_core.data.files import read_transfer
from kd_core.data.read import check_parquet, from_arrow, limit_unpacked
from kd_core.data.table import Table, limit_columns, limit_rows
from kd_core.data.task import Task
from kd_core.errors import ConfigError, DataError

_HUB_FILE = re.compile(r"hf://datasets/([^@]+)@([^/]+)/(.+)")
_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
_SAMPLE = 1_000  # rows that columns are guessed from


def load_hub(config: TaskConfig) -> Task:
    """The data set ``hub:ID`` or ``hub:ID:CONFIG``; ID is ``name``, ``owner/name`` or a local folder.

    Its splits are used as they are; what is missing is split off train, and a validation split serves as the
    test split where that has no labels. ``config.transfer_file``, else the split ``unsupervised``, is the
    transfer set. The names and the order of a ClassLabel column are kept.
    Raises: DataError (not found, gated, offline or unusable); ConfigError if a test file is given.
    """
    if config.test_file:
        raise ConfigError("a Hub data set brings its own test split and takes no --test-file")
    name = config.name.removeprefix(HUB_PREFIX)
    dataset = _load(name)
    notes: list[str] = []
    splits = {
        part: dataset[alias] for part, aliases in _SPLITS.items() for alias in aliases if alias in dataset
    }
    if len(dataset) == 1:
        splits = {"train": next(iter(dataset.values()))}
    if "train" not in splits:
        raise DataError(f"{name} has no split 'train', only {', '.join(map(repr, dataset))}.")
    for split in splits.values():
        limit_rows(len(split), name)
        limit_columns(len(split.column_names), 1, name)
    table = _table(splits["train"].take(min(_SAMPLE, len(splits["train"]))), name)
    text, label = choose_columns(table, config.text_column, config.label_column)

    parts: dict[str, pd.DataFrame] = {}
    unlabelled: list[pd.Series[str]] = []
    for part, split in splits.items():
        columns = [column for column in (text, label) if column in split.column_names]
        rows = _table(split.select_columns(columns), name).frame.reindex(columns=[text, label], fill_value="")
        rows = rows.set_axis(["text", "label"], axis="columns")
        if part != "train" and (rows["label"] == "").all():
            notes.append(f"{name}: the {part} split has no labels and is left out.")
            continue
        parts[part], texts = clean_rows(rows, f"{name} ({part})", config, notes, held_out=part != "train")
        unlabelled.append(texts)
    if "test" not in parts and "validation" in parts:
        notes.append(f"{name}: the validation split serves as the test split.")
        parts["test"] = parts.pop("validation")

    transfer = read_transfer(config, text, notes)
    if not transfer and config.transfer_texts and text in dataset.column_names.get("unsupervised", ()):
        extra = _table(dataset["unsupervised"].select_columns([text]), name)
        transfer = [clean_texts(extra.frame[text], f"{name} (unsupervised)", notes)]
    feature = splits["train"].features[label]
    order = feature.names if isinstance(feature, ClassLabel) else ()
    return build_task(config.name, parts, transfer + unlabelled, config, notes, order)


def _table(split: Dataset, name: str) -> Table:
    """The split's columns as text, class numbers as their names (-1, which means unknown, as missing)."""
    arrow: pa.Table = split.with_format("arrow")[:]
    for place, (column, feature) in enumerate(split.features.items()):
        if isinstance(feature, ClassLabel):
            ids = arrow[column]
            named = pa.array(feature.names).take(pc.if_else(pc.less(ids, 0), None, ids).combine_chunks())
            arrow = arrow.set_column(place, column, named)
    frame, nested = from_arrow(arrow)
    return Table(name, frame, nested=nested)


def _load(name: str) -> DatasetDict:
    path, variant = name, None
    if not os.path.isdir(name):
        path, _, variant = name.partition(":")
        if not _ID.fullmatch(path):
            raise DataError(
                f"A Hub data set is written {HUB_PREFIX}name, {HUB_PREFIX}owner/name or "
                f"{HUB_PREFIX}owner/name:config, got {HUB_PREFIX + name!r}."
            )
    try:
        builder = load_dataset_builder(path, variant or None)
        files = [str(file) for file in chain.from_iterable((builder.config.data_files or {}).values())]
        for file in files:  # all of them before any is fetched
            _check_own(path, file)
        for file in files:
            _check_size(file)
        builder.download_and_prepare()
        dataset = builder.as_dataset()
        limit_unpacked(sum(split.data.nbytes for split in dataset.values()), name)
        return dataset
    except DataError:
        raise
    except Exception as error:  # whatever its readers, fsspec, httpx and the Hub's client raise
        raise DataError(_reason(name, error)) from error


def _check_own(path: str, file: str) -> None:
    """Raises: DataError, where the data set's README names a file of this machine, or of somebody else."""
    if os.path.isdir(path):
        own = "://" not in file and Path(file).resolve().is_relative_to(Path(path).resolve())
    else:
        own = file.startswith(f"hf://datasets/{path}@") and ".." not in file.split("/")
    if not own:
        raise DataError(
            f"The data set {path!r} names a file that is not its own ({file}), so nothing of it is read. Use "
            "another data set, or download its files and choose them."
        )


def _check_size(file: str) -> None:
    """Raises: DataError for one that no upload may be, in the file or unpacked."""
    path = Path(file)
    if found := _HUB_FILE.fullmatch(file):
        repo, revision, name = map(unquote, found.groups())
        kept = try_to_load_from_cache(repo, name, repo_type="dataset", revision=revision)
        if not isinstance(kept, str):
            url = hf_hub_url(repo, name, repo_type="dataset", revision=revision)
            limit_bytes(get_hf_file_metadata(url).size or 0, name)
            kept = hf_hub_download(repo, name, repo_type="dataset", revision=revision)
        path = Path(kept)
    limit_bytes(path.stat().st_size, path.name)
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as parquet:
            check_parquet(path.read_bytes(), parquet.metadata, path.name)


def _reason(name: str, error: Exception) -> str:
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)

    def caused_by(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in chain)

    # By name, since the Hub's client changes between HTTP libraries.
    network = any(kind.__name__ == "TransportError" for cause in chain for kind in type(cause).__mro__)
    # datasets passes some causes on as text only.
    text = " ".join(str(error).split())
    if caused_by(GatedRepoError) or "gated dataset" in text:
        return (
            f"The data set {name!r} is gated: accept its terms at "
            f"https://huggingface.co/datasets/{name.partition(':')[0]} and log in with 'hf auth login'."
        )
    if caused_by(DatasetNotFoundError, RepositoryNotFoundError):
        return f"There is no data set {name!r} on the Hub, or it is private. Check its spelling."
    if network or caused_by(ConnectionError, LocalEntryNotFoundError) or "LocalEntryNotFound" in text:
        return (
            f"The Hub cannot be reached (offline), and {name!r} is not in the cache. "
            "Connect to the network, or use a bundled task or a file."
        )
    return f"The data set {name!r} cannot be read: {text[:300]}"
