"""Many texts: pasted or from a file, three answers for each, and a table to take away."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from kd_core.data import uploads
from kd_core.data.assemble import clean_texts
from kd_core.data.columns import choose_columns
from kd_core.data.read import KINDS
from kd_core.data.spreadsheets import safe_csv
from kd_core.deployment import predict
from kd_core.deployment.predict import Reading
from kd_core.distillation import roles
from kd_core.distillation.metrics import wilson
from kd_core.distillation.roles import Role
from kd_core.errors import DataError
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from pages.shared import upload
from pages.shared.text import escape, plain_words, term
from pages.use.playground.models import open_panel

SOURCES = ("Paste lines", "Upload a file")
MAX_TEXTS = 20_000
CHUNK = 64  # texts between two updates of the progress bar
BATCH = "playground.batch"
NO_LABELS = "(none)"


@dataclass(frozen=True)
class Texts:
    """``truth`` has a label for each text, where the file has them."""

    texts: list[str]
    truth: list[str] | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Doubtful:
    """Of how many texts a model reads the beginning alone, and how many have pieces that it does not know."""

    cut: int = 0
    unknown: int = 0

    def add(self, readings: Iterable[Reading]) -> None:
        for reading in readings:
            self.cut += reading.read < reading.tokens
            self.unknown += reading.unknown > 0


@dataclass
class Batch:
    """What was asked for, and the logits so far: a page that runs again goes on from there."""

    run_id: str
    given: Texts
    logits: dict[Role, list[NDArray[np.float32]]] = field(default_factory=dict)
    doubtful: dict[Role, Doubtful] = field(default_factory=dict)
    done: int = 0
    seconds: float = 0.0
    stopped: bool = False

    @property
    def under_way(self) -> bool:
        return not self.stopped and self.done < len(self.given.texts)

    def stop(self) -> None:
        self.stopped = True


def many_texts(run: RunRow) -> None:
    """Raises: KDError."""
    source = st.segmented_control(
        "Where your texts are",
        SOURCES,
        default=SOURCES[0],
        required=True,
        key="playground.source",
        label_visibility="collapsed",
    )
    try:
        given = _pasted() if source == SOURCES[0] else _uploaded(run)
    except DataError as error:
        st.error(escape(plain_words(error)), icon=":material/error:")
        given = None
    count = len(given.texts) if given else 0
    for note in given.notes if given else ():
        st.caption(f":material/info: {escape(note)}")
    too_many = count > MAX_TEXTS
    if too_many:
        st.error(
            f"These are {count:,} texts, more than {MAX_TEXTS:,} at a time. Take fewer, or classify "
            "them with the command kd predict, which reads a text from each line.",
            icon=":material/error:",
        )
    if (
        st.button(
            f"Classify {count:,} {'text' if count == 1 else 'texts'}" if count else "Classify",
            key="playground.start",
            type="primary",
            icon=":material/play_arrow:",
            disabled=not count or too_many,
        )
        and given
    ):
        st.session_state[BATCH] = Batch(run.id, given)
    batch = st.session_state.get(BATCH)
    if batch is None or batch.run_id != run.id:
        if not count:
            st.info("The answers appear here, to look at and to download.", icon=":material/table:")
        return
    if batch.under_way:
        _go_on(batch)
    if batch.stopped:
        st.warning(
            f"Stopped: {batch.done:,} of {len(batch.given.texts):,} texts were classified.",
            icon=":material/stop_circle:",
        )
    if batch.done:
        _results(run, batch)


def _pasted() -> Texts | None:
    lines = st.text_area(
        "Texts, one on each line",
        key="playground.lines",
        height=160,
        placeholder="Shares rise after takeover talk\nStriker to miss the final",
        persist_state="session",
    )
    return _clean(pd.Series(lines.split("\n"), dtype="str"), None, "Your lines") if lines.strip() else None


def _uploaded(run: RunRow) -> Texts | None:
    """The texts of a file, or None while something is still asked for. Raises: DataError."""
    file = st.file_uploader(
        "File of texts",
        type=[*KINDS, ".txt"],
        key="playground.file",
        help="A column of texts, and a column of labels if you have one. In a .txt file, each line is a "
        "text. It stays on this machine.",
    )
    if not file:
        return None
    table = upload.one_table(file, run)
    if table is None:
        return None
    label_guess = None
    with suppress(DataError):
        _, label_guess = choose_columns(table, None, None)
    text_place, label_place = st.columns(2)
    text = upload.text_column(table, f"playground.text_column.{file.file_id}", text_place)
    labels = [NO_LABELS, *table.frame.columns]
    label = label_place.selectbox(
        "Label column",
        labels,
        index=labels.index(label_guess) if label_guess else 0,
        key=f"playground.label_column.{file.file_id}",
        help="With the true classes you also see how often each model is right.",
    )
    if text is None:
        return None
    truth = None if label == NO_LABELS else table.frame[label]
    return _clean(table.frame[text], truth, uploads.safe_name(file.name), table.notes)


def _clean(
    column: pd.Series[str], truth: pd.Series[str] | None, source: str, before: tuple[str, ...] = ()
) -> Texts:
    notes = list(before)
    if source == "Your lines":  # blank lines between pasted texts are no rows
        column = column[column.str.strip() != ""]
    texts = clean_texts(column.str.replace("\0", ""), source, notes)
    return Texts(
        texts.to_list(),
        None if truth is None else truth.loc[texts.index].str.strip().to_list(),
        tuple(notes),
    )


def _go_on(batch: Batch) -> None:
    """The next texts until all are done. A click ends this run of the page, and the next one goes on."""
    panel, total = open_panel(batch.run_id), len(batch.given.texts)
    bar = st.empty()
    button = st.empty()
    button.button("Stop", key="playground.stop", icon=":material/stop:", on_click=batch.stop)
    while batch.under_way:
        left = batch.seconds / batch.done * (total - batch.done) if batch.done else None
        time_left = f" · {formatting.duration(left)} left" if left is not None else ""
        bar.progress(batch.done / total, text=f"{batch.done:,} of {total:,} texts{time_left}")
        start = time.monotonic()
        texts = batch.given.texts[batch.done : batch.done + CHUNK]
        logits = {who: panel.logits(who, texts) for who in panel.models}
        readings = {who: panel.readings(who, texts) for who in panel.models}
        for who, rows in logits.items():  # all of them or none
            batch.logits.setdefault(who, []).append(rows)
            batch.doubtful.setdefault(who, Doubtful()).add(readings[who])
        batch.done += len(texts)
        batch.seconds += time.monotonic() - start
    bar.empty()
    button.empty()


def _results(run: RunRow, batch: Batch) -> None:
    panel, done = open_panel(run.id), batch.done
    truth = batch.given.truth[:done] if batch.given.truth else None
    table = predict.answers_table(
        panel.labels,
        batch.given.texts[:done],
        {who: np.concatenate(parts) for who, parts in batch.logits.items()},
        truth,
    )
    _numbers(table, panel.labels, panel.models)
    for doubt in _doubts(batch):
        st.caption(f":material/info: {doubt}")
    st.download_button(
        "Download CSV",
        lambda: safe_csv(table),
        file_name=f"kd-{run.id}-answers.csv",
        mime="text/csv",
        icon=":material/download:",
        key="playground.csv",
        on_click="ignore",
        help="A cell that a spreadsheet would run as a formula begins with an apostrophe",
    )
    sure = st.column_config.NumberColumn("Confidence", format="%.0f %%", width=95)
    st.dataframe(
        table,
        hide_index=True,
        key="playground.answers",
        column_config={
            "text": st.column_config.TextColumn("Text", width="large"),
            "label": "True class",
            **{str(who): roles.NAMES[who] for who in panel.models},
            **{f"{who}_sure": sure for who in panel.models},
            "agreement": "Who agrees",
        },
        alt=f"Answers of the models to {done:,} texts",
    )


def _doubts(batch: Batch) -> list[str]:
    """In sentences: by which models some texts are not read to their end, or not known in all parts."""
    kinds = {
        "cut": "Texts that are longer than is read, so that their end is lost",
        "unknown": "Texts with word pieces that are not in the vocabulary",
    }
    said = []
    for kind, what in kinds.items():
        counts = {who: getattr(found, kind) for who, found in batch.doubtful.items()}
        whose = [f"{n:,} ({formatting.in_sentence(roles.NAMES[who])})" for who, n in counts.items() if n]
        if whose:
            said.append(f"{what}: {', '.join(whose)} of {batch.done:,}.")
    return said


def _numbers(table: pd.DataFrame, labels: tuple[str, ...], models: Collection[Role]) -> None:
    """Agreement with the teacher, and accuracy on the rows whose label is one of the classes."""
    with st.container(horizontal=True):
        for who in [who for who in models if "teacher" in models and who != "teacher"]:
            _share(
                f"{roles.NAMES[who]} agrees with the teacher",
                table[who] == table["teacher"],
                term("fidelity"),
            )
    if "label" not in table:
        return
    labelled = table[table["label"].isin(labels)]
    blank = int((table["label"] == "").sum())
    unknown = len(table) - blank - len(labelled)
    known = f"of the classes that the models know ({escape(', '.join(labels[:10]))})"
    left_out = [f"{blank:,} of {len(table):,} texts have no label"] * bool(blank)
    left_out += [f"{unknown:,} of {len(table) - blank:,} labels are none {known}"] * bool(unknown)
    if left_out:
        end = "accuracy leaves them out" if len(labelled) else "so accuracy is not known"
        st.caption(f":material/info: {', and '.join(left_out)}; {end}.")
    if len(labelled):
        with st.container(horizontal=True):
            for model in models:
                _share(f"{roles.NAMES[model]}: accuracy", labelled[model] == labelled["label"])


def _share(label: str, right: pd.Series[bool], meaning: str = "") -> None:
    count, total = int(right.sum()), len(right)
    low, high = wilson(count / total, total)
    st.metric(
        label,
        formatting.percent(count / total),
        f"{formatting.plus_minus(count / total, low, high)}, {count:,} of {total:,}",
        delta_color="off",
        delta_arrow="off",
        border=True,
        help=f"{meaning} 95 % interval of {total:,} texts: {formatting.percent(low)} to "
        f"{formatting.percent(high)}".strip(),
    )
