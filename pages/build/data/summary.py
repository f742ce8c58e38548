"""A task at a glance: sizes, what is doubtful, texts to read, classes and lengths."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.data.summary import Summary, with_answers
from kd_core.distillation.recorded_answers import RecordedAnswers
from pages.shared.charts import chart, is_dark
from pages.shared.text import escape, plain_words, term

SIZES = {
    "train": ("Training texts", "What the teacher and the students learn from, with labels"),
    "validation": ("Validation texts", "Looked at during training, never learned from"),
    "test": ("Test texts", "Seen only at the end: the accuracies come from these"),
    "transfer": ("Transfer texts", term("transfer set")),
}


def show_task(
    summary: Summary,
    *,
    key: str,
    answers: RecordedAnswers | None = None,
) -> None:
    """``answers``: of a teacher that has learned this task before."""
    sizes = {SIZES[split]: count for split, count in summary.sizes.items()}
    sizes[("Classes", "Labels that a text can have")] = len(summary.labels)
    with st.container(horizontal=True, gap="small", key=f"sizes.{key}"):
        for (label, meaning), count in sizes.items():
            st.metric(label, f"{count:,}", help=meaning, border=True)
    _checks(summary, key)
    _texts(summary, key, answers)
    left, right = st.columns(2, gap="medium")
    with left:
        chart(
            figures.class_balance(summary.balance, dark=is_dark()),
            key=f"{key}.balance",
            alt=_classes_in_words(summary),
        )
    with right:
        chart(
            figures.lengths(summary.lengths.tolist(), unit=summary.unit, dark=is_dark()),
            key=f"{key}.lengths",
            alt=f"Half of the texts have {summary.lengths.median():,.0f} {summary.unit} or fewer, "
            f"the longest {summary.lengths.max():,}.",
        )


def _checks(summary: Summary, key: str) -> None:
    """What was looked for, a line each; what was found opens, and says what to do."""
    st.markdown("**Checks**")
    with st.container(gap="xsmall", key=f"{key}.checks"):
        for number, check in enumerate(summary.checks):
            if not check.found:
                st.markdown(f":material/check_circle: {check.name}: {escape(_in_sentence(check.says))}")
                continue
            with st.expander(
                f"**{check.name}**: {escape(_in_sentence(check.says))}", icon=":material/warning:"
            ):
                st.markdown(f"**What to do.** {check.todo}")
                st.dataframe(
                    check.examples,
                    key=f"{key}.check.{number}",
                    hide_index=True,
                    alt=f"{check.name}: some of them",
                    column_config={
                        "Alike": st.column_config.NumberColumn(format="%.0f %%", width="small"),
                        **dict.fromkeys(
                            ("Text", "Test text", "Training text"), st.column_config.TextColumn(width="large")
                        ),
                    },
                )
        if summary.notes:
            with st.expander("What was dropped, merged or cut while reading", icon=":material/info:"):
                for note in summary.notes:
                    st.caption(escape(plain_words(note)))


def _texts(summary: Summary, key: str, answers: RecordedAnswers | None) -> None:
    """Labelled texts, and beside them those that only a teacher labels."""
    examples, transfer = summary.examples, summary.transfer
    if answers:
        after = summary.sizes["train"]
        examples = with_answers(examples, answers.logits[examples.index], summary.labels)
        transfer = with_answers(transfer, answers.logits[after + transfer.index], summary.labels)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Training texts**, with a label each")
        _table(examples, key=f"{key}.examples", alt="Training texts, some of each class")
    with right:
        st.markdown("**Transfer texts**, which only a teacher labels", help=term("transfer set"))
        if len(transfer):
            _table(transfer, key=f"{key}.transfer", alt="Transfer texts")
        else:
            st.info(
                "This task has none. Texts of the same kind without labels are what most often makes "
                "distillation worth it: upload them as a transfer file, or as rows without a label.",
                icon=":material/lightbulb:",
            )
    if "teacher" in transfer or "teacher" in examples:
        st.caption(
            f"The teacher's answers are those of the run {answers.run_id}."
            if answers
            else "The teacher's answers are those of the file."
        )
    elif len(transfer):
        st.caption("What a teacher says of them stands here once a run on all of its texts has recorded it.")


def _table(texts: pd.DataFrame, *, key: str, alt: str) -> None:
    st.dataframe(
        texts,
        key=key,
        hide_index=True,
        height=280,
        column_config={
            "label": st.column_config.TextColumn("Label", width=100),
            "teacher": st.column_config.TextColumn("Teacher", width=100),
            "sure": st.column_config.NumberColumn("Sure", format="%.0f %%", width=60),
            "text": st.column_config.TextColumn("Text", width="medium"),
        },
        column_order=[name for name in ("label", "teacher", "sure", "text") if name in texts],
        alt=alt,
    )


def _in_sentence(sentence: str) -> str:
    """As what follows a colon; a number or a name stays."""
    return sentence[:1].lower() + sentence[1:]


def _classes_in_words(summary: Summary) -> str:
    texts = summary.balance.sum(axis="columns")
    return (
        f"Texts of {len(texts):,} classes: from {texts.min():,} ({texts.idxmin()}) "
        f"to {texts.max():,} ({texts.idxmax()})."
    )
