"""How a search compares settings, as a picture."""

from __future__ import annotations

import streamlit as st

from kd_core import figures
from pages.shared.charts import chart, is_dark


def folds_view(folds: int) -> None:
    chart(
        figures.folds(folds, dark=is_dark()),
        key="search.folds_picture",
        alt=f"The training data in {folds} parts: each training leaves one of them out and is measured on "
        "it. The test texts are left out of all.",
    )
    st.caption(
        "The test texts must not choose the settings: what was picked on them would look better on them than "
        "on new texts. They are used once, at the end, for the chosen setting."
    )
