"""What distillation is, a demo one click away, and what was run lately."""

import streamlit as st

from kd_core.config import DEMO
from kd_core.distillation.events import STAGES, STEP_NAMES, STEP_SENTENCES
from kd_core.errors import KDError
from kd_core.learn.lessons import lessons
from pages.shared import addresses
from pages.shared.live_job import submit_once
from pages.shared.state import store
from pages.shared.style import ASSETS
from pages.shared.text import escape
from pages.start.home.recent_runs import recent_runs

head, action = st.columns([2, 1], vertical_alignment="bottom")
head.title("KD Studio", anchor=False)
head.markdown(
    "Make a small, fast text classifier out of a large one, and see what that costs. The large one, the "
    "teacher, knows more than its answers: its probabilities also say which wrong answers are nearly right. "
    "A student that learns from them is often better than the same student trained on labels alone, and "
    "much smaller and faster than its teacher."
)
clicked = action.button(
    "Run the demo · a few minutes",
    key="home.demo",
    type="primary",
    icon=":material/play_arrow:",
    width="stretch",
    help="Teaches, records, distills and validates: 200 BBC headlines with their topic, and 4,000 sentences "
    "that only the teacher labels. Everything comes with KD Studio.",
)
first = next(iter(lessons().values()))
action.page_link(
    addresses.LESSONS,
    label=f"New here? {first.minutes}-minute lesson",
    icon=":material/cast_for_education:",
    query_params={"lesson": first.name},
)
action.page_link(
    addresses.DATA,
    label="Bring texts of your own",
    icon=":material/upload_file:",
    query_params={"data.view": "Upload your own"},
)
if clicked:
    try:
        run_id = submit_once(DEMO, "Demo", kind="distil")
    except KDError as error:
        st.error(escape(error), icon=":material/error:")
    else:
        st.switch_page(addresses.DISTILL, query_params={"run": run_id})

drawing = (
    "Texts go to the teacher, which learns from their hard labels. Its soft labels and the hard labels teach "
    "the student; the control, the same student alone, learns from the hard labels only."
)
st.container(key="home.wide").image(ASSETS / "flow.svg", width="stretch", alt=drawing)
st.container(key="home.tall").image(ASSETS / "flow-tall.svg", width="stretch", alt=drawing)

st.subheader("How it works", anchor=False)
for column, stage in zip(st.columns(4), STAGES, strict=True):
    with column.container(border=True, height="stretch", gap="xsmall"):
        st.markdown(f"**{STEP_NAMES[stage]}**")
        st.caption(STEP_SENTENCES[stage])

st.subheader("Recent runs", anchor=False)
try:
    recent_runs(store().runs(kind="distil", limit=5))
except KDError as error:
    st.error(escape(error), icon=":material/error:")
