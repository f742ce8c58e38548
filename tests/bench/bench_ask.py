"""Which texts the teacher should answer next: accuracy against the number of answers, by strategy.

    python -m tests.bench.bench_ask

A teacher that is fine-tuned on the bundled headlines plays the one that is asked, and answers with a label.
It labels 100 headlines at random; then, round by round until 400 are answered, each strategy picks the next
ones for the student that the answers so far have made. Students are judged by the gold labels of the test
headlines. Three seeds: of the first 100, of the students, and of what is picked at random. About ten minutes
on one core.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

SEEDS = (0, 1, 2)
ROUNDS = (100, 200, 400)
QUICK = {"controls.tfidf": False, "controls.shifted": False, "controls.labelled_only": False}
QUICK |= {"controls.latency_repeats": 5}


def main() -> None:
    from kd_core.config import LESSON, TaskConfig
    from kd_core.data import load_task
    from kd_core.deployment.ask import By
    from kd_core.deployment.forms import open_form
    from kd_core.distillation.pipeline import distill

    os.environ.setdefault("KD_HOME", tempfile.mkdtemp(prefix="kd-bench-ask-"))
    task = load_task(TaskConfig())
    asked = distill(LESSON.change({**QUICK, "task.transfer_texts": 0, "training.steps": 1}))
    teacher = open_form(asked.run_id, "teacher", "pytorch")
    names = np.array(task.labels)

    def answered_by_teacher(texts: list[str]) -> pd.DataFrame:
        return pd.DataFrame({"text": texts, "answer": names[teacher.predict(texts).argmax(axis=1)]})

    pool = answered_by_teacher(task.train["text"][:])
    test = answered_by_teacher(task.test["text"][:]).assign(gold=names[task.test["label"]])
    strategies = ("random", *get_args(By))
    print(f"teacher {asked.teacher.accuracy:.3f}; {len(pool):,} headlines to choose from", flush=True)

    found: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            first = np.random.default_rng(seed).permutation(len(pool))[: ROUNDS[0]].tolist()
            start = learn(Path(folder), pool.iloc[first], test, seed)
            for by in strategies:
                answered, (run_id, accuracy) = list(first), start
                found.setdefault((by, ROUNDS[0]), []).append(accuracy)
                for count in ROUNDS[1:]:
                    answered += pick(by, run_id, pool, answered, count - len(answered), seed)
                    run_id, accuracy = learn(Path(folder), pool.iloc[answered], test, seed)
                    found.setdefault((by, count), []).append(accuracy)
                    print(f"seed {seed} {by:8} {count:4} answers: {accuracy:.3f}", flush=True)
    print("\n| answers | " + " | ".join(strategies) + " |\n|---" * 1 + "|---" * len(strategies) + "|")
    for count in ROUNDS:
        cells = [found[by, count] for by in strategies]
        print(f"| {count} | " + " | ".join(f"{mean(cell)} ± {spread(cell)}" for cell in cells) + " |")


def learn(folder: Path, answered: pd.DataFrame, test: pd.DataFrame, seed: int) -> tuple[str, float]:
    """The run of a student that learns from these answers, and its accuracy."""
    from kd_core.config import LESSON
    from kd_core.distillation.pipeline import distill

    files = {"knowledge": folder / "answers.csv", "test_file": folder / "test.csv"}
    answered.to_csv(files["knowledge"], index=False)
    test.to_csv(files["test_file"], index=False)
    changes = {f"task.{name}": str(file) for name, file in files.items()}
    changes |= {"task.text_column": "text", "task.label_column": "gold", "task.answer_columns": ["answer"]}
    report = distill(LESSON.change({**QUICK, **changes, "training.seeds": [seed]}))
    return report.run_id, report.student.accuracy


def pick(by: str, run_id: str, pool: pd.DataFrame, answered: list[int], count: int, seed: int) -> list[int]:
    """Rows of the pool that are not answered yet."""
    from kd_core.deployment.ask import next_texts
    from kd_core.deployment.forms import open_form

    rest = np.setdiff1d(np.arange(len(pool)), answered)
    if by == "random":
        return np.random.default_rng([seed, count]).permutation(rest)[:count].tolist()
    texts = pool["text"].iloc[rest].to_list()
    places = next_texts(open_form(run_id, "student", "pytorch"), texts, count, by, seed)  # type: ignore[arg-type]
    return [int(rest[place]) for place in places]


def mean(values: list[float]) -> str:
    return f"{100 * np.mean(values):.1f} %"


def spread(values: list[float]) -> str:
    return f"{100 * np.std(values, ddof=1):.1f}"


if __name__ == "__main__":
    main()
