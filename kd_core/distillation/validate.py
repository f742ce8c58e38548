"""Step 4: teacher and students on texts that none of them has seen, and what that says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from kd_core.data.corruption import copies_of
from kd_core.data.task import Task, content_hash, labelled
from kd_core.data.words import MANY_CUT
from kd_core.distillation.balance import class_weights, judged_classes, score
from kd_core.distillation.comparison import Verdict, f1_verdict, of_other_texts, verdict
from kd_core.distillation.events import TEXTS_SCORED, Progress
from kd_core.distillation.latency import Answer, answering, inference, latency
from kd_core.distillation.metrics import (
    Fidelity,
    Latency,
    Scores,
    fidelity,
    macro_f1_interval,
    scores,
    wilson,
)
from kd_core.distillation.report import ModelReport
from kd_core.distillation.roles import FLOOR, NAMES, ROLES, STAIRS, Role, f1_of, is_f1
from kd_core.distillation.run import Run, Trained
from kd_core.models.baselines import CHARACTERS, TfidfBaseline
from kd_core.models.inference import Logits, encode, predict_logits
from kd_core.models.loading import model_hash
from kd_core.models.size import model_size, size_mb
from kd_core.models.vocabulary import share_unknown
from kd_core.system.atomic import fetch
from kd_core.system.formatting import in_sentence, percent

NO_COSTS = {"params": None, "embedding_params": None, "size_mb": None}  # of a teacher that is a file
OWN = ("test", "validation")  # of the sets that are scored; on the others nobody was to be good


@dataclass(frozen=True)
class Findings:
    """What has the name of a field of ``Report`` becomes that field."""

    models: dict[Role, ModelReport]
    verdict: Verdict | None
    over_floor: Verdict | None
    over_hard: Verdict | None
    over_teacher: Verdict
    f1_gain: Verdict | None
    stairs: dict[Role, Verdict]
    stairs_metric: str
    over: dict[Role, Verdict]
    over_by_metric: dict[Role, Verdict]
    fidelity: Fidelity
    # Of the test and the validation split: a row per text, with text, label, and the logits of each model.
    predictions: pd.DataFrame
    validation: pd.DataFrame
    unknown_texts: float | None


def validate(run: Run, trained: list[Trained]) -> Findings:
    """Score all models under the same conditions. ``trained`` holds the teacher, students and controls.

    Raises: Stopped, between two batches.
    """
    task, metric = run.task, run.config.training.metric
    steps = [f"scoring {_called(model)}" for model in trained]
    steps += [f"fitting {NAMES[FLOOR]}"] * run.config.controls.tfidf + ["measuring latency", "done"]
    progress = (Progress("validate", step, done, len(steps) - 1) for done, step in enumerate(steps))

    shifted = shifted_sets(task) if run.config.controls.shifted else {}
    sets = {"test": task.test} | shifted | {"validation": task.validation}
    truth = {name: np.asarray(split["label"][:]) for name, split in sets.items()}
    by_who: dict[Role, list[Trained]] = defaultdict(list)
    for model in trained:
        by_who[model.who].append(model)
    logits, floor = _ask(run, trained, sets, progress)
    seeds = {who: {m.seed: logits[m.name] for m in models} for who, models in by_who.items()}
    costs = {who: _costs(models[0]) if models[0].answers else NO_COSTS for who, models in by_who.items()}
    if floor:
        seeds[FLOOR] = {0: logits[FLOOR]}
        costs[FLOOR] = {"params": floor.params, "embedding_params": 0, "size_mb": floor.megabytes}
    run.on_event(next(progress))
    speed = _latency(run, trained, floor)
    chosen = {
        who: np.stack([by_set["test"].argmax(axis=1) for by_set in by_seed.values()])
        for who, by_seed in seeds.items()
    }
    judged = _Judged(chosen, truth["test"], metric, task.labels)
    gains: dict[Role, Verdict] = {
        who: judged.over(who) for who in NAMES if who in chosen and who != "student"
    }
    stairs = [who for who in STAIRS if who in chosen]
    controls_there: list[Role] = [who for who in ("alone", "hard_answers") if who in chosen]
    control = controls_there[0] if controls_there else None
    first = by_who["student"][0]
    found = Findings(
        models={
            who: _report(
                by_seed,
                truth,
                task.labels,
                metric,
                rises=_rises(by_seed, truth, task, metric),
                macro_f1_interval=macro_f1_interval(chosen[who], truth["test"]),
                class_f1_interval=judged.class_f1_interval(who),
                latency_ms=speed.get(who),
                **costs[who],
            )
            for who, by_seed in seeds.items()
        },
        verdict=judged.by_metric(control) if control else None,
        over_floor=judged.by_metric(FLOOR) if floor else None,
        over_hard=gains.get("hard_answers"),
        over_teacher=gains["teacher"],
        f1_gain=judged.in_f1(control) if control else None,
        stairs={after: judged.by_metric(before, after) for before, after in pairwise(stairs)},
        stairs_metric=metric,
        over=gains,
        over_by_metric={who: judged.by_metric(who) for who in gains},
        fidelity=fidelity(logits["teacher"]["test"], logits[first.name]["test"], truth["test"]),
        predictions=_table(task.test, {name: by_set["test"] for name, by_set in logits.items()}),
        validation=_table(task.validation, {name: by_set["validation"] for name, by_set in logits.items()}),
        unknown_texts=_unknown_texts(run, by_who["teacher"][0], first),
    )
    run.on_event(next(progress))
    return found


def _ask(
    run: Run, trained: Sequence[Trained], sets: Mapping[str, Dataset], progress: Iterator[Progress]
) -> tuple[dict[str, dict[str, Logits]], TfidfBaseline | None]:
    """The logits of each model on each set, by name, and the floor, where the run has one."""
    held_out = {"validation": sets["validation"]}  # by itself: version 0.1 has kept answers to the others
    others = {name: split for name, split in sets.items() if name not in held_out}
    logits: dict[str, dict[str, Logits]] = {}
    for model in trained:
        run.on_event(next(progress))
        asked = others if model.answers else {"test": sets["test"]}
        heard = _scored(run, asked) if model.who == "teacher" else None
        logits[model.name] = logits_of(run, model, asked, heard) | logits_of(run, model, held_out)
    if not run.config.controls.tfidf:
        return logits, None
    run.on_event(next(progress))
    floor = _fit_floor(run)
    logits[FLOOR] = {name: floor.logits(split["text"][:]) for name, split in sets.items()}
    return logits, floor


@dataclass(frozen=True)
class _Judged:
    """What each model has chosen for the test texts, (seeds, N), whose labels are ``truth`` (N,)."""

    chosen: Mapping[Any, NDArray[np.int64]]
    truth: NDArray[np.int64]
    metric: str  # as in TrainingConfig
    labels: tuple[str, ...]

    def over(self, before: str, after: str = "student") -> Verdict:
        return verdict(*np.broadcast_arrays(*(self.chosen[who] == self.truth for who in (after, before))))

    def in_f1(self, before: str, after: str = "student") -> Verdict:
        """The student's macro-F1, or its F1 of the class that the metric names, over the other's."""
        return f1_verdict(self.chosen[after], self.chosen[before], self.truth, self._classes)

    def class_f1_interval(self, who: str) -> tuple[float, float] | None:
        """95 %, of the class that the metric names; None where it names none."""
        if not self.metric.startswith("f1:"):
            return None
        return macro_f1_interval(self.chosen[who], self.truth, self._classes)

    @property
    def _classes(self) -> NDArray[np.int64]:
        return judged_classes(f1_of(self.metric), self.truth, self.labels)

    def by_metric(self, before: str, after: str = "student") -> Verdict:
        return self.in_f1(before, after) if is_f1(self.metric) else self.over(before, after)

    def scored(self, who: str) -> tuple[float, tuple[float, float]] | None:
        """A model's score by the metric, and its interval; None where that is not known."""
        answers = self.chosen[who]
        if not is_f1(self.metric):
            accuracy = float((answers == self.truth).mean())
            return accuracy, wilson(accuracy, len(self.truth))
        scored = fmean(score(self.metric, given, self.truth, self.labels) for given in answers)
        ends = macro_f1_interval(answers, self.truth, self._classes)
        return (scored, ends) if ends else None


def _called(model: Trained) -> str:
    """ "the teacher", "student alone, seed 0"."""
    return "the teacher" if model.who == "teacher" else f"{in_sentence(NAMES[model.who])}, seed {model.seed}"


def _table(split: Dataset, logits: Mapping[str, Logits]) -> pd.DataFrame:
    columns = {"text": split["text"][:], "label": np.asarray(split["label"][:])}
    return pd.DataFrame(columns | {name: list(rows) for name, rows in logits.items()})


def _fit_floor(run: Run) -> TfidfBaseline:
    task, known = run.task, run.task.train["label"][:]
    weights = class_weights(run.config.objective.class_weights, task.labels, known)
    texts = task.train["text"][:]
    if (longer := fmean(len(text) > CHARACTERS for text in texts)) > MANY_CUT:
        run.note(
            f"{NAMES[FLOOR]} reads the first {CHARACTERS:,} characters of a text, and {percent(longer, 0)} "
            "of the training texts have more: on whole texts it may be better."
        )
    return TfidfBaseline.fit(texts, known, len(task.labels), weights)


def _unknown_texts(run: Run, teacher: Trained, student: Trained) -> float | None:
    if not student.tokenizer.get_vocab().keys() <= teacher.tokenizer.get_vocab().keys():
        return None
    texts = chain(run.task.validation["text"][:], run.task.test["text"][:])
    return share_unknown(teacher.tokenizer, student.tokenizer, texts, run.max_length)


def shifted_sets(task: Task) -> dict[str, Dataset]:
    """Corrupted copies of the test texts, and what the task brings of another kind of text."""
    copies = copies_of(task.test["text"][:])
    return {name: labelled(texts, task.test["label"][:]) for name, texts in copies.items()} | task.shifted


def _scored(run: Run, sets: Mapping[str, Dataset]) -> Callable[[int], None]:
    """Tells how far the teacher is, which takes about as long as all that follows it."""
    total = sum(len(split) for split in sets.values())
    return lambda rows: run.on_event(Progress("validate", TEXTS_SCORED, rows, total))


def logits_of(
    run: Run, trained: Trained, sets: Mapping[str, Dataset], on_rows: Callable[[int], None] | None = None
) -> dict[str, Logits]:
    """Logits (rows, classes) for each set. Those of a model that many runs share are kept.

    ``on_rows`` hears how many rows of all sets are done, where they have to be computed.
    """
    if not trained.answers:
        file = run.task.answers
        assert file is not None
        return {name: file.of(split["text"][:]) for name, split in sets.items()}

    def compute() -> dict[str, Logits]:
        found: dict[str, Logits] = {}

        def heard(rows: int) -> None:
            if on_rows:
                on_rows(sum(map(len, found.values())) + rows)

        for name, split in sets.items():
            found[name] = predict_logits(
                trained.model,
                encode(trained.tokenizer, split, run.max_length),
                precision=run.precision,
                control=run.control,
                on_rows=heard,
            )
        return found

    if not ROLES[trained.who].shared:
        return compute()
    place = run.place(
        "scores",
        model=model_hash(trained.model, trained.tokenizer),
        sets={name: content_hash(split) for name, split in sets.items()},
        max_length=run.max_length,
        precision=run.precision,
    )

    def make(folder: Path) -> None:
        save_file(compute(), folder / "logits.safetensors")

    fetch(place, make)
    return load_file(place / "logits.safetensors")  # type: ignore[no-any-return]


def _latency(run: Run, trained: list[Trained], floor: TfidfBaseline | None) -> dict[Role, Latency]:
    """Batch 1, one thread, real test texts. All students share one architecture, so one of them is timed.

    A teacher that is a file has no latency.
    """
    timed = [next(m for m in trained if m.who == who) for who in ("teacher", "student")]
    timed = [model for model in timed if model.answers]
    repeats = run.config.controls.latency_repeats
    rows = run.task.test.select(range(min(len(run.task.test), repeats)))
    answers: dict[str, Answer] = {}
    tokens: dict[str, list[int]] = {}
    for model in timed:
        answers[model.who] = answering(model.model, model.tokenizer, run.max_length)
        tokens[model.who] = [len(ids) for ids in encode(model.tokenizer, rows, run.max_length)["input_ids"]]
    if floor:
        answers[FLOOR], tokens[FLOOR] = lambda text: floor.logits([text]), [0] * len(rows)
    with inference([model.model for model in timed]):
        times = latency(
            answers,
            list(rows["text"]),
            tokens,
            repeats=repeats,
            elsewhere=[model.who for model in timed if model.model.device.type != "cpu"],
            control=run.control,
        )
    own = {who: who if who in ("teacher", FLOOR) else "student" for who in NAMES}
    return {who: times[mine] for who, mine in own.items() if mine in times}


def _rises(
    logits: Mapping[int, Mapping[str, Logits]],
    truth: Mapping[str, NDArray[np.int64]],
    task: Task,
    metric: str,
) -> dict[str, tuple[float, float]]:
    """By how much one kind of model scores higher on each other set than on the test texts: 95 % intervals.

    Corrupted test texts are compared with themselves, text by text.
    """
    names = set(next(iter(logits.values()))) - {"validation"}
    chosen = {name: np.stack([by_set[name].argmax(axis=1) for by_set in logits.values()]) for name in names}
    judged = {name: _Judged(chosen, truth[name], metric, task.labels) for name in names}
    found = {}
    for name in names - {"test"}:
        if name not in task.shifted:
            gap = judged["test"].by_metric("test", name)
            found[name] = gap.low, gap.high
        elif (own := judged["test"].scored("test")) and (other := judged[name].scored(name)):
            found[name] = of_other_texts(*own, *other)
    return found


def _costs(trained: Trained) -> dict[str, Any]:
    size = model_size(trained.model.config)
    return {
        "params": size.params,
        "embedding_params": size.embedding_params,
        "size_mb": size_mb(trained.folder),
    }


def _report(
    logits: Mapping[int, Mapping[str, Logits]],
    truth: Mapping[str, NDArray[np.int64]],
    labels: tuple[str, ...],
    metric: str,
    **costs: Any,
) -> ModelReport:
    """One kind of model over its seeds: ``logits`` of each seed, for each set of texts."""
    by_seed: dict[int, Scores] = {
        seed: scores(by_set["test"], truth["test"], labels) for seed, by_set in logits.items()
    }
    others = [name for name in next(iter(logits.values())) if name not in OWN]

    def on_others(metric: str) -> dict[str, float]:
        return {
            name: fmean(
                score(metric, by_set[name].argmax(axis=1), truth[name], labels) for by_set in logits.values()
            )
            for name in others
        }

    results = list(by_seed.values())
    accuracy = fmean(r.accuracy for r in results)
    low, high = wilson(accuracy, len(truth["test"]))
    return ModelReport(
        accuracy=accuracy,
        low=low,
        high=high,
        spread=stdev(r.accuracy for r in results) if len(results) > 1 else 0.0,
        macro_f1=fmean(r.macro_f1 for r in results),
        ece=fmean(r.ece for r in results),
        **costs,
        shifted=on_others("accuracy"),
        shifted_score=on_others(metric) if is_f1(metric) else {},
        seeds=by_seed,
    )
