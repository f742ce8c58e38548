"""What a student is worth on several tasks: ``python -m tests.bench.bench_quality --screen``.

    python -m tests.bench.bench_quality --screen --name before student.fill_vocabulary=0
    python -m tests.bench.bench_quality --screen --name after --against before

Prints test accuracies, means over the seeds: TF-IDF with logistic regression (the floor), the student alone,
distilled, and the teacher. ``--against`` adds what alone and distilled gained over those of another name,
paired by seed and text. What is measured is kept under ``KD_HOME``, so that a second call goes on where the
first was ended. Further tasks are CSV files with columns text and label: ``--file reviews.csv``.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from kd_core.config import TaskConfig

SCREEN = ("headlines", "sentences-2000", "first-topic", "demo")
MODELS = ("floor", "alone", "student", "teacher")
QUICK = {"controls.shifted": False, "controls.labelled_only": False, "controls.latency_repeats": 5}

Row = tuple[str, str]


def main() -> None:
    from kd_core.system import paths

    parser = argparse.ArgumentParser(description="Measure students on several tasks.")
    parser.add_argument("settings", nargs="*", help="changes of the config: student.model=half")
    parser.add_argument("--name", default="today", help="what these settings are called")
    parser.add_argument("--against", help="compare with the results of that name")
    parser.add_argument("--screen", action="store_true", help=f"the tasks {', '.join(SCREEN)}")
    parser.add_argument("--task", action="append", default=[], help="one of them, may be repeated")
    parser.add_argument("--file", action="append", default=[], help="a CSV file as a task, may be repeated")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    kept = paths.home() / "quality.jsonl"
    for task in [*(SCREEN if given.screen else ()), *given.task, *given.file]:
        for seed in range(given.seeds):
            known = list(read(kept))
            if (given.name, Path(task).stem, seed) not in map(_key, known):
                changes = settings_of(task, paths.home() / "quality")
                changes |= dict(setting.split("=", 1) for setting in given.settings)
                floors = (row["right"]["floor"] for row in known if row["task"] == Path(task).stem)
                row = {"name": given.name, "task": Path(task).stem, "seed": seed}
                row |= measure(changes, seed, next(floors, None))
                kept.parent.mkdir(parents=True, exist_ok=True)
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        show(list(read(kept)), Path(task).stem, given.name, given.against)


def read(kept: Path) -> Iterator[dict[str, Any]]:
    if kept.is_file():
        yield from map(json.loads, kept.read_text(encoding="utf-8").splitlines())


def _key(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["name"], row["task"], row["seed"]


def show(rows: list[dict[str, Any]], task: str, name: str, against: str | None) -> None:
    """One line: the accuracies in percent, what of the teacher's is kept, seconds a student, parameters."""
    from kd_core.distillation.metrics import verdict

    mine = {row["seed"]: row for row in rows if (row["name"], row["task"]) == (name, task)}
    means = {model: np.mean([_right(row, model).mean() for row in mine.values()]) for model in MODELS}
    line = f"{task:16} {name:12}" + "".join(f" {model} {100 * means[model]:.1f}" for model in MODELS)
    line += f"  keeps {100 * means['student'] / means['teacher']:.0f} %"
    line += f"  {np.mean([row['seconds'] for row in mine.values()]):.0f} s"
    line += f"  {mine[min(mine)]['params'] / 1e6:.1f} M"
    theirs = {row["seed"]: row for row in rows if (row["name"], row["task"]) == (against, task)}
    if both := sorted(mine.keys() & theirs.keys()):
        for model in ("alone", "student"):
            after, before = (np.stack([_right(one[seed], model) for seed in both]) for one in (mine, theirs))
            gain = verdict(after, before, resamples=10_000)
            line += f"  {model} {100 * gain.delta:+.1f} [{100 * gain.low:.1f}, {100 * gain.high:.1f}]"
    print(line, flush=True)


def _right(row: dict[str, Any], model: str) -> np.ndarray:
    return np.array([answer == "1" for answer in row["right"][model]])


def measure(changes: dict[str, Any], seed: int, known_floor: str | None) -> dict[str, Any]:
    """One seed on one task: which test texts each model has right."""
    import pandas as pd

    from kd_core import distill
    from kd_core.config import DistillConfig
    from kd_core.distillation.run_folder import PREDICTIONS

    config = DistillConfig().change({**QUICK, "training.seeds": [seed], **changes})
    report = distill(config)
    found = pd.read_parquet(Path(report.folder) / PREDICTIONS)
    right = {"floor": known_floor or _bits(floor(config.task))}
    for model, name in (("alone", f"alone-{seed}"), ("student", f"student-{seed}"), ("teacher", "teacher")):
        right[model] = _bits(np.stack(list(found[name])).argmax(axis=1) == found["label"])
    seconds = report.seconds["distil"] / 2  # the student and its control
    return {"seconds": seconds, "params": report.student.params, "right": right}


def _bits(right: Iterable[bool]) -> str:
    return "".join("01"[int(one)] for one in right)


def floor(config: TaskConfig) -> np.ndarray:
    """TF-IDF of words and of characters with logistic regression, its penalty chosen on validation."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_union

    from kd_core.data import load_task

    task = load_task(config)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    vectors = make_union(words, characters)
    train = vectors.fit_transform(task.train["text"])
    models = [LogisticRegression(C=c, max_iter=1000).fit(train, task.train["label"]) for c in (1, 10, 100)]
    validation = vectors.transform(task.validation["text"])
    best = max(models, key=lambda model: model.score(validation, task.validation["label"]))
    return best.predict(vectors.transform(task.test["text"])) == np.array(task.test["label"])


def settings_of(task: str, folder: Path) -> dict[str, Any]:
    """What of the config makes that task; its files are written once."""
    match task:
        case "demo":
            return {}
        case "headlines":
            return {"task.transfer_texts": 0}
        case "sentences-2000" | "first-topic":
            make = sentences if task == "sentences-2000" else first_topic
            return _files(folder, task, {part: make(part) for part in ("train", "test")})
    return {"task.name": task}


def sentences(part: str) -> list[Row]:
    """2,500 sentences to train and validate with, and the test sentences of other articles."""
    return _bbc(part)[: 2_500 if part == "train" else None]


def first_topic(part: str) -> list[Row]:
    """Two sentences on two topics in one text; the first one's is the label, so that order decides."""
    rows = _bbc(part)
    random.Random(part).shuffle(rows)
    pairs = ((a, b) for a, b in zip(rows[::2], rows[1::2], strict=False) if a[1] != b[1])
    return [(f"{a[0]} {b[0]}", a[1]) for a, b in islice(pairs, 2_500 if part == "train" else 1_000)]


def _bbc(part: str) -> list[Row]:
    from kd_core.data import load_task

    task = load_task(TaskConfig(name="bbc-sentences", transfer_texts=0))
    split = getattr(task, part)
    return [(text, task.labels[label]) for text, label in zip(split["text"], split["label"], strict=True)]


def _files(folder: Path, name: str, parts: dict[str, Iterable[Row]]) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    places = {part: folder / f"{name}-{part}.csv" for part in parts}
    for part, rows in parts.items():
        with places[part].open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    return {"task.name": str(places["train"]), "task.test_file": str(places["test"])}


if __name__ == "__main__":
    main()
