"""Capacity: a cascade of student and teacher, planned like a model of its own."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from kd_core.deployment import cascade
from kd_core.deployment.capacity import Measured, cascaded, with_teacher
from kd_core.deployment.times import Measurement
from kd_core.jobs.store import RunRow
from pages.shared import addresses
from pages.shared.fields import field
from pages.shared.text import escape


def with_cascade(run: RunRow, forms: Sequence[Measured], measurement: Measurement) -> list[Measured]:
    """``forms`` and, where that is asked for, the pair. Raises: KDError where its answers are not kept."""
    if not with_teacher(forms) or forms[0].batch != 1:
        return list(forms)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        asked = st.toggle(
            "Plan a cascade too",
            key="capacity.cascade",
            help="The student answers what it is sure of and passes the rest on to its teacher",
            bind="query-params",
        )
        if not asked:
            return list(forms)
        agree = field(
            cascade.CascadeConfig,
            "agree",
            key="capacity.agree",
            label="Agrees with the teacher, of all texts (%)",
            format="%g",
            width=320,
        )
    found = cascade.cascade(run.id, agree / 100, times=measurement.latencies)
    st.caption(escape(found.sentence))
    st.page_link(
        addresses.TRADEOFFS,
        label="Choose the threshold",
        icon=":material/arrow_forward:",
        query_params={"run": run.id, "tradeoffs.agree": f"{agree:g}"},
    )
    if found.answered == 1:
        return list(forms)  # it is the student
    return [*forms, cascaded(forms[1], forms[0], found.answered)]
