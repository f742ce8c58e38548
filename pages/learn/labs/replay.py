"""Lab 6, replay: a student's answers to fifty texts, from the first step to the last."""

from __future__ import annotations

import streamlit as st

from kd_core import figures
from kd_core.config import TEMPERATURE
from kd_core.distillation.training.replay import EARLY, FILE, Replay
from kd_core.errors import KDError
from kd_core.learn.recorded import recorded_replay
from kd_core.system import formatting, paths
from pages.learn.labs.controls import Controls, question
from pages.learn.labs.own import finished_runs
from pages.learn.labs.texts import BUNDLED, short
from pages.shared.charts import chart, is_dark
from pages.shared.state import store
from pages.shared.text import escape, prose

PAGE = "replay"
TICK = 0.4  # seconds between two moments while it plays
PLAYING, MOMENT = f"{PAGE}.playing", f"{PAGE}.moment"
CONTROLS = ("source", "moment", "play", "view", "text")
LEARNED = {"early": "Agrees early", "late": "Agrees late", "never": "Differs at the end"}
OPTIONS = ("Fewer than half", "Half to 80 %", "More than 80 %")


def replay_lab() -> None:
    controls = Controls(PAGE, *CONTROLS)
    try:
        if not _asked(controls):
            return
    except KDError as error:
        st.error(escape(error), icon=":material/error:")
        return
    playing = st.session_state.get(PLAYING, False)
    st.fragment(_lab, run_every=TICK if playing else None)(playing)


def _lab(playing: bool) -> None:
    controls = Controls(PAGE, *CONTROLS)
    result = controls.open()
    try:
        replay, temperature = _source(controls)
    except KDError as error:
        st.error(escape(error), icon=":material/error:")
        return
    shown_temperature = _view(controls, temperature)
    text = _text(controls, replay)
    moment = _moment(controls, replay, playing)
    with result:
        _pictures(replay, moment, text, shown_temperature)
        st.header("What you see", anchor=False)
        prose(_words(replay))
        _table(controls, replay)
    if playing != st.session_state.get(PLAYING, False):
        st.rerun()  # of the whole page: a fragment's timer starts and ends with it


def _pictures(replay: Replay, moment: int, text: int, temperature: float) -> None:
    all_texts, way = st.columns([7, 5], gap="large")
    with all_texts:
        chart(
            figures.replay_map(replay, moment, temperature=temperature, chosen=text, dark=is_dark()),
            key=f"{PAGE}.map",
            alt=figures.replay_in_words(replay, moment),
        )
        st.caption(
            "Each corner is a class, and each mark an answer to one text: the more probability a class has "
            "in it, the nearer the mark is to that corner. Equal classes lie in the middle, and so "
            "can other mixtures. A line leads from the student's answer to the teacher's."
        )
    with way:
        _numbers(replay, moment)
        chart(
            figures.replay_agreement(replay, moment, dark=is_dark()),
            key=f"{PAGE}.agreement",
            alt=f"Agreement from {_share(replay, 0)} at the start to {_share(replay, -1)} at the end",
        )
        st.caption(
            "The solid line counts the texts on which both agree at that step. Some of these answers change "
            "again: the dashed line counts those that stay the teacher's until the end."
        )
    st.text(replay.texts[text][:300])
    chart(
        figures.replay_answers(replay, moment, text, temperature=temperature, dark=is_dark()),
        key=f"{PAGE}.answers",
        alt=f"Teacher and student on one text at step {replay.steps[moment]:,}",
    )


def _source(controls: Controls) -> tuple[Replay, float]:
    """The replay, and the temperature of its soft loss. Raises: KDError."""
    runs = {
        run_id: run for run_id, run in finished_runs().items() if (paths.runs() / run_id / FILE).is_file()
    }

    def shown(source: str) -> str:
        return "Recorded: BBC headlines" if source == BUNDLED else f"{runs[source].title} · {source}"

    source = controls.add(
        "source",
        "selectbox",
        "Run",
        [BUNDLED, *runs],
        format_func=shown,
        on_change=controls.start_anew,
        args=("text",),
        help="The recorded run, or any run that was made on this machine",
    )
    if source == BUNDLED:
        return recorded_replay(), TEMPERATURE
    return _read(source)


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(run_id: str) -> tuple[Replay, float]:
    """Raises: RunError."""
    report = store().report(run_id)
    return Replay.read(paths.runs() / run_id, report.labels), report.config["objective"]["temperature"]


def _moment(controls: Controls, replay: Replay, playing: bool) -> int:
    """The slider; while it plays, each run of the fragment moves it on."""
    if st.session_state.get(MOMENT, replay.steps[0]) not in replay.steps:  # of the run that was shown before
        st.session_state[MOMENT] = replay.steps[0]
    if playing and st.session_state[PLAYING]:
        after = min(replay.steps.index(st.session_state[MOMENT]) + 1, len(replay.steps) - 1)
        st.session_state[MOMENT] = replay.steps[after]
        st.session_state[PLAYING] = after + 1 < len(replay.steps)
    step: int = controls.add(
        "moment",
        "select_slider",
        "Step of the training",
        list(replay.steps),
        format_func="{:,}".format,
        in_view=True,
    )
    _play(controls, replay, step)
    return replay.steps.index(step)


def _play(controls: Controls, replay: Replay, step: int) -> None:
    def toggle() -> None:
        start = not st.session_state.get(PLAYING, False)
        st.session_state[PLAYING] = start
        if start:
            st.session_state[MOMENT] = replay.steps[0] if step == replay.steps[-1] else step

    playing = st.session_state.get(PLAYING, False)
    label, icon = ("Pause", ":material/pause:") if playing else ("Play", ":material/play_arrow:")
    controls.button("play", label, icon=icon, type="primary", on_click=toggle, in_view=True)


def _view(controls: Controls, temperature: float) -> float:
    answers, softened = "As it answers", "As the soft loss sees it"
    view = controls.add(
        "view",
        "segmented_control",
        "Probabilities",
        [answers, softened],
        default=answers,
        required=True,
        help=f"At T = 1, or at the run's temperature in the soft loss, T = {temperature:g}",
    )
    return 1.0 if view == answers else temperature


def _text(controls: Controls, replay: Replay) -> int:
    """At first the text that was learned last."""
    learned = replay.learned_at()
    latest = max(range(len(learned)), key=lambda i: -1 if learned[i] is None else learned[i] or 0)
    row: int = controls.add(
        "text",
        "selectbox",
        "One text",
        list(range(len(replay.texts))),
        index=latest,
        format_func=lambda row: f"{row + 1}. {short(replay.texts[row])}",
    )
    return row


def _numbers(replay: Replay, moment: int) -> None:
    with st.container(horizontal=True):
        agrees = replay.agrees[moment]
        st.metric("Like the teacher", f"{int(agrees.sum())} of {len(agrees)}", border=True)
        st.metric(
            "Divergence",
            f"{replay.divergence()[moment]:.2f} nats",
            border=True,
            help="Mean KL(teacher ‖ student) at T = 1; 0 when they are the same",
        )


def _share(replay: Replay, moment: int) -> str:
    return formatting.percent(float(replay.agrees[moment].mean()), 0)


def _asked(controls: Controls) -> bool:
    """About the recorded run. Raises: KDError."""
    replay = recorded_replay()
    early = sum(learned == "early" for learned in replay.learned()) / len(replay.texts)
    right = OPTIONS[0] if early < 0.5 else OPTIONS[2] if early > 0.8 else OPTIONS[1]
    return question(
        controls,
        f"A student is trained for {replay.steps[-1]:,} steps. After a quarter of them, how many of "
        f"{len(replay.texts)} new texts does it answer like its teacher, and keep doing so until the end?",
        OPTIONS,
        right,
        f"It is {formatting.percent(early, 0)} of these {len(replay.texts)}.",
    )


def _words(replay: Replay) -> str:
    counts = {kind: replay.learned().count(kind) for kind in LEARNED}  # type: ignore[arg-type]
    table = replay.table()
    never = table[table["learned"] == "never"]
    mistaken = int((table["teacher"] != table["truth"]).sum())
    divergence = replay.divergence()
    quarter = replay.moment_at(EARLY)
    words = (
        f"The student never trains on these {len(replay.texts)} validation texts. A quarter of the way, at "
        f"step {replay.steps[quarter]:,} of {replay.steps[-1]:,}, it agrees with its teacher on "
        f"{int(replay.agrees[quarter].sum())} of them. On {counts['early']} it keeps that answer until the "
        f"end: these are learned early. On {counts['late']} more it agrees for good only later, and on "
        f"{counts['never']} the two differ at the end. The divergence compares all probabilities and not the "
        f"answers alone: it changes from {divergence[0]:.2f} to {divergence[-1]:.2f} nats."
    )
    if mistaken:
        followed = int(((table["teacher"] != table["truth"]) & (table["student"] == table["teacher"])).sum())
        words += (
            f" The teacher itself is wrong on {mistaken} of the texts, and the student ends with the same "
            f"mistake on {followed} of them."
        )
    if len(never):
        right = int((never["student"] == never["truth"]).sum())
        words += (
            f" Where the two differ at the end, the student is right {right} of {len(never)} times. "
            "Agreement with the teacher (*fidelity*) and accuracy are two things: a student can gain "
            "accuracy without agreeing more, and students often differ from their teacher even where they "
            "could match it (Stanton et al. 2021, arXiv 2106.05945)."
        )
    return words


def _table(controls: Controls, replay: Replay) -> None:
    table = replay.table()
    counts = table["learned"].value_counts()
    kind = st.segmented_control(
        "Learned",
        list(LEARNED),
        default="late",
        required=True,
        format_func=lambda kind: f"{LEARNED[kind]} ({counts.get(kind, 0)})",
        key=f"{PAGE}.learned",
        label_visibility="collapsed",
    )
    rows = table[table["learned"] == kind].sort_values("step")
    rows = rows.dropna(axis="columns", how="all")  # what is never learned has no step
    if rows.empty:
        st.info("There is no such text.", icon=":material/check:")
        return

    def choose() -> None:
        if chosen := st.session_state[f"{PAGE}.texts"].selection.rows:
            st.session_state[controls.key("text")] = int(rows.index[chosen[0]])

    st.dataframe(
        rows.drop(columns="learned"),
        hide_index=True,
        key=f"{PAGE}.texts",
        on_select=choose,
        selection_mode="single-row",
        column_config={
            "text": st.column_config.TextColumn("Text", width=180),
            "truth": "True class",
            "teacher": "Teacher's answer",
            "student": "Student's, in the end",
            "step": st.column_config.NumberColumn("Agrees since step", format="localized"),
        },
        alt=f"Texts: {LEARNED[kind].lower()}",
    )
    st.caption("Choose a row to follow its text above.")
