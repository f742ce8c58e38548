"""What a run will do, before it does."""

from __future__ import annotations

import streamlit as st

from kd_core.distillation.events import STAGES
from kd_core.figures.towers import sizes_sentence, towers
from kd_core.jobs.advice import examine
from kd_core.jobs.estimate import Estimate
from kd_core.jobs.plan import Plan
from kd_core.models.size import ModelSize
from kd_core.system import formatting
from pages.build.distill.live_view import stepper
from pages.shared.charts import is_dark
from pages.shared.run_form.objective import headline, show_softening
from pages.shared.text import escape


def sizes(model: ModelSize) -> str:
    share = f"{100 * model.embedding_share:.0f} % embeddings"
    return f"{formatting.count(model.params)} parameters · {formatting.megabytes(model.megabytes)} · {share}"


def show_plan(plan: Plan, expected: Estimate) -> None:
    """What will happen, before it does."""
    cached, seconds = expected.cached, expected.seconds
    stepper(
        {
            stage: ("waiting", "from the cache" if stage in cached else formatting.duration(seconds[stage]))
            for stage in STAGES
        }
    )
    for note in examine(plan, expected.total):
        (st.warning if note.level == "warning" else st.info)(note.text, icon=":material/stethoscope:")
    st.image(
        towers(plan.teacher, plan.student, dark=is_dark()),
        width="stretch",
        alt=sizes_sentence(plan.teacher, plan.student),
    )
    st.caption("Drawn to scale: the area of a block is its number of parameters. Pale: word embeddings.")
    show_softening(plan.config.objective.temperature)
    st.caption(f"What a real teacher says about the headline “{escape(headline())}”")
