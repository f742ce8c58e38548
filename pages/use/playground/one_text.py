"""One text: three answers side by side, whether they agree, and which words led each model there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.config import ObjectiveConfig
from kd_core.deployment import predict
from kd_core.deployment.predict import MAX_CHARACTERS, MAX_WORDS, Answer
from kd_core.distillation import report_tables, roles
from kd_core.distillation.report import Report
from kd_core.distillation.roles import Role
from kd_core.errors import KDError
from kd_core.jobs.store import RunRow
from kd_core.system import formatting, paths
from pages.shared.charts import chart, is_dark
from pages.shared.fields import field
from pages.shared.text import escape, term, unbroken
from pages.use.playground.models import Panel, ask_models, fitted_temperatures, open_panel

KINDS = {"differ": "Teacher and student disagree", "all": "All"}
MAX_EXAMPLES = 500
MAX_CLASSES = 8  # bars of a model; with more classes, those that some model finds likeliest
SHADED = 0.05  # of probability: below it, shades are as pale as the effects are small
PATIENCE = 1.0  # seconds without a progress bar
TEXT, EFFECTS = "playground.text", "playground.effects"


@st.cache_data(max_entries=4, show_spinner=False)
def _test_texts(folder: Path, _report: Report) -> pd.DataFrame:
    return report_tables.texts(folder, _report)


def choose_text(run: RunRow, report: Report) -> tuple[str, str | None, str | None]:
    """What was typed or picked; where it is a test text, its true class and what the teacher said of it."""
    left, right = st.columns([3, 2], gap="medium")
    with right:
        examples = _examples(run, report)
    if TEXT not in st.session_state:
        st.session_state[TEXT] = "" if examples.empty else examples["text"].loc[_instructive(examples)]
    with left:
        text = st.text_area(
            "Text",
            key=TEXT,
            height=100,
            placeholder="Type or paste a text of the kind that the models learned from",
            persist_state="session",
            on_change="ignore",  # Classify asks the models, once
        )
        st.button("Classify", key="playground.classify", type="primary", icon=":material/play_arrow:")
    text = text.lstrip()  # before it is cut: of blanks alone nothing would be left to look at
    same = examples[examples["text"] == text.rstrip()]
    if same.empty:
        return text, None, None
    known = report.measures == "accuracy"  # else the teacher's choices stand for labels
    return text, same["truth"].iloc[0] if known else None, same["teacher"].iloc[0]


def _instructive(texts: pd.DataFrame) -> Any:
    """Where to begin: a text on which teacher and student disagree, both sure; rather one of its mistakes.

    The first one where they never do.
    """
    # A teacher that gave labels alone is as sure of each.
    sure = texts["teacher_sure"].fillna(100) * texts["student_sure"] * (texts["teacher"] != texts["student"])
    mistakes = sure * (texts["teacher"] == texts["truth"])
    return (mistakes if mistakes.any() else sure).idxmax()


def _examples(run: RunRow, report: Report) -> pd.DataFrame:
    """Shows the picker; returns all test texts, none where the run's folder does not have them."""
    try:
        texts = _test_texts(paths.runs() / run.id, report)
    except KDError:  # the models are gone as well, and asking them says so
        return pd.DataFrame(columns=["text", "truth", "teacher"])
    parts = {"differ": texts[texts["teacher"] != texts["student"]], "all": texts}
    kind = st.segmented_control(
        "Test texts",
        list(KINDS),
        default="all" if parts["differ"].empty else "differ",
        required=True,
        format_func=lambda kind: f"{KINDS[kind]} ({len(parts[kind]):,})",
        key="playground.kind",
    )
    shown = parts[kind].head(MAX_EXAMPLES)
    key = f"playground.example.{run.id}.{kind}"  # by its number, which is another text in another run

    def take() -> None:
        if (row := st.session_state[key]) is not None:
            st.session_state[TEXT] = texts["text"].loc[row]

    st.selectbox(
        "Example",
        list(shown.index),
        index=None,
        format_func=lambda row: texts["text"].loc[row][:120],
        placeholder="Pick an example" if len(shown) else "There is none",
        key=key,
        on_change=take,
        help=f"The first {MAX_EXAMPLES:,} of {len(parts[kind]):,}"
        if len(parts[kind]) > MAX_EXAMPLES
        else "Texts that none of the models was trained on",
    )
    return texts


def show_answers(run: RunRow, text: str, truth: str | None, said: str | None) -> None:
    """Raises: KDError."""
    if not text:
        st.info("Type a text, or pick an example above.", icon=":material/edit:")
        return
    predict.checked(text)
    answers = ask_models(run.id, text)
    answers = _divided(run, answers)
    _summary(answers, truth, said)
    shown = _likeliest(answers)
    for column, answer in zip(st.columns(len(answers)), answers, strict=True):
        with column.container(border=True, height="stretch"):
            _card(answer, truth)
    chart(
        figures.answer_bars(
            {answer.who: {name: answer.probabilities[name] for name in shown} for answer in answers},
            dark=is_dark(),
        ),
        key="playground.bars",
        alt=". ".join(_probabilities_in_words(answer, shown) for answer in answers),
    )
    if len(shown) < len(answers[0].probabilities):
        st.caption(
            f"The bars show {len(shown)} of {len(answers[0].probabilities):,} classes: "
            "those that some model finds likeliest."
        )
    _conditions(text)
    _which_words(run, open_panel(run.id), text, answers)


def _divided(run: RunRow, answers: list[Answer]) -> list[Answer]:
    """All logits divided by the slider's temperature and, where that is wanted, each model's by its own."""
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="bottom")
    temperature = field(
        ObjectiveConfig,
        "temperature",
        key="playground.temperature",
        value=1.0,
        container=left,
        help=f"{term('temperature')} Here it divides the logits of all models; no answer changes.",
    )
    divisors: dict[Role, float] = {}
    if right.toggle("Calibrated", key="playground.calibrated", help=term("temperature scaling")):
        try:
            divisors = fitted_temperatures(run.id)
        except KDError as error:  # a run of version 0.1 kept no answers to the validation texts
            st.warning(escape(error), icon=":material/warning:")
    return [answer.divided(temperature * divisors.get(answer.who, 1.0)) for answer in answers]


def _summary(answers: Sequence[Answer], truth: str | None, said: str | None) -> None:
    labels: dict[Role, str] = {answer.who: escape(answer.label) for answer in answers}
    sentence = predict.agreement_sentence(labels)
    true_class = "" if truth is None else f" The true class is {escape(truth)}."
    with st.container(border=True, key="playground.summary"):
        st.markdown(f"**{sentence}{true_class}**")
        if len(answers) < 3:
            known = "it has none to a new text" if said is None else f"to this text it has {escape(said)}"
            st.caption(f"The teacher of this run is a file of answers: {known}.")
            return
        teacher, student, alone = (answer.probabilities for answer in answers)
        overlaps = (
            "The probabilities of the distilled student overlap with the teacher's by "
            f"{formatting.percent(_overlap(teacher, student), 0)}, those of the student alone by "
            f"{formatting.percent(_overlap(teacher, alone), 0)}."
        )
        st.caption(unbroken(overlaps))


def _overlap(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """1 where both give each class the same probability, 0 where they share none."""
    return sum(min(one[name], other[name]) for name in one)


def _card(answer: Answer, truth: str | None) -> None:
    with st.container(gap="xsmall", key=f"playground.card.{answer.who}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            meaning = {"alone": "student alone", "hard_answers": "student"}.get(answer.who, answer.who)
            meaning = term(meaning)
            st.markdown(f"**{roles.NAMES[answer.who]}**", width="content", help=meaning)
            if truth is not None:
                right = answer.label == truth
                label, icon = ("Right", "check") if right else ("Wrong", "close")
                st.badge(label, color="green" if right else "red", icon=f":material/{icon}:")
        st.subheader(escape(answer.label), anchor=False)
        st.caption(f"{formatting.percent(answer.sure)} sure · {formatting.milliseconds(answer.milliseconds)}")
    for doubt in answer.reading.doubts:
        st.caption(f":material/help: {doubt}")


def _probabilities_in_words(answer: Answer, shown: Sequence[str]) -> str:
    numbers = (f"{name} {formatting.percent(answer.probabilities[name])}" for name in shown)
    return f"{roles.NAMES[answer.who]}: {', '.join(numbers)}"


def _likeliest(answers: Sequence[Answer]) -> list[str]:
    """All classes in their order, or those that some model finds likeliest where there are many."""
    names = list(answers[0].probabilities)
    best = {name: max(answer.probabilities[name] for answer in answers) for name in names}
    kept = sorted(names, key=lambda name: -best[name])[:MAX_CLASSES]
    return [name for name in names if name in kept]


def _conditions(text: str) -> None:
    import torch

    threads = torch.get_num_threads()
    st.caption(
        f"Times were measured here, in PyTorch on {threads} {'thread' if threads == 1 else 'threads'}: from "
        "the text to the probabilities, one text at a time, the models by turns, median of at most "
        f"{predict.REPEATS}. They are longer while this machine has other work; the report's Speed tab has "
        "careful ones."
    )
    if len(text) > MAX_CHARACTERS:
        st.caption(
            f":material/content_cut: The text has {len(text):,} characters; only the first "
            f"{MAX_CHARACTERS:,} are looked at."
        )


def _which_words(run: RunRow, panel: Panel, text: str, answers: Sequence[Answer]) -> None:
    st.subheader("Which words mattered", anchor=False)
    if not st.toggle(
        "Leave out each word in turn", value=True, key="playground.words", persist_state="session"
    ):
        return
    text = text[:MAX_CHARACTERS]
    spans = predict.words_of(text)
    effects = _effects(run.id, panel, text, spans)
    words = [text[first:last] for first, last in spans]
    strongest = max(abs(effect) for values in effects.values() for effect in values)
    st.caption(
        "The number says how many points of probability the model's own answer loses without the word. Teal, "
        "with a plus: the word speaks for the answer. Rose, with a minus: against it. The deeper the shade, "
        "the more; the same scale in all columns."
    )
    if strongest < SHADED:
        st.caption(
            ":material/info: No answer hangs on a single word here: leaving one out changes it by "
            f"{100 * strongest:.1f} points at most."
        )
    if spans[-1][1] < len(text.rstrip()):
        st.caption(f":material/content_cut: The first {MAX_WORDS} words were looked at.")
    for column, answer in zip(st.columns(len(answers)), answers, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{roles.NAMES[answer.who]}**: {escape(answer.label)}")
            chart(
                figures.word_shades(
                    words, effects[answer.who], answer.who, strongest=max(SHADED, strongest), dark=is_dark()
                ),
                key=f"playground.shades.{answer.who}",
                alt=_in_words(words, effects[answer.who], answer),
            )
    with st.expander("As a table", icon=":material/table:"):
        st.dataframe(
            pd.DataFrame(
                {"Word": words}
                | {roles.NAMES[who]: [round(100 * effect, 1) for effect in effects[who]] for who in effects}
            ),
            hide_index=True,
            key="playground.effects_table",
            column_config=dict.fromkeys(
                (roles.NAMES[who] for who in effects), st.column_config.NumberColumn(format="%+.1f")
            ),
            alt="Points of probability that each model's answer loses without each word",
        )


def _effects(
    run_id: str, panel: Panel, text: str, spans: Sequence[tuple[int, int]]
) -> dict[Role, list[float]]:
    """Remembered for the text on the page. Switching the toggle off stops the work."""
    key = (run_id, text)
    if st.session_state.get(EFFECTS, (None, None))[0] != key:
        bar, start = st.empty(), time.monotonic()
        rows = len(spans) + 1
        effects: dict[Role, list[float]] = {}
        for number, who in enumerate(panel.models):

            def on_rows(done: int, before: int = number * rows) -> None:
                share, seconds = (before + done) / (len(panel.models) * rows), time.monotonic() - start
                if seconds > PATIENCE:
                    left = formatting.duration(seconds / share - seconds)
                    bar.progress(min(share, 1.0), text=f"{left} left · switch it off above to stop")

            effects[who] = panel.effects(who, text, spans, on_rows)
        bar.empty()
        st.session_state[EFFECTS] = (key, effects)
    kept: dict[Role, list[float]] = st.session_state[EFFECTS][1]
    return kept


def _in_words(words: Sequence[str], effects: Sequence[float], answer: Answer) -> str:
    strongest = sorted(zip(words, effects, strict=True), key=lambda pair: -abs(pair[1]))[:5]
    numbers = ", ".join(f"{word} {formatting.points(effect)}" for word, effect in strongest)
    return f"{roles.NAMES[answer.who]}, words that mattered most for {answer.label}: {numbers}"
