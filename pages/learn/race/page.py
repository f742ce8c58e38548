"""Some settings against each other, for a live audience."""

import streamlit as st

from kd_core.errors import KDError
from kd_core.learn.race import LETTERS
from pages.learn.race.recorded import recorded_race
from pages.shared import addresses
from pages.shared.text import escape
from pages.shared.visitors import in_classroom

RECORDED, LIVE = "Recorded, starts at once", "Live"

st.title("Race", anchor=False)
st.markdown("Ways to teach a small student, on one chart. Which student is right most often?")
run_ids = [run_id for run_id in st.query_params.get("runs", "").split(",") if run_id][: len(LETTERS)]
if in_classroom():
    recorded_race(st.container(horizontal=True))
elif run_ids:
    from pages.learn.race.view import race_view

    try:
        race_view(list(dict.fromkeys(run_ids)))
    except KDError as error:
        st.error(escape(error), icon=":material/error:")
    if st.button("Set up another race", key="race.another", icon=":material/add:"):
        st.switch_page(addresses.RACE)
else:
    head = st.container(horizontal=True, vertical_alignment="center")
    kind = head.segmented_control(
        "Race",
        (RECORDED, LIVE),
        default=RECORDED,
        required=True,
        key="race.kind",
        bind="query-params",
        label_visibility="collapsed",
        width="content",
    )
    if kind == RECORDED:
        recorded_race(head)
    else:
        from pages.learn.race.form import race_form

        race_form()
