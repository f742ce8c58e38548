"""A config field as a widget: bounds, default and help come from ``kd_core/config.py``."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, get_origin

import streamlit as st

from kd_core.system.settings import Settings, choices
from pages.shared.text import escape

# What a widget is called, where the setting's own name says too little.
LABELS = {
    "label_empty": "Let the teacher label rows without a label",
    "drop_empty": "Drop rows without a label",
    "drop_overlap": "Drop training texts of the test file",
    "drop_rare": "Drop rare classes",
    "train_texts": "Labelled texts, at most",
    "transfer_texts": "Transfer texts, at most",
    "augment": "Spans cut from each text",
    "epochs": "Passes over the texts",
    "probe": "Head from a linear probe",
    "pooling": "What the head reads",
    "weights": "Weights that it keeps",
    "positions": "Filters know where they are",
    "init": "Where its weights start",
    "fill_vocabulary": "Word pieces, at least",
    "t_squared": "Multiply by T²",
    "dkd_target_weight": "DKD: weight of the target class",
    "dkd_other_weight": "DKD: weight of the other classes",
    "hidden_weight": "Hidden states: weight",
    "cosine_weight": "Hidden states: weight of the cosine",
    "attention_weight": "Attention maps: weight",
    "relation_weight": "Value relations: weight",
    "max_grad_norm": "Longest gradient",
    "metric": "Judge models by",
    "report_to": "Experiment trackers",
    "tfidf": "Compare with TF-IDF",
    "shifted": "Other kinds of text",
    "latency_repeats": "Answers timed",
}


def field(
    section: type[Settings],
    name: str,
    *,
    key: str,
    label: str | None = None,
    container: Any = st,
    **overrides: Any,
) -> Any:
    """A widget for ``section.name``; returns a value that ``DistillConfig.from_dict`` takes.

    A slider where the field has a slider range (on which there is no ``auto``), a selectbox for names (or
    ``options=``), else a toggle, a number or a text. An empty number is its default, ``"auto"`` or None, an
    empty text None.
    ``key`` is the URL's parameter too; a value there that is not legal gives way to the default, and a line
    below the widget says so.
    ``value=`` replaces the field's default; other ``overrides`` go to the widget.
    """
    info, schema = section.model_fields[name], _schema(section)[name]
    default = overrides.pop("value", info.default)
    several = get_origin(info.annotation) is tuple  # typed with commas between them
    names = overrides.pop("options", [option for option in choices(info) if option != "auto" and not several])
    common = {
        "key": key,
        "help": escape(info.description),
        "bind": "query-params",
        **overrides,
    }
    text = label or LABELS.get(name) or name.replace("_", " ").capitalize()
    given = st.query_params.get(key)
    number = _number(schema)
    value: Any
    if names:
        if "auto" in choices(info):
            names = ["auto", *names]
        value = container.selectbox(text, names, index=list(names).index(default), **common)
    elif info.annotation is bool:
        value = container.toggle(text, value=default, **common)
    elif number and schema["slider"]:
        kind = int if number["type"] == "integer" else float
        low, high, step = map(kind, schema["slider"])
        shape = {"min_value": low, "max_value": high, "step": step, **common}
        start = schema["start"] if default == "auto" else default
        value = container.slider(text, value=kind(start), **shape)
    elif number:
        value = container.number_input(text, **{**_shape(number, default), **common})
        value = "auto" if value is None and default == "auto" else value
    else:
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default or ""
        value = container.text_input(text, value=shown, **common) or None
    if given and key not in st.query_params and not _same(given, value):
        container.caption(
            f":material/warning: The link has {escape(key)}={escape(given)}, which is not possible here; "
            f"{escape(value)} is used."
        )
    return value


@cache
def _schema(section: type[Settings]) -> dict[str, dict[str, Any]]:
    return section.model_json_schema()["properties"]


def _number(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The part of a field's schema that describes a number, with its bounds."""
    parts = schema.get("anyOf", [schema])
    return next((part for part in parts if part["type"] in ("integer", "number")), None)


def _shape(number: dict[str, Any], default: Any) -> dict[str, Any]:
    """A number input's arguments. A bound that is not legal itself is left to the config, which says why."""
    kind = int if number["type"] == "integer" else float
    low = number.get("minimum", number.get("exclusiveMinimum"))
    high = number.get("maximum", number.get("exclusiveMaximum"))
    shape: dict[str, Any] = {
        "min_value": None if low is None else kind(low),
        "max_value": None if high is None else kind(high),
        "value": None if default in ("auto", None) else kind(default),
        "placeholder": "auto" if default == "auto" else None,
        "step": 1,
    }
    if kind is float:  # a tenth of the default's power of ten: 0.1 moves by 0.01
        size = shape["value"] or (1.0 if default == 0 else 1e-4)
        shape |= {"step": 10.0 ** (math.floor(math.log10(size)) - 1), "format": "%g"}
    return shape


def _same(given: str, value: Any) -> bool:
    """Whether the link asked for the value that is shown (a default leaves the URL again)."""
    try:
        return float(given) == value
    except ValueError:
        return given.lower() == str(value).lower()
