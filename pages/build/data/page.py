"""Look at the tasks, bring texts of your own, and choose what to distill on."""

import streamlit as st

from kd_core.config import DistillConfig, TaskConfig
from kd_core.data import load_task, uploads
from kd_core.data.bundled import ORIGINS, TASKS
from kd_core.data.summary import Summary, summarise
from kd_core.distillation.recorded_answers import RecordedAnswers, recorded_answers
from kd_core.errors import DataError, KDError
from kd_core.jobs import deletion
from kd_core.system.paths import app_folder
from pages.build.data.answers import answers_of_a_teacher
from pages.build.data.ask_next import ask_next
from pages.build.data.summary import show_task
from pages.build.data.suspects import suspects
from pages.shared import addresses, upload
from pages.shared.run_form.link import form_link
from pages.shared.state import store
from pages.shared.text import escape, plain_words

SAMPLE = app_folder() / "assets" / "samples" / "support-messages.csv"
OWN_SAMPLES = {
    SAMPLE.name: ("Support messages", "60 made-up messages in 3 classes"),
    "rare-class.csv": ("A rare class", "240 made-up messages; one of the 3 classes has a few of them"),
}
VIEWS = ("Tasks", "Upload your own", "Answers of a teacher", "Doubtful labels", "What to ask next")


@st.cache_data(
    max_entries=16,
    show_spinner="Reading the texts",
    hash_funcs={TaskConfig: TaskConfig.model_dump_json},
)
def look_at(config: TaskConfig) -> Summary:
    return summarise(load_task(config))


def known(config: TaskConfig, summary: Summary) -> RecordedAnswers | None:
    """What the teacher of the newest run on this task has said of its texts."""
    done = store().runs(kind="distil", status=("done",), limit=50)
    rows = summary.sizes["train"] + summary.sizes["transfer"]
    return recorded_answers(config, rows, [(run.id, run.config) for run in done])


def show_next(view: str, task: str) -> None:
    """Widgets cannot be changed once they are on the page: the next run does it, before they are made."""
    st.session_state["data.next"] = {"data.view": view, "data.task": task}
    st.rerun()


following = st.session_state.pop("data.next", {})
st.session_state.update(following)
st.title("Data", anchor=False)
st.markdown(
    "Teacher and student learn one task: texts, each with a label. **Look at a task and press "
    "*Use this task***, or bring texts of your own."
)
look, own, answered, doubtful, next_up = st.tabs(
    VIEWS, key="data.view", bind="query-params", on_change="rerun"
)

with look:
    if following and following["data.task"] not in TASKS:  # no toast: it would lie on the button it names
        st.success("Saved. **Use this task** opens Distill with it.", icon=":material/check:")
    saved = {task.id: task for task in uploads.saved()}
    choice, action = st.columns([3, 1], vertical_alignment="bottom")
    chosen = choice.selectbox(
        "Task",
        [*TASKS, *saved],
        format_func=lambda name: saved[name].name if name in saved else name,
        key="data.task",
        bind="query-params",
    )
    config = saved[chosen].config if chosen in saved else TaskConfig(name=chosen)
    if action.button(
        "Use this task", key="data.use", type="primary", icon=":material/arrow_forward:", width="stretch"
    ):
        st.switch_page(addresses.DISTILL, query_params=form_link(DistillConfig(task=config)))
    try:
        if chosen in TASKS:
            st.write(f"{TASKS[chosen]}.")
            st.caption(ORIGINS[chosen].credit)
        task = look_at(config)
        show_task(task, key="data.look", answers=None if config.knowledge else known(config, task))
        if chosen in saved:
            st.caption("You uploaded this task. Its files stay on this machine, in")
            st.code(config.name, language=None, wrap_lines=True)
            with st.popover("Delete this task", icon=":material/delete:"):
                st.text(f"{saved[chosen].name} and its settings will be gone for good.")
                st.caption("Runs that used it keep their results, but cannot be repeated.")
                if st.button("Delete it", key="data.delete"):
                    deletion.delete_task(store(), saved[chosen])
                    show_next(VIEWS[0], next(iter(TASKS)))
    except KDError as error:
        st.error(escape(plain_words(error)), icon=":material/error:")

with own:
    st.write(
        "A CSV, TSV, JSON, JSONL (NDJSON) or Parquet file with a column of texts and a column of labels, up "
        "to 50 MB. Texts without a label are welcome too: leave their label blank, or give them as a file of "
        "their own, and the teacher labels them for the student. You see what it gives as a task before "
        "anything is kept."
    )
    with st.container(horizontal=True, vertical_alignment="center", key="data.own_samples"):
        st.caption("Try one:", width="content")
        for file, (label, about) in OWN_SAMPLES.items():
            if st.button(label, key=f"data.sample.{file}", help=about):
                st.session_state["data.own_sample"] = file
        st.download_button(
            "Download a sample file",
            SAMPLE.read_bytes(),
            SAMPLE.name,
            "text/csv",
            key="data.sample",
            icon=":material/download:",
            on_click="ignore",
            help="60 short support messages in 3 classes, to see what a file looks like",
        )
    tried = st.session_state.get("data.own_sample")
    files, token = upload.choose_files(SAMPLE.parent / tried if tried in OWN_SAMPLES else None)
    try:
        if "name" in files and (readable := upload.in_utf8(files, token)):
            settings = upload.choose_columns(readable["name"], token)
            settings, summary = upload.check(readable, settings, token) if settings else (None, None)
            if settings and summary:
                if kept := upload.offer(readable, settings, token, "Save this task", "data.save"):
                    show_next(VIEWS[0], kept.id)
                show_task(summary, key="data.own")
    except DataError as error:
        st.error(escape(plain_words(error)), icon=":material/error:")

with answered:
    answers_of_a_teacher(lambda task: show_next(VIEWS[0], task))

for tab, show in ((doubtful, suspects), (next_up, ask_next)):
    if tab.open:
        with tab:
            show()
