"""The table of runs, and which of them are chosen."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.distillation import roles
from kd_core.figures import COLOURS
from kd_core.jobs import cleaning, states
from kd_core.jobs.states import PENDING
from kd_core.jobs.store import RunRow
from kd_core.system import formatting, paths
from pages.shared import badges
from pages.shared.charts import is_dark
from pages.shared.visitors import on_a_phone
from pages.shared.written import percent, written

COLUMN = st.column_config
CHOSEN = "runs.chosen"
ADDRESS = "chosen"  # of the same in the page's address, so that a comparison can be sent to others
OPENED = "runs.opened"  # the click on a row's button
DRAWN = "runs.drawn"  # the runs that the browser shows, by row
VERDICTS = {  # every word that there is for one, and its colour
    roles.verdict_name(kind, seeds): look[0] for seeds in (2, 1) for kind, look in badges.VERDICTS.items()
}


def choose(runs: Sequence[RunRow]) -> list[RunRow]:
    """Show the runs; returns those that are chosen."""
    ids = st.session_state[DRAWN] = [run.id for run in runs]
    tall = 68 if on_a_phone() else 35  # from 65 on names break their lines
    remembered = st.session_state.get(CHOSEN, st.query_params.get_all(ADDRESS))
    plain = _table(runs)
    losses = (plain["gain"] <= 0).any()  # they have a real minus sign; a column's own format has a hyphen
    table = written(plain, {"gain": formatting.signed}) if losses else plain
    signed = not isinstance(table, pd.DataFrame)
    event = st.dataframe(
        table,
        hide_index=True,
        # The browser remembers rows by number. A table of other runs is another widget, so that a choice can
        # never slip to another run; what was chosen is found again by its id.
        key=f"runs.table.{zlib.crc32(' '.join(ids).encode())}",
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [i for i, run in enumerate(ids) if run in remembered]}},
        column_config=_columns(
            _span(runs),
            signed=signed,
            narrow=on_a_phone(),
            two_verdicts=any(len(_verdicts(run)) > 1 for run in runs),
        ),
        placeholder="–",
        height=min(430, 38 + tall * len(runs)),
        row_height=tall,
        alt="Runs, newest first",
    )
    chosen = [runs[row] for row in sorted(event.selection.rows) if row < len(runs)]
    st.session_state[CHOSEN] = st.query_params[ADDRESS] = [run.id for run in chosen]
    return chosen


def verdict_of(run: RunRow) -> str:
    """One of ``VERDICTS``; "" where there is none."""
    return roles.verdict_name(run.verdict, run.seeds) if run.verdict else ""


def _verdicts(run: RunRow) -> list[str]:
    """What there is to say of it, that TF-IDF is as good included."""
    floor = badges.FLOORS.get(run.over_floor or "", "")
    return [said for said in (verdict_of(run), floor) if said]


def clicked(runs: Sequence[RunRow]) -> RunRow | None:
    """The run whose button was pressed just now. Others may have come since the table was drawn."""
    click, drawn = st.session_state.get(OPENED), st.session_state.get(DRAWN, [])
    pressed = drawn[click["row"]] if click and click["row"] < len(drawn) else None
    return next((run for run in runs if run.id == pressed), None)


def _span(runs: Sequence[RunRow]) -> tuple[float, float]:
    return figures.span_of(run.gain for run in runs if run.gain)


def _table(runs: Sequence[RunRow]) -> pd.DataFrame:
    elsewhere = any(run.accuracy and run.scores[1] != "accuracy" for run in runs)
    apart = any(run.gain and run.judged_by != run.scores[1] for run in runs)  # rows of older versions
    span, dark = _span(runs), is_dark()
    shape = {"height": 75} if on_a_phone() else {}  # as tall as its row there
    return pd.DataFrame(
        {
            "name": [run.title for run in runs],
            "open": [destination(run) for run in runs],
            "picture": [
                run.gain and figures.gain_picture(run.gain, span, dark=dark, **shape) for run in runs
            ],
            "gain": [percent(run.delta) for run in runs],
            **({"metric": [run.gain and run.judged_by for run in runs]} if apart else {}),
            "status": [[states.LABELS[run.status]] for run in runs],
            "verdict": [_verdicts(run) for run in runs],
            **({"measures": [run.scores[1] if run.accuracy else None for run in runs]} if elsewhere else {}),
            **{
                who: [percent(run.scores[0].get(who)) for run in runs]
                for who in ("student", "teacher", "alone")
            },
            "interval": [formatting.interval(*run.gain[1:]) if run.gain else None for run in runs],
            "curve": [list(run.sparkline) for run in runs],
            "task": [run.task for run in runs],
            "model": [run.student for run in runs],
            "temperature": [run.temperature for run in runs],
            "alpha": [run.config.get("objective", {}).get("alpha") for run in runs],
            "size": [run.size_mb for run in runs],
            "latency": [run.latency.get("student") for run in runs],
            "took": [_took(run) for run in runs],
            "disk": [_disk(run.id) if run.status == "done" else None for run in runs],
            "created": [run.created for run in runs],
            "tags": [list(run.tags) for run in runs],
        }
    )


def _columns(span: tuple[float, float], *, signed: bool, narrow: bool, two_verdicts: bool) -> dict[str, Any]:
    """``signed``: the gains are written already. ``two_verdicts``: some run has as many."""
    return {
        "name": COLUMN.TextColumn("Name", pinned=True, width=105 if narrow else 215),
        "open": COLUMN.ButtonColumn("", type="tertiary", width=75, key=OPENED),
        "picture": COLUMN.ImageColumn(
            "Gain and interval" if narrow else "Gain, with 95 % interval",
            width=140 if narrow else 175,
            help="What distillation added over the student alone. The line stands at zero; all rows have one "
            f"scale, {formatting.interval(*span)} points. An open mark: it cannot be told from zero.",
        ),
        "gain": COLUMN.NumberColumn(
            "Gain",
            format=None if signed else "%+.1f",
            help="Points that distillation added over the student alone or, where all labels are the "
            "teacher's, over the student of its hard answers",
        ),
        "metric": COLUMN.TextColumn("Gain in", help="What models of the run are judged by"),
        "status": COLUMN.MultiselectColumn(
            "Status",
            options=[states.LABELS[status] for status in badges.STATUSES],
            color=[colour for colour, _ in badges.STATUSES.values()],
        ),
        "verdict": COLUMN.MultiselectColumn(
            "Verdict",
            width=300 if two_verdicts else 150,
            options=[*VERDICTS, *badges.FLOORS.values()],
            color=[*VERDICTS.values(), *("orange" for _ in badges.FLOORS)],
            help="Distilled student against the same student trained alone: helped or hurt by several seeds, "
            "better or worse of one seed. And whether TF-IDF, which only counts words and letters, does as "
            "well or better",
        ),
        "student": COLUMN.NumberColumn(
            "Student", format="%.1f %%", help="The distilled one, on the test texts"
        ),
        "teacher": COLUMN.NumberColumn("Teacher", format="%.1f %%", help="On the test texts"),
        "alone": COLUMN.NumberColumn("Alone", format="%.1f %%", help="Trained alone, on the test texts"),
        "measures": COLUMN.TextColumn(
            "Percent of",
            help="What models of the run are judged by: accuracy, F1 where a class is rare or, without gold "
            "labels, agreement with the teacher",
        ),
        "interval": COLUMN.TextColumn("95 % interval", help="Of the gain, in points"),
        "curve": COLUMN.LineChartColumn(
            "Validation", y_min=0, y_max=1, color=COLOURS["student"][is_dark()], width=130
        ),
        "task": "Task",
        "model": "Student model",
        "temperature": COLUMN.NumberColumn(
            "T", format="%g", help="Temperature; empty while a run that left it to KD Studio is not done"
        ),
        "alpha": COLUMN.NumberColumn("Alpha", format="%g", help="Weight of the labels"),
        "size": COLUMN.NumberColumn("Size", format="%.1f MB", help="Of the student's weights"),
        "latency": COLUMN.NumberColumn(
            "Latency", format="%.2f ms", help="Of the student, one text, p50, as its run has timed it"
        ),
        "took": COLUMN.NumberColumn("Took", format="%.1f min"),
        "disk": COLUMN.NumberColumn("Disk", format="%.1f MB", help="Of the run's folder on this machine"),
        "created": COLUMN.DatetimeColumn("Created", format="distance"),
        "tags": COLUMN.ListColumn("Tags"),
    }


def destination(run: RunRow) -> str | None:
    """Where a row leads, as its button says."""
    if run.status in ("unreadable", "deleted"):
        return None
    return "Report" if run.status == "done" else "Watch" if run.status in PENDING else "Open"


@lru_cache(maxsize=50_000)  # the folder of a run that is done does not change
def _disk(run_id: str) -> float | None:
    folder = paths.runs() / run_id
    return cleaning.folder_bytes(folder) / 1e6 if folder.is_dir() else None


def _took(run: RunRow) -> float | None:
    if run.seconds is not None:
        return run.seconds / 60
    return (run.finished - run.started).total_seconds() / 60 if run.started and run.finished else None
