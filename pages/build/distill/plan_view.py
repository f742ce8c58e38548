"""What a run will do, before it does."""

from __future__ import annotations

import streamlit as st

from kd_core.distillation.events import STAGES
from kd_core.figures.towers import sizes_sentence, towers
from kd_core.job_kinds import prepared
from kd_core.jobs.advice import examine
from kd_core.jobs.estimate import Estimate
from kd_core.jobs.plan import Plan
from kd_core.models.size import ModelSize
from kd_core.system import formatting
from kd_core.system.settings import fixed
from pages.build.distill.live_view import stepper
from pages.shared.charts import is_dark
from pages.shared.run_form.link import key
from pages.shared.run_form.objective import headline, show_softening
from pages.shared.text import escape


def sizes(model: ModelSize) -> str:
    share = f"{100 * model.embedding_share:.0f}\u00a0% embeddings"
    return f"{formatting.count(model.params)} parameters, {formatting.megabytes(model.megabytes)}, {share}"


def show_getting_ready() -> None:
    """What stands where the plan will, and draws the page anew once what needs torch can be said."""
    st.subheader("What will happen", anchor=False)
    st.caption("Getting ready: sizes and times follow in some seconds. You can start already.")
    st.skeleton(height=150)
    st.skeleton(height=250)
    st.fragment(_wait_until_prepared, run_every=0.5)()


def _wait_until_prepared() -> None:
    if prepared():
        st.rerun()


def show_plan(plan: Plan, expected: Estimate) -> None:
    """What will happen, before it does."""
    seconds = {stage: formatting.duration(expected.seconds[stage]) for stage in STAGES}
    seconds |= {stage: "from the cache" for stage in STAGES if stage in expected.cached}
    file = plan.config.task.knowledge
    if file:
        seconds |= {"teach": "not needed", "record": "reads the file"}
    stepper({stage: ("waiting", text) for stage, text in seconds.items()})
    for note in examine(plan, expected.total):
        (st.warning if note.level == "warning" else st.info)(escape(note.text), icon=":material/stethoscope:")
        if note.change:
            place, value = note.change
            st.button(
                f"Set the {place.partition('.')[2]} to {value:g}",
                key=f"{key(place)}_change",
                icon=":material/check:",
                on_click=st.session_state.update,
                args=({key(place): value},),
            )
    st.image(
        towers(plan.teacher, plan.student, dark=is_dark()),
        width="stretch",
        alt=sizes_sentence(plan.teacher, plan.student),
    )
    lends = (
        " The teacher is a file: drawn is the model that lends its tokenizer and its start." if file else ""
    )
    st.caption(
        f"Drawn to scale: the area of a block is its number of parameters. Pale: word embeddings.{lends}"
    )
    show_softening(fixed(plan.config.objective.temperature))
    st.caption(f"An example, whatever the task: a teacher of BBC headlines on “{escape(headline())}”")
