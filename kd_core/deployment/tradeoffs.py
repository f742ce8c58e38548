"""What models cost and how good they are, over many runs: candidates, Pareto front, the best within limits.

A *candidate* is a model in one form: a run's teacher, student or control as PyTorch runs it, or as ONNX
Runtime does (plain or int8) where a benchmark or an export has measured that; and TF-IDF. No torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_core.deployment.runtimes import Runtime
from kd_core.deployment.times import Measurement, least_disturbed
from kd_core.distillation.metrics import waited, wilson
from kd_core.distillation.roles import FLOOR, ROLES, Role
from kd_core.system.formatting import counted

if TYPE_CHECKING:
    from kd_core.jobs.store.schema import RunRow

Cost = Literal["size", "latency", "params", "flops"]
COSTS: tuple[Cost, ...] = ("size", "latency", "params", "flops")
TEST = "test"  # the other sets are named by the runs' reports
DISTURBED = ", beside other work"  # ends what a time's conditions were

_COLUMNS = (
    *("run", "name", "task", "student", "model", "created", "who", "runtime", "accuracy", "low", "high"),
    *("texts", "shifted", "size", "latency", "params", "flops", "conditions", "measures"),
)


@dataclass(frozen=True)
class Limits:
    """What a model may cost, and has to reach (a share); None: no limit."""

    size: float | None = None
    latency: float | None = None
    accuracy: float | None = None

    def __bool__(self) -> bool:
        return any(limit is not None for limit in (self.size, self.latency, self.accuracy))


def candidates(rows: Iterable[RunRow]) -> pd.DataFrame:
    """All candidates of these runs, benchmarks and exports (newest first, as the store lists them).

    ``latency`` is the median for one text, in ms, under ``conditions``: machine, threads, batch, and whether
    beside other work. The forms of a run have the times of one measurement (``times``), and what that leaves
    out those of the newest that has them. ``accuracy`` is what ``measures`` says: an F1 where the run is
    judged by one, and NaN of a form that was measured before that was kept. A teacher or student alone that
    several runs share is there once, with the time that is best to go by. ``texts`` counts the test texts;
    ``shifted``, accuracies on other ones, stays where a later measurement leaves it out. The index names each
    by run, model and runtime.
    """
    oldest_first = list(rows)[::-1]
    runs = {row.id: row for row in oldest_first if row.kind == "distil"}
    table: dict[tuple[str, Role, Runtime], dict[str, Any]] = {}
    measured: dict[str, list[Measurement]] = {}  # of each run: its own, then the oldest first
    for row in sorted(oldest_first, key=lambda row: row.kind != "distil"):
        run = runs.get(row.id if row.kind == "distil" else row.config["run"])
        if run is None:  # deleted
            continue
        timings = {(form["who"], form["runtime"]): form for form in row.forms or ()}
        measured.setdefault(run.id, []).append(Measurement(timings, None if row is run else row))
        for form in timings.values():
            known = table.get((run.id, form["who"], "pytorch"), {})
            if row is not run and form["runtime"] == "pytorch" and known:
                continue  # the run judges, over all its seeds
            table[run.id, form["who"], form["runtime"]] = {
                "run": run.id,
                "name": run.title,
                "task": _task(run),
                "student": run.student,
                "model": _architecture(run, form["who"]),
                "created": run.created,
                "measures": run.judged_by,
                "size": form["size_mb"],
                "texts": known.get("texts"),
                "flops": known.get("flops"),
                "shifted": table.get((run.id, form["who"], form["runtime"]), {}).get("shifted", {}),
                **{name: value for name, value in form.items() if name in _COLUMNS},
                **_judged(run, form),
                **_timed(row, form),
            }
    best = {run_id: least_disturbed(own, others[::-1]) for run_id, (own, *others) in measured.items()}
    for (run_id, who, runtime), candidate in table.items():
        if timing := best[run_id].timing(who, runtime):
            candidate |= _timed(best[run_id].job or runs[run_id], timing)
    frame = pd.DataFrame(table.values(), [" ".join(key) for key in table], list(_COLUMNS))[::-1]
    frame = frame.astype(dict.fromkeys(("accuracy", "low", "high"), float))
    doubt = {" ".join(key): candidate["doubt"] for key, candidate in table.items()}
    shared = ["task", "who", "runtime", "accuracy", "params", "size", "conditions", "shifted"]
    alike = frame.assign(
        shifted=frame["shifted"].map(str), conditions=frame["conditions"].str.removesuffix(DISTURBED)
    )
    same = alike.loc[sorted(alike.index, key=doubt.__getitem__)].duplicated(shared)[frame.index]
    return frame[~(same & frame["who"].map(lambda who: ROLES[who].shared))]


def _task(run: RunRow) -> str:
    """On one task, agreement with a teacher, accuracy and F1 compare with nothing, as of two tasks."""
    name = str(run.config["task"]["name"])
    return name if run.judged_by == "accuracy" else f"{name} ({run.judged_by})"


def _judged(run: RunRow, form: Mapping[str, Any]) -> dict[str, float | None]:
    """Of a run that is judged by an F1, that; not known where an older version has measured the form."""
    if run.metric == "accuracy":
        return {}
    known = form.get("judged") or {}
    return {"accuracy": known.get("score"), "low": known.get("low"), "high": known.get("high")}


def _architecture(run: RunRow, who: Role) -> str:
    """What kind of model it is: the teacher's or the student's name; "" of TF-IDF, which is no network."""
    return {"teacher": run.teacher, FLOOR: ""}.get(who, run.student)


def _timed(row: RunRow, timing: Mapping[str, Any]) -> dict[str, Any]:
    how = f"{row.machine}, {counted(timing['threads'], 'thread')}, batch {timing['batch']}"
    how += "" if timing.get("tokenizer") else ", without tokenizer"
    loud = waited(timing.get("busy")) > 0
    # In a run a model has taken no turns with its ONNX forms.
    return {
        "latency": timing["p50"],
        "conditions": how + DISTURBED * loud,
        "doubt": (loud, row.kind == "distil"),
    }


def disturbed(conditions: str) -> bool:
    return conditions.endswith(DISTURBED)


def timed_under(frame: pd.DataFrame, conditions: str) -> pd.DataFrame:
    """The candidates without the latencies that were measured otherwise: those compare with nothing here."""
    return frame.assign(latency=frame["latency"].where(frame["conditions"] == conditions))


def sets(frame: pd.DataFrame) -> list[str]:
    """The sets of texts on which some candidate's accuracy is known, the test split first."""
    return list(dict.fromkeys([TEST, *(name for shifted in frame["shifted"] for name in shifted)]))


def judged_on(frame: pd.DataFrame, texts: str) -> pd.DataFrame:
    """The candidates whose accuracy on a set of texts is known, with that accuracy.

    On the test split it is what the run is judged by, which may be an F1; elsewhere that is not kept. The
    interval is that of as many texts as the test split has: the other sets are made of those, and what is cut
    from one article is not independent.
    """
    if texts == TEST:
        return frame[frame["accuracy"].notna()]
    known = frame[frame["shifted"].map(lambda shifted: texts in shifted)]
    accuracy = known["shifted"].map(lambda shifted: shifted[texts])
    bounds = [wilson(*pair) for pair in zip(accuracy, known["texts"], strict=True)]
    low, high = zip(*bounds, strict=True) if bounds else ((), ())
    measures = known["measures"].where(known["measures"] == "agreement", "accuracy")
    return known.assign(accuracy=accuracy, low=low, high=high, measures=measures)


def front(cost: NDArray[np.floating[Any]], gain: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """The Pareto front: True where nobody has more gain at the same cost, or as much at a lower cost.

    A cost that is not known (NaN) is not on it.
    """
    order = np.lexsort((-gain, cost))  # NaN comes last
    cost, gain = cost[order], gain[order]
    best = np.maximum.accumulate(gain)
    first = np.searchsorted(cost, cost, side="left")  # of those that cost the same
    cheaper = np.where(first > 0, best[first - 1], -np.inf)
    on = np.empty(len(cost), dtype=bool)
    on[order] = (gain == best) & (gain > cheaper) & ~np.isnan(cost)
    return on


def fitting(frame: pd.DataFrame, limits: Limits) -> pd.Series[bool]:
    """Which candidates are within the limits; a latency that is not known (NaN) is not."""
    fits = pd.Series(True, index=frame.index)
    if limits.size is not None:
        fits &= frame["size"] <= limits.size
    if limits.latency is not None:
        fits &= frame["latency"] <= limits.latency
    if limits.accuracy is not None:
        fits &= frame["accuracy"] >= limits.accuracy
    return fits


def would_do(frame: pd.DataFrame, limits: Limits) -> Limits:
    """Where nothing fits: for each limit the nearest one that some candidate meets with all the others."""
    others = {name: frame[fitting(frame, replace(limits, **{name: None}))][name] for name in asdict(limits)}
    nearest = {
        name: values.max() if name == "accuracy" else values.min()
        for name, values in others.items()
        if getattr(limits, name) is not None and values.notna().any()
    }
    return Limits(**nearest)


def ranked(frame: pd.DataFrame) -> pd.DataFrame:
    """The most accurate first; of equals, the smaller, then the faster."""
    return frame.sort_values(["accuracy", "size", "latency"], ascending=[False, True, True])


def not_told_apart(best: pd.Series[Any], others: pd.DataFrame) -> pd.DataFrame:
    """Those that the test texts cannot tell from ``best``: the 95 % interval of the difference holds zero.

    Of two accuracies a > b it begins at a - b - sqrt((a - a_low)^2 + (b_high - b)^2) (Newcombe 1998, method
    10). It takes the two as independent; answers to the same texts mostly agree, so it errs on the safe side.
    """
    gap = best["accuracy"] - others["accuracy"]
    slack = np.hypot(best["accuracy"] - best["low"], others["high"] - others["accuracy"])
    alike: pd.DataFrame = others[~(gap > slack)]  # also where an interval is not known
    return alike
