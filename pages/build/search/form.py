"""The form of a search: what each training shares, what differs from cell to cell, and how it is compared."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kd_core.errors import ConfigError, KDError, RunError
from kd_core.models.presets import STUDENTS
from kd_core.objectives import CARDS
from kd_core.search import Outlook, SearchConfig
from kd_core.system import formatting
from pages.shared.fields import field
from pages.shared.live_job import say_what_waits, under_way
from pages.shared.run_form.consent import agree, consent
from pages.shared.run_form.models import choose_student, choose_task, choose_teacher
from pages.shared.run_form.objective import choose_rest, choose_seeds
from pages.shared.run_form.plan import outlook_of
from pages.shared.state import runner, store
from pages.shared.text import escape, term
from pages.shared.typed import as_typed

METHODS = {"grid": "Grid", "random": "Random", "tpe": "TPE"}
HOW = {
    "grid": "Every temperature with every alpha.",
    "random": "Numbers between the smallest and the largest of each list, by chance.",
    "tpe": "Numbers between the smallest and the largest of each list, guided by what was good so far.",
}
TYPED = "Type a number and press Enter to add it."


def search_form() -> None:
    """All of it, with the button that starts the search and opens it: on top, so that it is in view."""
    top = st.container(key="search-top")
    left, right = st.columns([2, 1])
    with left:
        task = choose_task()
    study = right.text_input(
        "Name", key="search.name", max_chars=200, placeholder="optional", help="To find the search again"
    )
    left, right = st.columns(2)
    with left:
        teacher = choose_teacher()
    with right:
        student = choose_student()
    values: dict[str, Any] = {
        "temperatures": _numbers("temperatures", "Temperatures to try", f"{term('temperature')} {TYPED}"),
        "alphas": _numbers("alphas", "Alphas to try", f"{term('alpha')} {TYPED}"),
    }
    left, right = st.columns(2)
    values["folds"] = field(SearchConfig, "folds", key="search.folds", container=left)
    seeds = choose_seeds(container=right)
    as_typed("search.method", {method: (method, name) for method, name in METHODS.items()})
    values["method"] = st.segmented_control(
        "Method",
        list(METHODS),
        default="grid",
        format_func=METHODS.__getitem__,
        key="search.method",
        required=True,
        bind="query-params",
    )
    st.caption(HOW[values["method"]])
    if values["method"] != "grid":
        values["trials"] = field(SearchConfig, "trials", key="search.trials")
    with st.expander("More to try, and how", icon=":material/add_circle:"):
        values |= _more()
    with st.expander("Settings that all trainings share", icon=":material/tune:"):
        rest = choose_rest(task, without={"training.seeds"})
    rest["training"]["seeds"] = seeds
    given = {"task": task, "teacher": teacher, "student": student}
    values["distill"] = {name: section | given.get(name, {}) for name, section in rest.items()}
    values["study"] = study.strip()
    with top:
        _start(values)


def _start(values: dict[str, Any]) -> None:
    problems: tuple[str, ...] = ()
    config, expected = None, None
    try:
        config = SearchConfig.from_dict(values)
        if consent(config.distill, config.students):
            expected = outlook_of(config)
    except ConfigError as error:
        problems = error.problems
    except KDError as error:
        problems = (str(error),)
    for problem in problems:
        st.error(escape(problem), icon=":material/error:")
    clicked = st.button(
        f"Start search · {formatting.duration(expected.seconds)}" if expected else "Start search",
        key="search.start",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=not expected,
    )
    say_what_waits()
    if config and expected:
        st.caption(_how_much(config, expected))
    if clicked and config and expected:
        try:
            st.query_params["study"] = _submit(config)
        except KDError as error:
            st.error(escape(error), icon=":material/error:")
        else:
            st.rerun()


def _submit(config: SearchConfig) -> str:
    """The study. A second click finds the one that is under way. Raises: RunError where the name is taken."""
    if job := under_way(config, "search"):
        return job.study
    if config.study and any(other.study == config.study for other in store().runs(kind="search")):
        raise RunError(f"There is a search named {config.study!r} already. Choose another name.")
    job_id = runner().submit(config, config.study, kind="search")
    return config.study or job_id


def _how_much(config: SearchConfig, expected: Outlook) -> str:
    folds, seeds = config.folds, len(config.seeds)
    each = f"{folds} folds" + (f" x {seeds} seeds" if seeds > 1 else "")
    alone = "the student alone" if len(config.alone) == 1 else f"{len(config.alone):,} students alone"
    return (
        f"**{expected.trainings:,} trainings:** {len(config.settings):,} settings and {alone}, each on "
        f"{each}, and {folds} teachers"
        + (f"; {expected.workers} students at a time. " if expected.workers > 1 else ". ")
        + "Then one run of the chosen setting, the only one to see the test texts. The time is "
        + ("from your past runs." if expected.measured else "a guess until a run like it is done here.")
    )


def _numbers(name: str, label: str, help: str) -> list[str]:
    defaults = [f"{value:g}" for value in SearchConfig.model_fields[name].default]
    more = {"temperatures": ["1.5", "3", "6", "12", "16"], "alphas": ["0", "0.2", "0.5", "0.7", "0.9", "1"]}
    return st.multiselect(
        label,
        sorted({*defaults, *more[name]}, key=float),
        default=defaults,
        key=f"search.{name}",
        help=help,
        accept_new_options=True,
        bind="query-params",
    )


def _typed_students() -> None:
    agree(st.session_state["search.students"])


def _more() -> dict[str, Any]:
    """Further dimensions: each multiplies the number of trainings of a grid."""
    st.caption("Each of these multiplies a grid. Left empty: the one value of the settings above and below.")
    return {
        "students": st.multiselect(
            "Students",
            list(STUDENTS),
            key="search.students",
            help=f"{term('student')} Choose, or type a folder or a Hub id and press Enter.",
            bind="query-params",
            accept_new_options=True,
            on_change=_typed_students,
        ),
        "learning_rates": st.multiselect(
            "Learning rates",
            ["0.0001", "0.0003", "0.001", "0.003"],
            key="search.learning_rates",
            help=TYPED,
            bind="query-params",
            accept_new_options=True,
        ),
        "divergences": st.multiselect(
            "Soft losses",
            list(CARDS),
            key="search.divergences",
            help=term("soft loss"),
            bind="query-params",
        ),
        "pruning": field(
            SearchConfig, "pruning", key="search.pruning", label="Give up hopeless settings early"
        ),
        "workers": field(SearchConfig, "workers", key="search.workers", label="Trainings at once"),
    }
