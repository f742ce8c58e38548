"""The static student beside Model2Vec's classifier: ``python -m tests.bench.bench_static --task questions``.

Both begin with what the task's teacher makes of each word piece. Model2Vec takes it as it was pre-trained,
with its defaults of 256 dimensions and one layer above them; the static student takes the fine-tuned
teacher's, and learns from its answers. Same splits; test accuracy, seconds of training, milliseconds a text,
and what the distilled student is above Model2Vec, paired by text and seed.
Model2Vec is only needed here: ``pip install --no-deps model2vec skeletoken``. Tasks as of ``bench_quality``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tests.bench.bench_quality import QUICK, SCREEN, WHOLE, floor, in_points, settings_of

if TYPE_CHECKING:
    from kd_core.config import TeacherConfig
    from kd_core.distillation.report import Report

TIMED = 200  # texts, one after the other


def main() -> None:
    from kd_core import distill
    from kd_core.config import DistillConfig
    from kd_core.data import load_task
    from kd_core.deployment.forms import open_form
    from kd_core.distillation.comparison import verdict
    from kd_core.system import paths

    parser = argparse.ArgumentParser(description="Compare static classifiers.")
    parser.add_argument("--task", action="append", help=f"one of {', '.join(WHOLE)}; may be repeated")
    parser.add_argument("--file", action="append", default=[], help="a CSV file as a task; may be repeated")
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    for name in [*(given.task or ([] if given.file else SCREEN)), *given.file]:
        changes = QUICK | settings_of(name, paths.home() / "quality")
        asked = DistillConfig().change(changes)
        task = load_task(asked.task)
        texts, gold = list(task.test["text"]), np.array(task.test["label"])
        say(name, "TF-IDF", [floor(asked.task).mean()])
        for student in ("static", "cnn"):
            config = asked.change({"student.model": student})
            runs = [distill(config.change({"training.seeds": [seed]})) for seed in range(given.seeds)]
            for who in ("alone", "student"):
                right = [run.models[who].accuracy for run in runs]
                seconds = [run.seconds["distil"] / 2 for run in runs]
                answer = open_form(runs[-1].run_id, "student", "onnx").predict
                say(name, f"{student}, {who}", right, seconds, milliseconds(answer, texts))
            if student == "static":
                distilled = np.stack([_right(run, seed) for seed, run in enumerate(runs)])
        answers, seconds = [], []
        for seed in range(given.seeds):
            began = time.perf_counter()
            model = model2vec(task, asked.teacher, seed)
            seconds.append(time.perf_counter() - began)
            answers.append(model.predict(texts).astype(int) == gold)
        right = [answer.mean() for answer in answers]
        say(name, "Model2Vec", right, seconds, milliseconds(model.predict, texts))
        gain = verdict(distilled, np.stack(answers))
        print(f"{Path(name).stem:16} static, student over Model2Vec {in_points(gain)}", flush=True)


def _right(report: Report, seed: int) -> np.ndarray:
    """Which test texts its distilled student answers rightly, (texts,)."""
    from kd_core.distillation.run_folder import PREDICTIONS

    rows = pd.read_parquet(Path(report.folder) / PREDICTIONS)
    return np.stack(list(rows[f"student-{seed}"])).argmax(axis=1) == rows["label"].to_numpy()


def model2vec(task: Any, config: TeacherConfig, seed: int) -> Any:
    """A classifier that was taught, as its manual has it, on the vectors of the teacher."""
    from model2vec.distill import distill_from_model
    from model2vec.train import StaticModelForClassification

    from kd_core.models.loading import load_teacher

    teacher, tokenizer = load_teacher(config, task)
    vectors = distill_from_model(teacher.base_model, tokenizer, device="cpu")
    model = StaticModelForClassification.from_static_model(model=vectors)
    parts = {"X": task.train, "X_val": task.validation}
    sets = {name: list(part["text"]) for name, part in parts.items()}
    answers = {
        name.replace("X", "y"): [str(label) for label in part["label"]] for name, part in parts.items()
    }
    return model.fit(**sets, **answers, random_seed=seed, device="cpu")


def milliseconds(answer: Callable[[list[str]], Any], texts: list[str]) -> float:
    """The median for one text."""
    took = []
    for text in texts[:TIMED]:
        began = time.perf_counter()
        answer([text])
        took.append(time.perf_counter() - began)
    return float(1000 * np.median(took))


def say(
    task: str, who: str, right: list[float], seconds: list[float] | None = None, latency: float | None = None
) -> None:
    line = f"{Path(task).stem:16} {who:18} {100 * np.mean(right):5.1f} %"
    if seconds is not None:
        line += f"  {np.mean(seconds):6.1f} s  {latency:.2f} ms"
    print(line, flush=True)


if __name__ == "__main__":
    main()
