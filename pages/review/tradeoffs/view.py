"""Trade-offs: the chart, the best within the limits, the model that is chosen, and the table of all."""

from __future__ import annotations

import math
import zlib
from typing import Any

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.deployment import runtimes, tradeoffs
from kd_core.deployment.tradeoffs import TEST, Limits
from kd_core.distillation import report_tables, roles
from kd_core.figures.tradeoffs import MANY
from kd_core.system import formatting
from pages.review.tradeoffs.controls import COST_NAMES, View
from pages.shared import addresses
from pages.shared.charts import chart, is_dark
from pages.shared.state import store
from pages.shared.text import escape, unbroken
from pages.shared.written import percent, written

COLUMN = st.column_config
WORDS = {"size": formatting.megabytes, "latency": formatting.milliseconds, "params": formatting.count}
CHOSEN = "tradeoffs.chosen"  # of the frame's index: a row of the table


def draw(view: View, limits: Limits) -> None:
    fitting = tradeoffs.ranked(view.frame[view.frame["fits"]]).index
    alt = f"{len(view.frame):,} models, {formatting.in_sentence(view.measures)} on {view.texts_name}"
    alt += f" against {COST_NAMES[view.cost].lower()}"
    alt += f"; {len(fitting):,} within the limits" if limits else ""
    clicked = chart(
        figures.tradeoff_scatter(
            view.frame,
            view.cost,
            texts=view.texts_name,
            limits=limits,
            best=fitting[0] if limits and len(fitting) else None,
            chosen=st.session_state.get(CHOSEN),
            log=view.log,
            measures=view.measures,
            dark=is_dark(),
        ),
        key="tradeoffs.chart",
        alt=alt,
        clickable=True,
    )
    if len(view.frame) <= MANY and view.frame[view.cost].duplicated().any():
        st.caption(
            "Marks that cost the same stand a few pixels apart, so that each one's interval can be seen. "
            "Pointing at one says what it costs."
        )
    if clicked is not None:
        run = view.frame.loc[clicked, "run"]
        st.switch_page(addresses.REPORT, query_params={"run": run})


def about_seeds(view: View) -> None:
    if view.frame["runtime"].isin(("onnx", "int8")).any():
        st.caption(
            "Of a run with several seeds, ONNX and int8 are forms of the first one's student, which may be a "
            "lucky one; PyTorch has the mean over all."
        )


def about_floor(view: View) -> None:
    if (view.frame["who"] == roles.FLOOR).any():
        st.caption(report_tables.ABOUT_FLOOR)


def answer(view: View, limits: Limits) -> None:
    """The best that fits, and honestly how many others might be as good."""
    fitting = tradeoffs.ranked(view.frame[view.frame["fits"]])
    if fitting.empty:
        st.markdown("**Nothing is within these limits**")
        st.markdown(unbroken(_nearest(tradeoffs.would_do(view.frame, limits))))
        return
    best = fitting.iloc[0]
    _card(
        "Best that fits" if limits else "Most accurate" if view.measures == "Accuracy" else "Best",
        best,
        view.measures,
        "tradeoffs.best",
    )
    if len(fitting) > 1:
        st.caption(
            f"Picked from {len(fitting):,} by the texts that it is judged on: luck is picked too, so expect "
            "a little less on new texts."
        )
    alike = tradeoffs.not_told_apart(best, fitting.iloc[1:])
    if view.texts == TEST:
        alike = alike.drop(_shown_worse(best, alike))
    if not alike.empty:
        st.caption(unbroken(_not_told_apart(best, alike)))


def chosen_card(view: View) -> None:
    key = st.session_state.get(CHOSEN)
    with st.container(border=True):
        if key in view.frame.index:
            _card("Chosen", view.frame.loc[key], view.measures, "tradeoffs.card")
        else:
            st.caption(
                ":material/ads_click: A click on a mark opens its report. A row of the table below shows "
                "its model here."
            )


def table(view: View) -> None:
    """What the chart shows, in words; rows can be chosen with the keyboard."""
    rows = pd.concat(
        [tradeoffs.ranked(view.frame[fits]) for fits in (view.frame["fits"], ~view.frame["fits"])]
    )
    # Another key for other rows: the browser remembers a choice by its row's number.
    key = f"tradeoffs.table.{zlib.crc32(' '.join(rows.index).encode())}"
    chosen = st.session_state.get(CHOSEN)
    places = [rows.index.get_loc(chosen)] if chosen in rows.index else []
    st.session_state[key] = {"selection": {"rows": places}}
    shown = written(_shown(rows), WORDS)
    st.dataframe(
        shown,
        hide_index=True,
        key=key,
        on_select=lambda: _picked(key, list(rows.index)),
        selection_mode="single-row",
        column_config=_columns(view.measures, written=not isinstance(shown, pd.DataFrame)),
        placeholder="–",
        height=min(400, 38 + 35 * len(rows)),
        alt=f"Models, those that fit first, by {formatting.in_sentence(view.measures)}",
    )


def _picked(key: str, index: list[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    st.session_state[CHOSEN] = index[rows[0]] if rows else None


def _card(title: str, model: pd.Series[Any], measures: str, key: str) -> None:
    with st.container(key=key, gap="xsmall"):
        st.markdown(f"**{title}:** {_name(model)} of {escape(model['name'])}")
        with st.container(horizontal=True):
            st.metric(
                escape(measures),
                formatting.percent(model["accuracy"]),
                formatting.plus_minus(model["accuracy"], model["low"], model["high"]) or None,
                delta_color="off",
                delta_arrow="off",
                width="content",
            )
            st.metric("Size", formatting.megabytes(model["size"]), width="content")
            if model["latency"] > 0:
                st.metric(
                    "Latency",
                    formatting.milliseconds(model["latency"]),
                    help=escape(f"Median of one text at a time: {model['conditions']}"),
                    width="content",
                )
        facts = [f"{formatting.count(model['params'])} parameters"]
        if model["flops"] > 0:
            facts.append(f"{model['flops'] / 1e6:,.1f} MFLOPs for one text")
        st.caption(", ".join([escape(model["model"])] * bool(model["model"]) + facts))
        st.page_link(
            addresses.REPORT,
            label="Open the report",
            icon=":material/lab_profile:",
            query_params={"run": model["run"]},
        )


def _name(model: pd.Series[Any]) -> str:
    """ "distilled student, ONNX int8"."""
    return formatting.in_sentence(runtimes.form_name(model["who"], model["runtime"]))


def _shown_worse(best: pd.Series[Any], others: pd.DataFrame) -> list[str]:
    """Those of its own run that are worse text by text, by its report; it does not know int8."""
    own = others[(others["run"] == best["run"]) & (others["runtime"] != "int8")]
    if own.empty or best["runtime"] == "int8":
        return []
    gains = store().report(best["run"]).gains  # of the distilled student over each of the others
    worse = {who for who, gap in gains.items() if best["who"] == "student" and gap.kind == "helped"}
    if best["who"] in gains and gains[best["who"]].kind == "hurt":
        worse.add("student")
    return list(own.index[own["who"].isin(worse)])


def _not_told_apart(best: pd.Series[Any], alike: pd.DataFrame) -> str:
    others = "1 other that fits" if len(alike) == 1 else f"{len(alike):,} others that fit"
    parts = [f"{others} may be as good: {best['texts']:,} texts cannot tell them apart."]
    kind = ["model", "runtime", "params"]  # two of one kind are as fast; their times differ by chance
    alike = alike.assign(latency=alike["latency"].where((alike[kind] != best[kind]).any(axis=1)))
    for cost, superlative, shown in (
        ("size", "smallest", formatting.megabytes),
        ("latency", "fastest", formatting.milliseconds),
    ):
        for _, row in alike[alike[cost] < best[cost]].nsmallest(1, cost).iterrows():
            parts.append(f"The {superlative}: {_name(row)} of {escape(row['name'])}, {shown(row[cost])}.")
    return " ".join(parts)


def _nearest(limits: Limits) -> str:
    """Rounded so that what is read here fits when it is typed, in the units of the fields."""
    parts = []
    if limits.size is not None:
        parts.append(f"at most {_up(limits.size)} MB")
    if limits.latency is not None:
        parts.append(f"at most {_up(limits.latency)} ms")
    if limits.accuracy is not None:
        parts.append(f"at least {math.floor(round(1000 * limits.accuracy, 6)) / 10:g} %")
    if not parts:
        return "Not even with one limit less. Loosen more than one of them."
    return f"With the other limits as they are, something fits from: {', or '.join(parts)}."


def _up(value: float) -> str:
    decimals = 1 if value >= 10 else 2 if value >= 0.1 else 4
    return f"{math.ceil(round(value * 10**decimals, 6)) / 10**decimals:.{decimals}f}"


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": rows["who"].map(roles.NAMES),
            "accuracy": rows["accuracy"].map(percent),
            "interval": [
                formatting.plus_minus(*shares)
                for shares in zip(rows["accuracy"], rows["low"], rows["high"], strict=True)
            ],
            "size": rows["size"],
            "latency": rows["latency"],
            "fits": rows["fits"],
            "front": rows["front"],
            "form": rows["runtime"].map(runtimes.RUNTIME_NAMES),
            "run": rows["name"],
            "params": rows["params"],
            "flops": rows["flops"] / 1e6,
            "architecture": rows["model"],
            "created": rows["created"],
        }
    )


def _columns(measures: str, *, written: bool) -> dict[str, Any]:
    """``written``: the columns of ``WORDS`` are; the browser has no such formats, only like ones."""
    size, latency, params = (None, None, None) if written else ("%.1f MB", "%.2f ms", "compact")
    return {
        "fits": COLUMN.CheckboxColumn("Fits", width=50, help="Within all the limits"),
        "front": COLUMN.CheckboxColumn(
            "Front", width=55, help="No other model is as good at a lower cost (the chart's axis)"
        ),
        "model": COLUMN.TextColumn("Model", pinned=True),
        "form": COLUMN.TextColumn("Runs in", width=95),
        "run": COLUMN.TextColumn("Run", width=245),
        "accuracy": COLUMN.NumberColumn(measures, format="%.1f %%"),
        "interval": COLUMN.TextColumn("Interval", help=f"In points: {formatting.ABOUT_PLUS_MINUS}"),
        "size": COLUMN.NumberColumn("Size", format=size),
        "latency": COLUMN.NumberColumn("Latency", format=latency, help="Median, one text at a time"),
        "params": COLUMN.NumberColumn("Parameters", format=params),
        "flops": COLUMN.NumberColumn("MFLOPs", format="%.1f", help="For one text of the measured length"),
        "architecture": "Architecture",
        "created": COLUMN.DatetimeColumn("Created", format="distance"),
    }
