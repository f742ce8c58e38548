"""The results of a search so far: a table of cells, the best of them, and the one to take. No torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, ConfigDict, Field
from scipy import special

from kd_core.config import TEMPERATURE, DistillConfig, ObjectiveConfig
from kd_core.distillation.comparison import judge
from kd_core.search import trials
from kd_core.search.config import SearchConfig, Setting
from kd_core.search.trials import Board
from kd_core.system.formatting import points

State = Literal["waiting", "running", "done", "pruned", "failed"]
OVER: tuple[State, ...] = ("done", "pruned", "failed")
CONFIDENCE = 0.95
SURE = 3.0  # standard errors of the texts: an interval that reaches so far holds theirs

STATES: Mapping[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


class Score(BaseModel):
    """One student on the part that was held out: its ``accuracy`` or, where the search has another metric,
    its score by that. ``seconds`` is its whole time. ``right``: of each text, whether its answer is ("0110");
    "" where the score is no accuracy, and of searches of before. It is not told on."""

    model_config = ConfigDict(frozen=True)

    seed: int
    fold: int
    accuracy: float
    seconds: float
    right: str = Field("", exclude=True, repr=False)


class Difference(BaseModel):
    """Best minus this cell over the same folds and seeds: mean, standard error and 95 % interval; see
    ``difference``."""

    mean: float
    se: float | None = None  # version 0.1 kept none
    low: float
    high: float


class Cell(BaseModel):
    """One setting. ``mean`` and ``se`` (standard error) are over all ``scores``, folds and seeds alike.

    ``same_as_best``: the interval of ``from_best`` includes 0; ``near_best``: its mean is at most one
    standard error. None until the cell is done.
    """

    number: int
    state: State
    setting: Setting | None  # None: tpe has not decided yet
    scores: list[Score]
    mean: float | None
    se: float | None
    from_best: Difference | None = None
    same_as_best: bool | None = None
    near_best: bool | None = None
    params: int | None = None  # of its student
    teacher_texts: int | None = None  # that the teacher labels for it, in the final run
    error: str | None = None


class SearchResult(BaseModel):
    """``best`` and ``choice`` are numbers in ``cells``; None until one is done.

    ``best`` has the highest mean. ``choice`` follows the one-standard-error rule (Breiman et al. 1984, 3.4.3)
    on paired differences: among those that are at most one standard error of the difference below the best,
    the one with the smallest student, then the fewest texts labelled by the teacher, then temperature and
    alpha nearest the defaults. ``run_id`` is its run on all training data, once that has begun.
    """

    study: str
    config: SearchConfig
    cells: list[Cell]
    alone: list[Cell]
    teacher: list[Score]  # of each fold, so far
    best: int | None
    choice: int | None
    complete: bool
    trainings: int  # cells that were given up count as a whole
    trainings_done: int
    seconds: float  # of all trainings, wherever they ran
    run_id: str | None = None
    optimism: float | None = None  # of the best mean, once complete; see ``optimism``
    metric: str = "accuracy"  # as in ``training.metric``: what scores and means are

    def chosen(self, cell: int | None = None) -> DistillConfig | None:
        """The config of a cell, of the choice unless one is named, for a run on all training data."""
        number = self.choice if cell is None else cell
        setting = None if number is None else self.cells[number].setting
        return self.config.apply(setting) if setting else None


def result(study: str) -> SearchResult:
    """Also while the search goes on. Raises: RunError where there is none of that name, StoreError."""
    with trials.connected() as storage:
        return read(trials.find(storage, study))


def link(study: str, run_id: str) -> None:
    """Note the run of the chosen setting on all training data."""
    with trials.connected() as storage:
        trials.find(storage, study).note(trials.RUN, run_id)


def cells_study(study: str) -> optuna.Study:
    """A copy of Optuna's study with the cells that are done, for ``optuna.visualization``.

    Raises: RunError where there is no search of that name, StoreError.
    """
    copy = optuna.create_study(direction="maximize", study_name=study)
    with trials.connected() as storage:
        done = trials.find(storage, study).cells.get_trials(states=(TrialState.COMPLETE,))
    copy.add_trials(done)
    return copy


def read(board: Board) -> SearchResult:
    facts, config = board.facts, board.config
    usual = facts.get(trials.USUAL, TEMPERATURE)
    cells = _cells(board.cells, config.settings)
    best = best_of(cells, usual)
    cells = compared_with_best(cells, cells[best] if best is not None else None)
    alone = compared_with_best(_cells(board.alone, config.alone), cells[best] if best is not None else None)
    teacher = [
        Score(seed=config.distill.teacher.seed, fold=fold, **facts[f"{trials.TEACHER} {fold}"])
        for fold in range(config.folds)
        if f"{trials.TEACHER} {fold}" in facts
    ]
    both = [*cells, *alone]
    complete = all(cell.state in OVER for cell in both)
    scores = [score for cell in both for score in cell.scores]
    return SearchResult(
        study=board.cells.study_name,
        config=config,
        cells=cells,
        alone=alone,
        teacher=teacher,
        best=best,
        choice=choose(cells, usual),
        complete=complete,
        trainings=config.trainings,
        trainings_done=_done(config, both, len(teacher)),
        seconds=sum(score.seconds for score in (*scores, *teacher)),
        run_id=facts.get(trials.RUN),
        metric=facts.get(trials.METRIC, "accuracy"),
        optimism=optimism(cells, config.distill.controls.resamples) if complete else None,
    )


def trainings_done(board: Board) -> int:
    """``SearchResult.trainings_done`` alone: to compare many cells takes seconds, and workers ask often."""
    both = [*_cells(board.cells, board.config.settings), *_cells(board.alone, board.config.alone)]
    teachers = sum(name.startswith(f"{trials.TEACHER} ") for name in board.facts)
    return _done(board.config, both, teachers)


def _done(config: SearchConfig, cells: Sequence[Cell], teachers: int) -> int:
    whole = config.folds * len(config.seeds)
    return teachers + sum(whole if cell.state in OVER else len(cell.scores) for cell in cells)


def _cells(study: optuna.Study, settings: Sequence[Setting | None]) -> list[Cell]:
    by_cell = trials.cell_trials(study)
    # A random search of before repeats were dropped has more cells, whose trials know their settings.
    numbers = range(max([len(settings), *(cell + 1 for cell in by_cell)]))
    return [
        _cell(number, settings[number] if number < len(settings) else None, by_cell.get(number, []))
        for number in numbers
    ]


def _cell(number: int, setting: Setting | None, tries: Sequence[FrozenTrial]) -> Cell:
    trial = trials.counting(tries)
    # A cell that was given back shows what it had.
    facts = (trial or tries[-1]).user_attrs if tries else {}
    if trials.SETTING in facts:
        setting = Setting(**facts[trials.SETTING])
    scores, last = [], {}
    for name, value in facts.items():
        if name.startswith("score "):
            seed, fold = map(int, name.split()[1:])
            last = value
            known = {name: value[name] for name in ("accuracy", "seconds", "right") if name in value}
            scores.append(Score(seed=seed, fold=fold, **known))
    scores.sort(key=lambda score: (score.seed, score.fold))
    values = [score.accuracy for score in scores]
    return Cell(
        number=number,
        state=STATES[trial.state] if trial else "waiting",
        setting=setting,
        scores=scores,
        mean=fmean(values) if values else None,
        se=stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None,
        params=last.get("params"),
        teacher_texts=last.get("teacher_texts"),
        error=facts.get(trials.ERROR),
    )


def best_of(cells: Sequence[Cell], usual: float) -> int | None:
    """Of cells that are done: the highest mean, and of equal ones the one nearest the defaults.

    ``usual``: the temperature that is the default for these texts.
    """
    done = [cell for cell in cells if cell.state == "done"]
    return max(done, key=lambda cell: (cell.mean, *(-x for x in _cost(cell, usual)))).number if done else None


def optimism(cells: Sequence[Cell], resamples: int) -> float | None:
    """By how much the best mean flatters its cell, because it was picked for it; None for a single cell.

    Folds and seeds are drawn with replacement; the mean of the cell that is best on what was drawn, minus
    its mean on what was not (bootstrap bias corrected cross-validation, Tsamardinos et al. 2018).
    """
    done = [[score.accuracy for score in cell.scores] for cell in cells if cell.state == "done"]
    if len(done) < 2 or len(done[0]) < 2:
        return None
    accuracy = np.array(done)
    size = accuracy.shape[1]
    drawn = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), resamples)
    drawn = drawn[(drawn == 0).any(axis=1)]
    inside = drawn @ accuracy.T / size
    left_out = (drawn == 0) @ accuracy.T / (drawn == 0).sum(axis=1, keepdims=True)
    picked = np.arange(len(drawn)), inside.argmax(axis=1)
    return float(accuracy.mean(axis=1).max() - left_out[picked].mean())


def flattered(search: SearchResult) -> str:
    """``optimism`` in a sentence."""
    states = Counter(cell.state for cell in search.cells)
    tried, pruned = states["done"] + states["pruned"], states["pruned"]
    high = points(max(0.0, search.optimism or 0.0)).removeprefix("+")
    # The best was chosen from those that were given up, too, and the bootstrap cannot draw them.
    about, without = ("at least", f", without the {pruned:,} that were given up") if pruned else ("about", "")
    expected = f"{about} {high} less" if pruned or not high.startswith("0.0") else "hardly less"
    return (
        f"The best of {tried:,} settings was picked on these very texts, which flatters it: on others expect "
        f"{expected} than its mean (bootstrap of the choice{without})."
    )


def choose(cells: Sequence[Cell], usual: float) -> int | None:
    """The one-standard-error choice; see ``SearchResult`` and ``best_of``."""
    able = [cell for cell in cells if cell.near_best]
    return min(able, key=lambda cell: (*_cost(cell, usual), -(cell.mean or 0))).number if able else None


def compared_with_best(cells: Sequence[Cell], best: Cell | None) -> list[Cell]:
    """The same cells, those that are done with their difference from ``best``, where there is one."""
    if best is None:
        return list(cells)
    with_difference = []
    for cell in cells:
        if cell.state == "done":
            from_best = _remembered(tuple(best.scores), tuple(cell.scores))
            found = {
                "from_best": from_best,
                "same_as_best": from_best.low <= 0 <= from_best.high,
                "near_best": from_best.mean <= (from_best.se or 0.0),
            }
            cell = cell.model_copy(update=found)
        with_difference.append(cell)
    return with_difference


def difference(best: Sequence[Score], other: Sequence[Score]) -> Difference:
    """Over the n pairs of one fold and seed: d, s / √n, and d ± t(0.975, n - 1) s √(1/n + 1/(k - 1)).

    The students of k folds share training texts, and those of a fold's seeds all of them: 1/(k - 1), the
    texts held out over those trained on, makes up for that (Nadeau and Bengio 2003). Folds that happen to
    differ alike have s near 0: the interval is at least that of the texts, text by text (``judge``).
    """
    theirs = {(score.seed, score.fold): score.accuracy for score in other}
    pairs = [score.accuracy - theirs[score.seed, score.fold] for score in best]
    mean = fmean(pairs)
    se, folds = stdev(pairs) / math.sqrt(len(pairs)), len({score.fold for score in best})
    t = special.stdtrit(len(pairs) - 1, 0.5 + CONFIDENCE / 2)
    half = t * se * math.sqrt(1 + len(pairs) / (folds - 1))
    low, high = mean - half, mean + half
    gains = _gains(best, other)
    if half < SURE * math.sqrt(float((gains**2).sum())) / max(gains.size, 1):
        texts = judge(gains)
        low, high = min(low, texts.low), max(high, texts.high)
    return Difference(mean=mean, se=se, low=low, high=high)


# 10 ms each; an open page asks every few seconds, and few of them change.
_remembered = lru_cache(maxsize=1_000)(difference)


def _gains(best: Sequence[Score], other: Sequence[Score]) -> NDArray[np.float64]:
    """(seeds, texts): 1 where the best alone is right, -1 where the other is.

    The parts held out are together the training texts. Of searches of before, no texts.
    """
    if not all(score.right for score in (*best, *other)):
        return np.zeros((1, 0))
    theirs = {(score.seed, score.fold): score.right for score in other}
    by_seed: dict[int, list[int]] = {}
    for score in best:
        pairs = zip(score.right, theirs[score.seed, score.fold], strict=True)
        by_seed.setdefault(score.seed, []).extend(int(mine) - int(its) for mine, its in pairs)
    return np.array(list(by_seed.values()), dtype=np.float64)


def _cost(cell: Cell, usual: float) -> tuple[Any, ...]:
    """What decides between cells that are as good: less is better."""
    setting = cell.setting
    if setting is None:  # a cell that is done has one
        return (math.inf,)
    # A doubled temperature is as far away as a quarter of alpha's range.
    far = abs(math.log2(setting.temperature / usual)) + 4 * abs(setting.alpha - ObjectiveConfig().alpha)
    return (cell.params or 0, cell.teacher_texts or 0, far)
