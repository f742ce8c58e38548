"""The models of a run, loaded once for all sessions, and what they say of a text."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kd_core.deployment import predict
from kd_core.deployment.predict import Answer, Reading
from kd_core.distillation.roles import Role

if TYPE_CHECKING:  # torch comes with it
    from kd_core.deployment.forms import OpenForm


@dataclass(frozen=True)
class Panel:
    """A fast tokenizer cannot be used by two sessions at once, so whoever asks a model holds the lock."""

    models: dict[Role, OpenForm]
    lock: threading.Lock

    @property
    def labels(self) -> tuple[str, ...]:
        return next(iter(self.models.values())).labels

    def logits(self, who: Role, texts: Sequence[str]) -> NDArray[np.float32]:
        with self.lock:
            return self.models[who].predict(texts)

    def readings(self, who: Role, texts: Sequence[str]) -> list[Reading]:
        with self.lock:
            return predict.readings(self.models[who], texts)

    def effects(
        self, who: Role, text: str, spans: Sequence[tuple[int, int]], on_rows: Callable[[int], None]
    ) -> list[float]:
        with self.lock:
            return predict.effects(self.models[who], text, spans, on_rows=on_rows).tolist()


@st.cache_resource(max_entries=2, show_spinner="Loading the models")
def open_panel(run_id: str) -> Panel:
    """Raises: RunError where files of the run are missing or were changed."""
    return Panel(predict.open_models(run_id), threading.Lock())


@st.cache_data(max_entries=64, show_spinner="Asking the models")
def ask_models(run_id: str, text: str) -> list[Answer]:
    """Each model's answer, and how long it took when the text was first asked."""
    panel = open_panel(run_id)
    with panel.lock:
        return predict.answers(panel.models, text)


@st.cache_data(max_entries=8, show_spinner=False)
def fitted_temperatures(run_id: str) -> dict[Role, float]:
    """Raises: RunError where there are no answers to the validation texts."""
    return predict.temperatures(run_id)
