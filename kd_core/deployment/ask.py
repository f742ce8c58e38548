"""What to look at next: doubtful gold labels, and texts whose answers would teach a student most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_core.config import DistillConfig
from kd_core.distillation.metrics import softmax
from kd_core.distillation.predictions import read_predictions
from kd_core.distillation.report import Report
from kd_core.distillation.run_folder import PREDICTIONS, VALIDATION, find
from kd_core.errors import ConfigError, DataError, RunError
from kd_core.system.formatting import counted

if TYPE_CHECKING:
    from kd_core.deployment.forms import OpenForm

By = Literal["entropy", "margin", "spread"]


def suspects(run_id: str) -> pd.DataFrame:
    """Labelled texts that the teacher contradicts, the surest first: text, split, label, teacher, sure (%).

    Of a teacher that is a file all rows with a gold label; of a network, which has learned the training
    labels, those of validation and test alone. Of one that gave labels alone ``sure`` is NaN, and the order
    is that of the task. Raises: RunError, DataError.
    """
    folder = find(run_id)
    report = Report.read(folder)
    names = np.array(report.labels)
    parts = [
        pd.DataFrame({"text": texts, "split": split, "label": labels, "logits": list(logits)})
        for split, texts, labels, logits in _labelled(report, folder)
    ]
    rows = pd.concat(parts, ignore_index=True)
    shares = softmax(np.stack(rows["logits"].to_list()))
    chosen = shares.argmax(axis=1)
    table = pd.DataFrame(
        {
            "text": rows["text"],
            "split": rows["split"],
            "label": names[rows["label"]],
            "teacher": names[chosen],
            "sure": np.nan if report.teacher_gives_labels else 100 * shares.max(axis=1),
        }
    )
    found: pd.DataFrame = table[chosen != rows["label"].to_numpy()]
    return found.sort_values("sure", ascending=False, kind="stable").reset_index(drop=True)


def _labelled(report: Report, folder: Path) -> list[tuple[str, Any, Any, Any]]:
    """split, texts, labels and the teacher's logits of what has a gold label."""
    if report.measures == "agreement":
        raise RunError(f"Run {report.run_id} has no gold labels that its teacher could contradict.")
    if report.teacher_is_file:
        from kd_core.data import load_task

        task = load_task(DistillConfig.from_dict(report.config).task)
        assert task.answers is not None
        splits = ("test",) if task.answers.gold == "test" else ("train", "validation", "test")
        return [
            (name, split["text"][:], split["label"][:], task.answers.of(split["text"]))
            for name in splits
            for split in (getattr(task, name),)
        ]
    found = []
    for name, file in (("validation", VALIDATION), ("test", PREDICTIONS)):
        rows = read_predictions(folder, file, "text", "label", "teacher")
        found.append((name, rows["text"], rows["label"], rows["teacher"]))
    return found


def unanswered(run_id: str, texts: Iterable[str]) -> list[str]:
    """Those that the run's student has not seen and its teacher has not answered, each once.

    Raises: RunError, DataError.
    """
    from kd_core.data import load_task
    from kd_core.data.splits import normalised

    task = load_task(DistillConfig.from_dict(Report.read(find(run_id)).config).task)
    seen = set(task.answers.rows) if task.answers else set()
    for split in (task.train, task.validation, task.test, task.transfer):
        seen |= {normalised(text) for text in split["text"]}
    new = {normalised(text): text for text in reversed(list(texts))}
    return [text for key, text in reversed(new.items()) if key not in seen]


def next_texts(
    student: OpenForm, texts: Sequence[str], count: int, by: By = "spread", seed: int = 0
) -> list[int]:
    """The places of the ``count`` texts whose answers would teach ``student`` most, those first.

    entropy and margin: where it is least sure (Settles 2009, section 3.1; Scheffer et al. 2001). spread: the
    least sure by margin of each of ``count`` clusters of texts, so that they are not all alike (after Zhdanov
    2019, Diverse mini-batch active learning). Raises: ConfigError, DataError where there is no text.
    """
    if by not in get_args(By):
        raise ConfigError(f"--by must be {', '.join(get_args(By))}, got {by!r}")
    if not texts:
        raise DataError("The pool has no text that the run does not know; choose another.")
    if not 1 <= count <= len(texts):
        raise ConfigError(
            f"-n must be between 1 and the {counted(len(texts), 'new text')} of the pool, got {count}"
        )
    return choose(softmax(student.predict(texts)), texts, count, by, seed)


def choose(shares: NDArray[np.float64], texts: Sequence[str], count: int, by: By, seed: int = 0) -> list[int]:
    """As ``next_texts``, from the student's probabilities (texts, classes)."""
    if by == "entropy":
        unsure = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=1)
    else:
        top = np.sort(shares, axis=1)
        unsure = top[:, -2] - top[:, -1]
    order = np.argsort(-unsure, kind="stable")
    if by != "spread":
        return [int(place) for place in order[:count]]
    clusters = _clusters(texts, count, seed)
    first: dict[int, int] = {}
    for place in order:
        first.setdefault(int(clusters[place]), int(place))
    picked = list(first.values())
    chosen = set(picked)  # a cluster may be empty: then the least sure of the rest
    return picked + [int(place) for place in order if place not in chosen][: count - len(picked)]


def _clusters(texts: Sequence[str], count: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.feature_extraction.text import HashingVectorizer
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        features = HashingVectorizer(n_features=2**12, analyzer="char_wb", ngram_range=(2, 4)).transform(
            texts
        )
        return np.asarray(MiniBatchKMeans(count, random_state=seed, n_init=1).fit_predict(features))
