"""Step 2: record the teacher's logits for every training and transfer text, or read them from its file."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Dataset

from kd_core.data.task import Answers, Task, content_hash
from kd_core.distillation.events import Progress
from kd_core.distillation.recorded_answers import FILE, KIND
from kd_core.distillation.run import Run, Trained
from kd_core.errors import DataError
from kd_core.models.inference import CHUNK, Logits, encode, predict_chunks
from kd_core.models.loading import model_hash
from kd_core.system import parallel


def record(run: Run, teacher: Trained) -> tuple[Dataset, bool]:
    """The knowledge, and whether it was there already.

    One row ``logits`` (classes,) for each training text, then for each transfer text: an Arrow file that is
    memory-mapped, keyed by what it was made of (weights, tokenizer, texts, length, precision).
    Raises: Stopped; then nothing is kept.
    """
    task = run.task
    answers = task.answers
    place = run.place(
        KIND,
        model=task.fingerprint if answers else model_hash(teacher.model, teacher.tokenizer),
        texts=[content_hash(task.train), content_hash(task.transfer)],
        max_length=run.max_length,
        precision=run.precision,
    )

    def make(folder: Path) -> None:
        logits = _logits(run, teacher) if answers is None else _read(answers, task)
        if parallel.is_main():
            _write(folder / FILE, logits, len(task.labels))
        else:
            deque(logits, maxlen=0)  # its part is on its way to the main process

    cached = parallel.fetch(place, make)
    knowledge = Dataset.from_file(str(place / FILE))
    if (answer := _only_answer(knowledge)) is not None:
        run.note(
            f"The teacher gives the same answer, {task.labels[answer]!r}, for each of the "
            f"{len(knowledge):,} texts. A student can learn little from it: teach it longer or with another "
            "learning rate, or choose another teacher."
        )
    return knowledge, cached


def _only_answer(knowledge: Dataset) -> int | None:
    """The class that has the highest logit for every text, if there is one."""
    found: set[int] = set()
    for rows in knowledge.with_format("numpy").iter(batch_size=CHUNK):
        found.update(rows["logits"].argmax(axis=-1).tolist())
        if len(found) > 1:
            return None
    return found.pop() if found else None


def _logits(run: Run, teacher: Trained) -> Iterator[Logits]:
    splits = (run.task.train, run.task.transfer)
    done, total = 0, sum(len(split) for split in splits)
    for split in splits:
        before = done

        def report(rows: int, before: int = before) -> None:
            run.on_event(Progress("record", "texts", before + rows, total))

        encoded = encode(teacher.tokenizer, split, run.max_length, on_demand=True)
        yield from predict_chunks(
            teacher.model, encoded, precision=run.precision, control=run.control, on_rows=report
        )
        done += len(split)


def _read(answers: Answers, task: Task) -> Iterator[Logits]:
    for split in (task.train, task.transfer):
        for batch in split.iter(batch_size=CHUNK):
            yield answers.of(batch["text"])


def _write(file: Path, chunks: Iterator[Logits], classes: int) -> None:
    schema = pa.schema({"logits": pa.list_(pa.float32(), classes)})
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for chunk in chunks:
            if chunk.shape[1] != classes:  # cut anew, each text would get the numbers of others
                raise DataError(
                    f"The teacher answers for {chunk.shape[1]:,} classes, and the task has {classes:,}. "
                    "Choose a teacher of the task's classes, or mend the columns of its answers."
                )
            flat = pa.array(np.ascontiguousarray(chunk).reshape(-1))
            rows = pa.FixedSizeListArray.from_arrays(flat, classes)
            writer.write_table(pa.table([rows], schema=schema))
