"""The cells of a search as trials in Optuna's tables, which all its workers share. No torch.

A worker takes one waiting cell after the other. It says every few seconds that it is alive; where it stays
silent its trial fails, and the cell waits again as a new trial that keeps the scores of the finished folds.
Whoever takes a trial first looks whether an older one of that cell counts: so each cell is done once,
although no worker is in charge. The student alone, which has no temperature, has a study of its own beside
that of the other cells, or Optuna's pictures would have no temperature either.
"""

from __future__ import annotations

import os
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import product
from statistics import fmean
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from kd_core.config import of_today
from kd_core.errors import DivergedError, RunError, StoreError
from kd_core.jobs.states import ALONE
from kd_core.jobs.store.database import Database
from kd_core.search.config import Pruning, SearchConfig, Setting
from kd_core.system.control import Control, insist
from kd_core.system.process import alive, owner

BEAT, GRACE = 10, 60  # seconds between signs of life, and without one until a worker counts as dead
LOOK_EVERY = 1.0  # while others work on the last cells

Queues = dict[optuna.Study, tuple[Sequence[Setting | None], list[str]]]
WAITING, RUNNING, FAIL = TrialState.WAITING, TrialState.RUNNING, TrialState.FAIL

# What a trial (or, from ``CONFIG`` on, a study) carries; "score SEED FOLD" besides.
CELL, SETTING, ERROR, OWNER = "cell", "setting", "error", "owner"
CONFIG, PRECISION, FINGERPRINT, RUN, TEACHER = "config", "precision", "fingerprint", "run", "teacher"
TRAINED_BY, METRIC, USUAL = "training_version", "metric", "usual_temperature"


# Of the database, while it is away.
AWAY = (StorageInternalError, SQLAlchemyError)
PATIENCE = 60.0


_TRIALS = sa.table(  # Optuna's
    "trials", sa.column("trial_id"), sa.column("state"), sa.column("datetime_start", sa.DateTime)
)


class _Superseded(Exception):
    """This trial has nothing to do: an older one of its cell counts."""


class _Storage(RDBStorage):
    def record_heartbeat(self, trial_id: int) -> None:
        with suppress(*AWAY):  # away for a moment: the training goes on
            super().record_heartbeat(trial_id)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        if state != RUNNING:
            return super().set_trial_state_values(trial_id, state, values)
        self.record_heartbeat(trial_id)  # a trial without any sign of life would never be given back
        # In one statement: Optuna reads and then writes, between which SQLite lets another worker read.
        take = (
            sa.update(_TRIALS)
            .where(_TRIALS.c.trial_id == trial_id, _TRIALS.c.state == sa.literal_column("'WAITING'"))
            .values(state=sa.literal_column("'RUNNING'"), datetime_start=datetime.now())
        )
        with self.engine.begin() as connection:
            return connection.execute(take).rowcount == 1


@contextmanager
def connected() -> Iterator[RDBStorage]:
    """Optuna's storage in the store's database. Raises: StoreError, whatever goes wrong there meanwhile."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # each trial would have a line
    database = Database(os.environ.get("KD_DATABASE_URL"))
    try:
        with database.begin():
            pass
        with database.store_errors():
            storage = _open(database.address)
            try:
                yield storage
            finally:
                storage.remove_session()
                storage.engine.dispose()
    finally:
        database.close()


def _open(address: str) -> RDBStorage:
    # SQLite lets one write at a time, and the others wait so long.
    options = {"connect_args": {"timeout": 60}} if address.startswith("sqlite") else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of the heartbeat
        for last in (False, True):
            try:
                return _Storage(address, options, heartbeat_interval=BEAT, grace_period=GRACE)
            except SQLAlchemyError:  # another process makes the tables in this moment
                if last:
                    raise
            except RuntimeError as error:
                raise StoreError(f"The searches are from another version of Optuna. {error}") from error
    raise AssertionError


@dataclass(frozen=True)
class Board:
    """One search: the study of its cells, and that of the student alone."""

    cells: optuna.Study
    alone: optuna.Study

    @property
    def facts(self) -> dict[str, Any]:
        """What was decided when the search began, and what concerns it as a whole."""
        return of_today(self.cells.user_attrs)

    @property
    def config(self) -> SearchConfig:
        return SearchConfig.from_dict(self.facts[CONFIG])

    def note(self, key: str, value: Any) -> None:
        self.cells.set_user_attr(key, value)


def find(storage: RDBStorage, name: str) -> Board:
    """Raises: RunError, where there is no such search."""
    try:
        board = Board(*(optuna.load_study(study_name=name + end, storage=storage) for end in ("", ALONE)))
    except KeyError:
        board = None
    if board is None or CONFIG not in board.facts:
        raise RunError(f"There is no search named {name!r}; kd search --name makes one.")
    return board


def begin(storage: RDBStorage, name: str, config: SearchConfig, facts: Mapping[str, Any]) -> Board:
    """A new search, or that of this name with the same settings. Raises: RunError where it has others."""
    board = Board(
        *(
            optuna.create_study(
                study_name=name + end, storage=storage, direction="maximize", load_if_exists=True
            )
            for end in ("", ALONE)
        )
    )
    mine = config.model_dump(mode="json") | {"study": name}
    if CONFIG not in board.facts:
        for key, value in facts.items():
            board.note(key, value)
        board.note(CONFIG, mine)  # last: a search that has it is whole
    del mine["workers"]  # of whoever works here
    if others := _differences(board.facts[CONFIG], mine):
        more = f"; and {len(others) - 3} more" if len(others) > 3 else ""
        shown = "; ".join(others[:3]) + more
        raise RunError(
            f"There is a search named {name!r} already, with other settings ({shown}). Choose another name, "
            f"or go on with it as it is: kd search --resume {name!r}"
        )
    return board


def _differences(theirs: Mapping[str, Any], mine: Mapping[str, Any], prefix: str = "") -> list[str]:
    differences = []
    for key in mine:
        a, b = theirs.get(key), mine[key]
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            differences += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            differences.append(f"{prefix.removeprefix('distill.')}{key}: {_shown(a)} there, {_shown(b)} here")
    return differences


def _shown(value: Any) -> str:
    return (",".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def cell_trials(study: optuna.Study) -> dict[int, list[FrozenTrial]]:
    """The trials of each cell, oldest first."""
    by_cell: defaultdict[int, list[FrozenTrial]] = defaultdict(list)
    for trial in study.get_trials(deepcopy=False):
        if CELL in trial.user_attrs:  # Optuna makes one of its own where another worker was quicker
            by_cell[trial.user_attrs[CELL]].append(trial)
    return by_cell


def counting(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The one that decides about its cell: the oldest that was not given back."""
    return next((t for t in trials if t.state != FAIL or ERROR in t.user_attrs), None)


def work(
    board: Board,
    config: SearchConfig,
    score: Callable[[Setting, bool, int, int], dict[str, Any]],
    progress: Callable[[], None],
    control: Control,
) -> None:
    """Take cells until all are done, also those that others took and gave back.

    ``score(setting, alone, fold, seed)`` trains one student: {"accuracy": ..., "seconds": ..., ...}, where
    "accuracy" is the score by the search's metric.
    Raises: Stopped; what was measured until then is kept.
    """
    board.cells.pruner = _pruner(config.pruning)
    parameters = [name for name, options in config.choices.items() if len(options) > 1]
    trainings = list(product(config.seeds, range(config.folds)))
    queues: Queues = {board.alone: (config.alone, []), board.cells: (config.settings, parameters)}

    def attempt(trial: optuna.Trial) -> float:
        alone = trial.study is board.alone
        setting = _begin(trial, config, alone)
        trial.set_user_attr(OWNER, owner())
        values: list[float] = []
        for step, (seed, fold) in enumerate(trainings):
            name = score_name(seed, fold)
            if name not in trial.user_attrs:
                try:
                    scores = score(setting, alone, fold, seed)
                except DivergedError as error:
                    trial.set_user_attr(ERROR, str(error))
                    raise
                insist(partial(trial.set_user_attr, name, scores), AWAY, PATIENCE, LOOK_EVERY)
                progress()
            values.append(trial.user_attrs[name]["accuracy"])
            if not alone:
                # Wilcoxon compares fold by fold, the median what is known so far.
                trial.report(values[-1] if config.pruning == "wilcoxon" else fmean(values), step)
                # After its last training there is nothing left to save, and the cell can be compared.
                if step < len(trainings) - 1 and trial.should_prune():
                    raise optuna.TrialPruned
        return fmean(values)

    while True:
        control.check()
        for study, (settings, names) in queues.items():
            _refill(study, settings, names)
        states = {study: {trial.state for trial in study.get_trials(deepcopy=False)} for study in queues}
        if waiting := [study for study in queues if WAITING in states[study]]:
            _take(waiting[0], attempt)
        elif any(RUNNING in states[study] for study in queues):
            _give_back_the_dead(queues)
            progress()
            time.sleep(LOOK_EVERY)
        else:
            return


def score_name(seed: int, fold: int) -> str:
    return f"score {seed} {fold}"


def _take(study: optuna.Study, attempt: Callable[[optuna.Trial], float]) -> None:
    """The next trial that waits."""
    lost = []

    def objective(trial: optuna.Trial) -> float:
        try:
            return attempt(trial)
        except UpdateFinishedTrialError:
            lost.append(trial.number)
            raise

    try:
        study.optimize(objective, n_trials=1, catch=(DivergedError, _Superseded))
    except ValueError:
        # This process was asleep for so long that its trial was given to another: there is nothing to tell.
        if not lost:
            raise


def _begin(trial: optuna.Trial, config: SearchConfig, alone: bool) -> Setting:
    """What this trial has to try."""
    cell = trial.user_attrs.get(CELL)
    if cell is None:
        raise _Superseded
    first = counting(cell_trials(trial.study)[cell])
    if first and first.number != trial.number:
        raise _Superseded
    if alone:
        return config.alone[int(cell)]
    # Of its own number, so that a search by one worker can be repeated.
    if config.method == "tpe":
        trial.study.sampler = optuna.samplers.TPESampler(seed=trial.number, constant_liar=True)
    values = {name: _suggest(trial, name, options) for name, options in config.choices.items()}
    setting = Setting(**values)
    trial.set_user_attr(SETTING, setting.model_dump())
    return setting


def _suggest(trial: optuna.Trial, name: str, options: tuple[Any, ...]) -> Any:
    if len(options) == 1:
        return options[0]
    if name in ("student", "divergence"):
        return trial.suggest_categorical(name, options)
    return trial.suggest_float(name, min(options), max(options), log=name != "alpha")


def _refill(study: optuna.Study, settings: Sequence[Setting | None], parameters: Iterable[str]) -> None:
    """Let each cell wait that is neither done nor under way."""
    by_cell = cell_trials(study)
    for cell, setting in enumerate(settings):
        tries = by_cell.get(cell, [])
        if counting(tries):
            continue
        attributes: dict[str, Any] = {CELL: cell}
        params: dict[str, Any] = {}
        if setting:
            attributes[SETTING] = setting.model_dump()
            params = {name: getattr(setting, name) for name in parameters}
        for trial in tries:  # the scores of the folds that it had finished
            attributes |= {name: value for name, value in trial.user_attrs.items() if name != OWNER}
            params |= trial.params
        study.enqueue_trial(params, user_attrs=attributes)


def _give_back_the_dead(studies: Iterable[optuna.Study]) -> None:
    """At once where the process was on this machine; elsewhere its silence decides."""
    for study in studies:
        for trial in study.get_trials(deepcopy=False, states=(RUNNING,)):
            if OWNER in trial.user_attrs and not alive(trial.user_attrs[OWNER]):
                study.tell(trial.number, state=FAIL, skip_if_finished=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            optuna.storages.fail_stale_trials(study)


def _pruner(pruning: Pruning) -> optuna.pruners.BasePruner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        match pruning:
            case "median":
                return optuna.pruners.MedianPruner(n_warmup_steps=1)
            case "wilcoxon":
                return optuna.pruners.WilcoxonPruner()
        return optuna.pruners.NopPruner()
