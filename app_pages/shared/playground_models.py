"""The models of a run, loaded once for all sessions, and what they say of a text."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app_pages.shared.state import store
from app_pages.shared.text import escape, run_line
from kd_core import prediction
from kd_core.events import Who
from kd_core.prediction import Answer
from kd_core.store import RunRow

if TYPE_CHECKING:  # torch comes with it
    from kd_core.forms import OpenForm


@dataclass(frozen=True)
class Panel:
    """A fast tokenizer cannot be used by two sessions at once, so whoever asks a model holds the lock."""

    models: dict[Who, OpenForm]
    lock: threading.Lock

    @property
    def labels(self) -> tuple[str, ...]:
        return self.models["teacher"].labels

    def logits(self, who: Who, texts: Sequence[str]) -> NDArray[np.float32]:
        with self.lock:
            return self.models[who].predict(texts)

    def effects(
        self, who: Who, text: str, spans: Sequence[tuple[int, int]], on_rows: Callable[[int], None]
    ) -> list[float]:
        with self.lock:
            return prediction.effects(self.models[who], text, spans, on_rows=on_rows).tolist()


@st.cache_resource(max_entries=2, show_spinner="Loading the three models")
def open_panel(run_id: str) -> Panel:
    """Raises: RunError where files of the run are missing or were changed."""
    return Panel(prediction.open_models(run_id), threading.Lock())


@st.cache_data(max_entries=64, show_spinner="Asking the three models")
def answers(run_id: str, text: str) -> list[Answer]:
    """Each model's answer, and how long it took when the text was first asked."""
    panel = open_panel(run_id)
    with panel.lock:
        return [prediction.answer(model, text) for model in panel.models.values()]


def choose_run() -> RunRow | None:
    """A finished run: the one of the link, or else the newest. Raises: KDError if the link's is gone."""
    runs = {run.id: run for run in store().runs(kind="distil", status=("done",))}
    asked = st.query_params.get("run")
    if asked and asked not in runs:
        asked_for = store().run(asked)  # raises where there is none
        st.warning(
            f"The run {escape(asked_for.name or asked)} is {asked_for.status}: only a finished run has "
            "models to ask. Another one is shown.",
            icon=":material/hourglass_top:",
        )
    if not runs:
        return None
    ids = list(runs)
    shown = asked if asked in runs else ids[0]
    chosen = st.selectbox(
        "Run",
        ids,
        index=ids.index(shown),
        format_func=lambda run_id: run_line(runs[run_id]),
        key=f"playground.run.{shown}",
    )
    if chosen != shown:
        st.query_params["run"] = chosen
        st.rerun()
    return runs[chosen]
