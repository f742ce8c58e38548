"""One search: its job, the map of what it has found, and the settings to take from it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.distillation.roles import metric_name
from kd_core.errors import RunError
from kd_core.jobs.states import PENDING
from kd_core.jobs.store import RunRow
from kd_core.search import Cell, Score, SearchResult, cells_study, result
from kd_core.search.example import example
from kd_core.search.results import flattered
from kd_core.system import formatting
from pages.build.search.folds import folds_view
from pages.shared import addresses
from pages.shared.badges import floor_badge
from pages.shared.beside import again
from pages.shared.charts import chart, is_dark
from pages.shared.live_job import job_view
from pages.shared.run_form.link import form_link
from pages.shared.state import store
from pages.shared.text import escape, prose, term, unbroken

ENOUGH = 6  # cells, until Optuna's pictures say anything
NAMES = {
    "temperature": "Temperature",
    "alpha": "Alpha",
    "learning_rate": "Learning rate",
    "student": "Student",
    "divergence": "Soft loss",
}


def searches() -> dict[str, RunRow]:
    """Each study's job, newest first; where a study has several, the one under way."""
    jobs: dict[str, RunRow] = {}
    for row in store().runs(kind="search"):
        job = jobs.setdefault(row.study, row)
        if row.status in PENDING and job.status not in PENDING:
            jobs[row.study] = row
    return jobs


def study_line(study: str, row: RunRow) -> str:
    named = row.name or (study if study != row.id else "")  # without a name, it goes by its first job's id
    facts = (
        named,
        row.models,
        f"{row.created.astimezone():%d %b %Y %H:%M}",
    )
    how = row.status if row.status not in PENDING else ""  # of one under way its live view says so, in time
    return " · ".join(filter(None, (*facts, how)))


def example_view() -> None:
    """What a search finds, before there is one here."""
    search = example()
    distill = search.config.distill
    st.subheader("An example of what it finds", anchor=False)
    _map(search)
    st.caption(
        f"Recorded with KD Studio: {distill.student.model} on {distill.task.name}, "
        f"{len(search.cells):,} settings, {distill.training.steps:,} steps each."
    )


def search_view(study: str, row: RunRow) -> None:
    if row.status != "done":
        with st.container(border=True):
            job_view(row, "search.job")
            if row.status not in PENDING:
                st.caption("Finished trainings are kept; it goes on with the next one.")
    again(_results, study, row, every=3 if row.status in PENDING else None)


def _results(study: str, row: RunRow) -> None:
    try:
        search = _found(study, row)
    except RunError:
        if row.status == "done":
            raise
        if row.status in PENDING:
            st.caption(":material/hourglass_top: The map appears as soon as the texts are read.")
        else:
            st.caption(":material/info: It ended before its first training, so there is no map yet.")
        return
    _map(search)
    _choices(search)
    _test(search)
    _pictures(search, row.id)
    with st.expander("How the settings are compared", icon=":material/splitscreen:"):
        folds_view(search.config.folds)


def _found(study: str, row: RunRow) -> SearchResult:
    """From Optuna's tables or, where these are gone with a database, what was kept in the end."""
    try:
        return result(study)
    except RunError as error:
        try:
            return SearchResult.model_validate(store().report_json(row.id))
        except RunError:
            raise error from None


def _map(search: SearchResult) -> None:
    chosen = _slice(search)
    cells = _rows(search, chosen)
    alone = _alone(search, chosen)
    grid = search.config.method == "grid"
    if grid:
        beside = _row(search, alone) if alone else None
        figure = figures.search_map(cells, beside, measure=metric_name(search.metric), dark=is_dark())
    else:
        figure = figures.search_dots(cells, measure=metric_name(search.metric), dark=is_dark())
    chart(figure, key="search.map", alt=_in_words(search, cells))
    words = (
        f"Mean ± standard error over {_times(search)} of the training data; no test text is used. "
        f"**{'Hatched' if grid else 'Diamonds'}:** cannot be told from the best (the 95 % interval of their "
        "difference includes 0); more folds or seeds tell more. **Best:** the highest mean; **choice:** "
        "the cheapest (smallest student, then fewest texts for the teacher to label, then nearest to the "
        "defaults) that is at most one standard error of their difference below the best."
    )
    if search.best is not None and search.best == search.choice:
        words += " **Both:** one setting is the best and the choice."
    if grid and not search.complete:
        words += " **Empty:** not trained yet."
    st.caption(unbroken(words))
    with st.container(horizontal=True, gap="medium"):
        if alone and alone.scores:
            rate = ""
            if alone.setting and not grid and len(search.config.choices["learning_rate"]) > 1:
                rate = f" At the learning rate {alone.setting.learning_rate:g}, the best for it here."
            st.metric(
                "Student alone",
                _percent(alone.mean),
                _error(alone.se),
                **_GREY,
                help=term("student alone") + rate,
            )
        if search.teacher:
            _teacher(search.teacher)
        if alone and alone.from_best and _shows_best(search, chosen):
            difference = alone.from_best
            span = f"95 %: {formatting.interval(difference.low, difference.high)}"
            if difference.high - difference.low > 1:  # of two folds: wider than accuracies can be apart
                span = "95 %: too few folds to tell"
            st.metric(
                "Best over alone",
                formatting.points(difference.mean),
                span,
                **_GREY,
                help="Fold by fold. The best was picked on these folds, which flatters it.",
            )


_GREY: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off", "width": "content"}


def _slice(search: SearchResult) -> dict[str, Any]:
    """The student, learning rate and loss that the map shows, where the search has several."""
    names = ["student", "divergence"] + ["learning_rate"] * (search.config.method == "grid")
    several = {name: search.config.choices[name] for name in names if len(search.config.choices[name]) > 1}
    if not several:
        return {}
    best = search.cells[search.best].setting if search.best is not None else None
    chosen = {}
    for column, (name, options) in zip(st.columns(len(several)), several.items(), strict=True):
        index = options.index(getattr(best, name)) if best else 0
        chosen[name] = column.selectbox(NAMES[name], options, index=index, key=f"search.of_{name}")
    return chosen


def _rows(search: SearchResult, chosen: dict[str, Any]) -> pd.DataFrame:
    shown = [_row(search, cell) for cell in search.cells if cell.setting and _is_of(cell, chosen)]
    columns = ["temperature", "alpha", "state", "mean", "se", "scores", "of", "same", "mark"]
    return pd.DataFrame(shown, columns=columns)


def _row(search: SearchResult, cell: Cell) -> pd.Series[Any]:
    setting, alone = cell.setting, cell in search.alone
    marks = [name for name in ("best", "choice") if not alone and getattr(search, name) == cell.number]
    return pd.Series(
        {
            "temperature": setting.temperature if setting else None,
            "alpha": setting.alpha if setting else None,
            "state": cell.state,
            "mean": cell.mean,
            "se": cell.se,
            "scores": len(cell.scores),
            "of": search.config.folds * len(search.config.seeds),
            "same": bool(cell.same_as_best) and search.best is not None,
            "mark": "both" if len(marks) > 1 else "".join(marks),
        }
    )


def _alone(search: SearchResult, chosen: dict[str, Any]) -> Cell | None:
    """The student alone, of the size and learning rate that the map shows; of several rates the best."""
    fixed = {name: value for name, value in chosen.items() if name != "divergence"}
    own = [cell for cell in search.alone if _is_of(cell, fixed)]
    return max(own, key=lambda cell: cell.mean or 0.0, default=None)


def _is_of(cell: Cell, chosen: dict[str, Any]) -> bool:
    return all(getattr(cell.setting, name) == value for name, value in chosen.items())


def _shows_best(search: SearchResult, chosen: dict[str, Any]) -> bool:
    return search.best is not None and _is_of(search.cells[search.best], chosen)


def _teacher(scores: list[Score]) -> None:
    values = pd.Series([score.accuracy for score in scores])
    error = values.std() / len(values) ** 0.5 if len(values) > 1 else None
    st.metric("Teachers of the folds", _percent(values.mean()), _error(error), **_GREY, help=term("teacher"))


def _choices(search: SearchResult) -> None:
    if search.best is None or search.choice is None:
        return
    st.subheader("Which settings to take" + ("" if search.complete else ", so far"), anchor=False)
    if search.optimism is not None:
        st.caption(flattered(search))
    if search.best == search.choice:
        _card(search, search.best, "Best mean and one-standard-error choice", "Both rules choose it.")
        return
    left, right = st.columns(2)
    with left:
        measure = escape(metric_name(search.metric))
        _card(search, search.best, "Best mean", f"The highest mean {measure} on the held-out texts.")
    with right:
        difference = search.cells[search.choice].from_best
        reason = (
            "Of those at most one standard error below the best, fold by fold: the smallest student, then "
            "the fewest texts that the teacher labels, then nearest to the defaults."
        )
        if difference:
            error = "" if difference.se is None else f"standard error {100 * difference.se:.1f}, "
            reason = (
                f"{100 * difference.mean:.1f} points below the best ({error}95 % interval "
                f"{formatting.interval(difference.low, difference.high)}). {reason}"
            )
        _card(search, search.choice, "One-standard-error choice", reason)


def _card(search: SearchResult, number: int, title: str, reason: str) -> None:
    cell, config = search.cells[number], search.chosen(number)
    setting = cell.setting
    assert setting is not None
    assert config is not None
    with st.container(border=True, height="stretch"):
        st.markdown(f"**{title}**")
        facts = [f"T {setting.temperature:.3g}", f"alpha {setting.alpha:.3g}"]
        choices = search.config.choices
        if len(choices["learning_rate"]) > 1:
            facts.append(f"learning rate {setting.learning_rate:.3g}")
        facts += [str(getattr(setting, name)) for name in ("student", "divergence") if len(choices[name]) > 1]
        st.metric(escape(", ".join(facts)), _percent(cell.mean), _error(cell.se), **_GREY)
        st.caption(reason)
        st.page_link(
            addresses.DISTILL,
            label="Use these settings",
            icon=":material/arrow_forward:",
            query_params=form_link(config),
        )


def _test(search: SearchResult) -> None:
    """The chosen setting on the test texts, on which no other setting is measured."""
    if search.run_id is None:
        return
    try:
        row = store().run(search.run_id)
    except RunError:
        st.caption("The run of the chosen setting was deleted.")
        return
    with st.container(border=True):
        if row.status == "done" and row.delta is not None:
            scores, measure = row.scores
            prose(
                "**On the test texts, which the search did not see:** "
                f"{escape(measure)} {_percent(scores['student'])} for the chosen setting, "
                f"{escape(row.gained)} "
                "over the same student trained alone (95 % interval "
                f"{formatting.interval(row.low or 0.0, row.high or 0.0)})."
            )
            floor_badge(row.over_floor, help=term("TF-IDF"))
            st.page_link(
                addresses.REPORT,
                label="Open the report",
                icon=":material/lab_profile:",
                query_params={"run": row.id},
            )
        else:
            waits = row.status in PENDING
            state = "is not done yet" if waits else "ended before it was done"
            st.markdown(f"The chosen setting's run on all training data {state}.")
            st.page_link(
                addresses.DISTILL,
                label="Watch it" if waits else "Open it, to see why and to resume it",
                icon=":material/arrow_forward:",
                query_params={"run": row.id},
            )


def _pictures(search: SearchResult, job: str) -> None:
    """Optuna's own charts, once there is enough to see."""
    done = sum(cell.state == "done" for cell in search.cells)
    if done < ENOUGH:
        return
    with st.expander("Which settings matter", icon=":material/insights:"):
        try:
            parallel, importance = _optuna_figures(search.study, job, done, metric_name(search.metric))
        except RunError:
            st.caption("These pictures are made of Optuna's own tables, which are gone with a database.")
            return
        if importance is None:
            st.caption("Only one setting differs, or all cells are equal: nothing to rank.")
        else:
            chart(_styled(importance), key="search.importance", alt="How much each setting decides")
            st.caption("How much each setting decides whether a cell is among the best (PED-ANOVA).")
        chart(
            _styled(parallel),
            key="search.parallel",
            alt=f"One line for each setting, by {metric_name(search.metric)}",
        )


@st.cache_data(max_entries=8, show_spinner="Drawing")
def _optuna_figures(study: str, job: str, done: int, measure: str) -> tuple[Any, Any]:
    """``job`` and ``done``, the number of finished cells, are there for the cache: one more draws them anew,
    and so does another search that has the name of a deleted one."""
    from optuna.visualization import plot_parallel_coordinate, plot_param_importances

    cells = cells_study(study)
    parallel = plot_parallel_coordinate(
        cells, target=_percent_of, target_name=f"{formatting.capitalised(measure)} (%)"
    )
    values, varied = {trial.value for trial in cells.trials}, {*cells.trials[0].params}
    if len(values) < 2 or len(varied) < 2:
        return parallel, None
    return parallel, plot_param_importances(cells)


def _percent_of(trial: Any) -> float:
    return 100 * float(trial.value)


def _styled(figure: Any) -> Any:
    ink = figures.INK[is_dark()]
    figure.update_layout(
        template="plotly_dark" if is_dark() else "plotly_white",
        title=None,
        font={"family": figures.FONT, "color": ink, "size": 13},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 48, "r": 24, "t": 40, "b": 24},
        height=300,
    )
    return figure


def _times(search: SearchResult) -> str:
    folds, seeds = search.config.folds, len(search.config.seeds)
    return f"{folds} folds" + (f" x {seeds} seeds" if seeds > 1 else "")


def _in_words(search: SearchResult, cells: pd.DataFrame) -> str:
    done = int((cells["state"] == "done").sum())
    measure = formatting.capitalised(metric_name(search.metric))
    text = f"{measure} on held-out texts by temperature and alpha: "
    text += f"{done} of {len(cells)} settings done"
    if search.best is not None and (setting := search.cells[search.best].setting):
        itself = cells["mark"].isin(["best", "both"]).sum()
        mean, same = _percent(search.cells[search.best].mean), int(cells["same"].sum() - itself)
        text += (
            f"; the best is T {setting.temperature:.3g}, alpha {setting.alpha:.3g} with {mean}; "
            f"{same} cannot be told from it"
        )
    return text


def _percent(share: float | None) -> str:
    return "–" if share is None else formatting.percent(share)


def _error(se: float | None) -> str:
    """Of one fold there is none, and it may be an easy one."""
    return "one training so far" if se is None else f"± {100 * se:.1f} standard error"
