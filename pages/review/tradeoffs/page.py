"""What compression costs and buys: all finished models, accuracy against size, time, parameters or FLOPs."""

import streamlit as st

from kd_core.deployment import tradeoffs
from kd_core.errors import KDError
from pages.review.tradeoffs import view as parts
from pages.review.tradeoffs.cascade import cascade
from pages.review.tradeoffs.controls import choose_limits, choose_view
from pages.shared import addresses
from pages.shared.beside import beside
from pages.shared.state import store
from pages.shared.text import escape

st.title("Trade-offs", anchor=False)
st.markdown(
    "What does compression cost, and what does it buy? **Say what a model may cost, and see the best "
    "that fits.**"
)
try:
    candidates = tradeoffs.candidates(store().measured())
    if candidates.empty:
        st.info(
            "No run is done yet. The models of each finished run appear here: how accurate they are, and "
            "what they cost.",
            icon=":material/scatter_plot:",
        )
        st.page_link(addresses.DISTILL, label="Set up a distillation", icon=":material/arrow_forward:")
        st.stop()
    view = choose_view(candidates)
    left, right = st.columns([7, 4], gap="medium")
    with right:
        with st.container(border=True):
            st.markdown("**Find a model with**")
            limits = choose_limits(view.measures)
        view = view.within(limits)
        if not view.frame.empty:
            with st.container(border=True):
                parts.answer(view, limits)
            parts.chosen_card(view)
    with left:
        if view.frame.empty:
            st.info(
                "None of these models was judged on these texts. Choose more models, or other texts.",
                icon=":material/filter_alt_off:",
            )
        else:
            parts.draw(view, limits)
            parts.about_floor(view)
            parts.about_seeds(view)
            if not candidates["runtime"].isin(("onnx", "int8")).any():
                st.caption(
                    "ONNX and int8 forms of these models appear here once a run is exported or, where its "
                    "teacher is no file, benchmarked (its report, Speed)."
                )
    if not view.frame.empty:
        parts.table(view)
    beside(cascade, frozenset(view.frame["run"]))
except KDError as error:
    st.error(escape(error), icon=":material/error:")
