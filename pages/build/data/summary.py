"""A task at a glance: sizes, classes, lengths, examples."""

from __future__ import annotations

import streamlit as st

from kd_core import figures
from kd_core.data.summary import Summary
from pages.shared.charts import chart, is_dark
from pages.shared.text import escape, term

SIZES = {
    "train": ("Training texts", "What the teacher and the students learn from, with labels"),
    "validation": ("Validation texts", "Looked at during training, never learned from"),
    "test": ("Test texts", "Seen only at the end: the accuracies come from these"),
    "transfer": ("Transfer texts", term("transfer set")),
}


def show_task(summary: Summary, *, key: str) -> None:
    sizes = {SIZES[split]: count for split, count in summary.sizes.items()}
    sizes[("Classes", "Labels that a text can have")] = len(summary.labels)
    with st.container(horizontal=True, gap="small"):
        for (label, meaning), count in sizes.items():
            st.metric(label, f"{count:,}", help=meaning, border=True)
    for note in summary.notes:
        st.caption(f":material/info: {escape(note)}")
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
    st.markdown("**Training texts to read**")
    st.dataframe(
        summary.examples,
        key=f"{key}.examples",
        hide_index=True,
        height=280,
        column_config={
            "label": st.column_config.TextColumn("Label", width=140),
            "text": st.column_config.TextColumn("Text", width="large"),
        },
        alt="Training texts, some of each class",
    )


def _classes_in_words(summary: Summary) -> str:
    texts = summary.balance.sum(axis="columns")
    return (
        f"Texts of {len(texts):,} classes: from {texts.min():,} ({texts.idxmin()}) "
        f"to {texts.max():,} ({texts.idxmax()})."
    )
