"""The forms in which a run's models answer: PyTorch, ONNX Runtime, and ONNX Runtime with 8-bit weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast

import kd_core.models.loading  # noqa: F401  # registers the networks that transformers does not have
from kd_core.config import DistillConfig
from kd_core.data.bundled import TASKS, load_bundled
from kd_core.data.corruption import copies_of
from kd_core.deployment.onnx import open_session, to_int8, to_onnx
from kd_core.deployment.runtimes import Runtime
from kd_core.distillation import run_folder
from kd_core.distillation.latency import latency
from kd_core.distillation.metrics import Latency
from kd_core.distillation.predictions import kept_as, read_predictions
from kd_core.distillation.report import Report
from kd_core.distillation.roles import Role
from kd_core.errors import DataError, RunError
from kd_core.models.inference import Logits
from kd_core.models.size import size_mb
from kd_core.system import cache, paths
from kd_core.system.atomic import fetch, is_whole
from kd_core.system.control import Control
from kd_core.system.helpers import with_threads

MODEL = "model.onnx"
BATCH = 32
CONVERSION = 1  # counts up when the same weights would give another file

Ids = NDArray[np.int64]
Split = tuple[list[str], Ids]  # texts and their labels
Forward = Callable[[Ids, Ids], Logits]


@dataclass(frozen=True)
class OpenForm:
    """A form that answers. ``path`` is its Hugging Face folder, or its ONNX file."""

    who: Role
    runtime: Runtime
    path: Path
    tokenizer: PreTrainedTokenizerFast
    labels: tuple[str, ...]
    max_length: int
    size_mb: float
    params: int
    pad_token_id: int
    forward: Forward

    @property
    def name(self) -> str:
        """ "student-int8"."""
        return f"{self.who}-{self.runtime}"

    def encode(self, texts: Sequence[str], max_length: int | None = None) -> list[list[int]]:
        """Token ids of each text, special tokens included, cut at ``max_length``: by default, the run's."""
        if not texts:
            return []
        limit = max_length or self.max_length
        ids: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=limit)["input_ids"]
        return ids

    def logits(self, ids: list[list[int]]) -> Logits:
        """One forward pass over one padded batch: (rows, classes), float32."""
        shape = len(ids), max(map(len, ids))
        padded, mask = np.full(shape, self.pad_token_id, np.int64), np.zeros(shape, np.int64)
        for i, row in enumerate(ids):
            padded[i, : len(row)] = row
            mask[i, : len(row)] = 1
        return self.forward(padded, mask)

    def answer(self, *texts: str, max_length: int | None = None) -> Logits:
        """From texts to answers, as one batch: what is timed."""
        return self.logits(self.encode(texts, max_length))

    def predict(
        self,
        texts: Sequence[str],
        batch: int | None = None,
        control: Control | None = None,
        on_rows: Callable[[int], None] | None = None,
    ) -> Logits:
        """Logits (texts, classes) in the order of ``texts``; ``on_rows`` hears how many are done.

        By default 32 texts share a batch, and none in int8: there the activations of a batch have one scale,
        so that an answer would depend a little on the texts that it is computed with.
        Raises: Stopped, between two batches.
        """
        batch = batch or (1 if self.runtime == "int8" else BATCH)
        ids = self.encode(texts)
        logits: Logits = np.empty((len(ids), len(self.labels)), dtype=np.float32)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]), reverse=True)
        for first in range(0, len(order), batch):
            if control:
                control.check()
            picked = order[first : first + batch]
            logits[picked] = self.logits([ids[i] for i in picked])
            if on_rows:
                on_rows(first + len(picked))
        return logits


def open_form(run_id: str, who: Role, runtime: Runtime, *, threads: int | None = None) -> OpenForm:
    """Load a form of a finished run's teacher, distilled student or student alone (first seed), on the CPU.

    ONNX files are made once, and kept in the cache. ``threads`` None: all cores.
    Raises: RunError where the run or the model is missing or was changed, ModelError for no such form.
    """
    folder = run_folder.find(run_id)
    report = Report.read(folder)
    source = _source(folder, report, who)
    path = source if runtime == "pytorch" else converted(source, runtime)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    return OpenForm(
        who=who,
        runtime=runtime,
        path=path,
        tokenizer=AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=True),
        labels=tuple(report.labels),
        max_length=report.config["task"]["max_length"],
        size_mb=size_mb(path) if runtime == "pytorch" else path.stat().st_size / 1e6,
        params=report.models[who].params or 0,
        pad_token_id=config.get("pad_token_id") or 0,
        forward=_pytorch(path, threads) if runtime == "pytorch" else _onnx(path, threads),
    )


def time_in_turns(
    forms: Mapping[str, OpenForm], texts: Sequence[str], control: Control | None = None
) -> dict[str, Latency]:
    """The latency of each form, one text at a time; they were opened for one thread. Raises: Stopped."""
    answers = {name: form.answer for name, form in forms.items()}
    tokens = {name: [len(ids) for ids in form.encode(texts)] for name, form in forms.items()}
    return latency(answers, texts, tokens, repeats=len(texts), control=control)


def converted(source: Path, runtime: Runtime) -> Path:
    """The ONNX file of a Hugging Face folder, from the cache or made now. Raises: ModelError."""
    place = cache.place("onnx", runtime=runtime, conversion=CONVERSION, model=_digests(source))

    def make(folder: Path) -> None:
        if runtime == "int8":
            to_int8(converted(source, "onnx"), folder / MODEL)
        else:
            to_onnx(_load(source), folder / MODEL)

    fetch(place, make)
    return place / MODEL


def test_split(run_id: str) -> Split:
    """Texts and labels of the run's test split, which its folder keeps. Raises: RunError."""
    rows = read_predictions(run_folder.find(run_id), run_folder.PREDICTIONS, "text", "label")
    return rows["text"].to_list(), rows["label"].to_numpy()


def shifted_splits(run_id: str) -> dict[str, Split]:
    """The other texts on which the run judged its models, by name: those of ``validate.shifted_sets``.

    The corrupted copies are made again, and a bundled task's texts of another kind are read again; where its
    corpus is gone, they are left out. Raises: RunError.
    """
    report = Report.read(run_folder.find(run_id))
    task = DistillConfig.from_dict(report.config).task
    texts, labels = test_split(run_id)
    splits = {name: (copies, labels) for name, copies in copies_of(texts).items()}
    if task.name in TASKS and report.student.shifted:
        with suppress(DataError):
            for name, split in load_bundled(task).shifted.items():
                splits[name] = split["text"][:], np.asarray(split["label"][:])
    return {name: splits[name] for name in report.student.shifted if name in splits}


def _source(folder: Path, report: Report, who: Role) -> Path:
    """The model's Hugging Face folder, whole."""
    if who == "teacher" and report.teacher_is_file:
        raise RunError(
            f"The teacher of run {folder.name} is a file of answers, not a network: it has no answer "
            "to a new text."
        )
    teacher = paths.caches() / "teachers" / report.teacher_key
    source = teacher if who == "teacher" else folder / run_folder.STUDENTS / kept_as(report, who)
    for place in (folder, teacher) if who == "teacher" else (folder,):
        if not is_whole(place):
            where = "/".join(place.parts[-2:])  # a page shows it, and says no more of this machine
            raise RunError(
                f"Files of run {folder.name} are missing or were changed: {where}. Put them back as they "
                "were, or run it again."
            )
    if not source.is_dir():
        raise RunError(f"Run {folder.name} has no model {who!r}.")
    return source


def _digests(source: Path) -> dict[str, str]:
    """SHA-256 of all that the model's answers depend on, but the tokenizer."""
    digests = {}
    for path in sorted([source / "config.json", *source.glob("*.safetensors")]):
        with path.open("rb") as file:
            digests[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _load(source: Path) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(
        source, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, local_files_only=True
    ).eval()


def _pytorch(source: Path, threads: int | None) -> Forward:
    model = _load(source)

    def forward(ids: Ids, mask: Ids) -> Logits:
        with torch.inference_mode(), with_threads(threads):
            output = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
        logits: Logits = output.logits.numpy()
        return logits

    return forward


def _onnx(file: Path, threads: int | None) -> Forward:
    session = open_session(file, threads)

    def forward(ids: Ids, mask: Ids) -> Logits:
        logits: Logits = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return logits

    return forward
