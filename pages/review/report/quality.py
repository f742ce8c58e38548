"""Report, Quality: what each model gets wrong, how sure it is, and how it does on other texts."""

from __future__ import annotations

import streamlit as st

from kd_core import figures
from kd_core.distillation import report_tables, roles, run_folder, stairs
from kd_core.distillation.calibration import scaled
from kd_core.distillation.report import Report
from kd_core.errors import KDError
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from pages.review.report.more_texts import more_texts
from pages.shared import addresses
from pages.shared.charts import chart, is_dark
from pages.shared.run_form.link import key, run_link
from pages.shared.text import escape, plain_words, term, unbroken

OTHER_TEXTS = {
    "typos": "the test texts with typing errors",
    "dropped words": "with words left out",
    "upper case": "in upper case (which many models do not see)",
}


def quality(run: RunRow, report: Report) -> None:
    dark = is_dark()
    st.dataframe(
        report_tables.overview(report),
        hide_index=True,
        key="report.overview",
        column_config={"Model": st.column_config.TextColumn(pinned=True)}
        | {
            column: st.column_config.TextColumn(label, help=term(word))
            for column, label, word in (
                ("Macro-F1", None, "macro-F1"),
                ("Calibration error", None, "calibration error"),
                ("Latency p50", None, "p50 and p95"),
                ("p95", "Latency p95", "p50 and p95"),
            )
        },
        alt="Quality, size and speed of each model",
    )
    lacking = ""
    if report.unknown_texts is not None:
        share = formatting.percent(report.unknown_texts, 0)
        lacking = f" {share} of the validation and test texts hold a word piece that the student lacks."
    meaning = (
        "Macro-F1 weighs all classes alike. The calibration error is how far a model's confidence is from "
        "how often it is right, with texts of like confidence put together."
    )
    st.caption(
        unbroken(
            f"On {report.rows['test']:,} test texts; {formatting.ABOUT_PLUS_MINUS}. "
            f"{escape(report_tables.f1_gain(report))}{lacking}".rstrip()
        ),
        help=meaning + (f" {report_tables.ABOUT_FLOOR}" if report.over_floor else ""),
    )
    _stairs(run, report)
    who = st.segmented_control(
        "Model",
        list(report.models),
        default="student",
        required=True,
        format_func=roles.NAMES.__getitem__,
        key="report.model",
    )
    left, right = st.columns(2)
    with left:
        chart(
            figures.confusion(report, who, dark=dark),
            key="report.confusion",
            alt=f"Confusion of the classes: {roles.NAMES[who]}",
        )
        if worst := report_tables.most_confused(report, who):
            truth, answer, count = worst
            seeds = len(report.models[who].seeds)
            what = formatting.counted(count, "text" if seeds == 1 else "answer")
            of = "" if seeds == 1 else f" of {seeds} seeds"
            st.caption(
                f"Taken for another class most often: “{escape(truth)}” for “{escape(answer)}”, {what}{of}."
            )
    with right:
        _calibration(run, report, who, dark)
    left, right = st.columns(2)
    with left:
        chart(
            figures.per_class(report, dark=dark),
            key="report.per_class",
            alt="F1 of each class for all models",
        )
    classes = report_tables.class_scores(report, who)
    right.dataframe(
        classes,
        hide_index=True,
        key="report.class_scores",
        column_config={
            "class": st.column_config.TextColumn("Class", width=120),  # a long name would hide its numbers
            "precision": st.column_config.NumberColumn("Precision", format="%.1f %%"),
            "recall": st.column_config.NumberColumn("Recall", format="%.1f %%"),
            "f1": st.column_config.NumberColumn("F1", format="%.1f %%"),
            "support": st.column_config.NumberColumn("Test texts", format="localized"),
        },
        alt=f"Scores of each class: {roles.NAMES[who]}",
        placeholder="–",
    )
    if doubt := report_tables.fewest_texts(classes):
        right.caption(unbroken(escape(doubt)))
    if report.student.shifted:
        _other_texts(report, dark)
    more_texts(run, report)


def _calibration(run: RunRow, report: Report, who: roles.Role, dark: bool) -> None:
    """How sure against how right; with temperature scaling for who asks for it."""
    if who == "teacher" and report.teacher_gives_labels:
        st.info(
            "This teacher gave labels alone, so nothing says how sure it is of them.", icon=":material/info:"
        )
        return
    place = st.container()
    seeds = report.models[who].seeds
    if st.toggle("Temperature scaling", key="report.calibrated", help=term("temperature scaling")):
        try:
            found = scaled(run_folder.find(run.id), report, who)
        except KDError as error:
            st.warning(escape(error), icon=":material/warning:")
        else:
            seeds = {next(iter(seeds)): found.after}
            first = f" (of seed {next(iter(seeds))}, the first)" if len(report.models[who].seeds) > 1 else ""
            st.caption(
                f"All logits are divided by T = {found.temperature:.2f}, fitted on the "
                f"{report.rows['validation']:,} validation texts: no answer changes, and the calibration "
                f"error on the test texts goes from {formatting.percent(found.before.ece)} to "
                f"{formatting.percent(found.after.ece)}{first}. An export can bring it along. The knowledge "
                "that a student learns from is never scaled by it."
            )
    model = report.models[who].model_copy(update={"seeds": seeds})
    with place:
        chart(
            figures.reliability(
                report.model_copy(update={"models": report.models | {who: model}}), who, dark=dark
            ),
            key="report.reliability",
            alt=f"How often answers of each confidence are right: {roles.NAMES[who]}",
        )
        st.caption(report_tables.calibration(list(seeds.values())), help=term("calibration error"))


def _stairs(run: RunRow, report: Report) -> None:
    table = stairs.table(report)
    if table.empty:
        return
    measured = report.measured[report.stairs_metric]
    st.subheader("Where the gain comes from", anchor=False)
    table["What is added"] = table["What is added"].map(escape)  # "+ soft labels" is no list
    table["Gain"] = table["Gain"].map(unbroken)
    st.table(  # its words wrap, so that a phone shows the gains too
        table,
        hide_index=True,
        alt=f"What each step adds to the {measured} on the test texts",
    )
    st.caption(
        f"Each gain is in {escape(measured)}, over the line above it, with its 95 % interval. "
        + plain_words(stairs.about_start(report))
    )
    if controls := stairs.start_controls(report):
        st.page_link(
            addresses.DISTILL,
            label="Set that run up",
            icon=":material/stairs:",
            query_params=run_link(run) | {key(f"controls.{who}"): "True" for who in controls},
            width="content",
        )
    if sentence := report_tables.hard_answers(report):
        st.markdown(sentence)


def _other_texts(report: Report, dark: bool) -> None:
    st.subheader("On other texts", anchor=False)
    kinds, measured = list(report.student.shifted), report.measured[report.other_metric]
    told = (OTHER_TEXTS.get(kind, "another kind of text") for kind in kinds)
    st.markdown(f"How far each model falls on texts unlike the labelled ones: {', '.join(told)}.")
    left, right = st.columns([2, 3])
    with left:
        chart(
            figures.shifted(report, dark=dark),
            key="report.shifted",
            alt=f"{formatting.capitalised(measured)} of each model on the test texts and on other texts",
        )
    table = report_tables.other_texts(report)
    right.table(
        table.map(unbroken),
        hide_index=True,
        alt=f"Points of {measured} that each model gains or loses on other texts",
    )
    known = f"; {formatting.ABOUT_PLUS_MINUS}" if report.student.rises else ""
    right.caption(f"Points of {escape(measured)} against the same model's on the test texts{known}.")
