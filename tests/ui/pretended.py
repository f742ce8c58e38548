"""A finished run whose models are pretended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kd_core.config import DistillConfig
from kd_core.deployment import predict
from kd_core.distillation.roles import CORE
from kd_core.jobs.store import Store
from tests import SAMPLES

RUN, OTHER = "20260131-143000-a1b2", "20260131-150000-c3d4"
LABELS = ("business", "entertainment", "politics", "sports", "tech")
EVIL = "![x](http://127.0.0.1:9/x) <b>$x$ shares"
UNKNOWN = 1


class Tokenizer:
    """A token is a word; the emoji is not in the vocabulary."""

    unk_token_id = UNKNOWN

    def __call__(
        self, text: str, *, truncation: bool = False, max_length: int = 0, **_: Any
    ) -> dict[str, Any]:
        words = text.split()[: max_length - 2] if truncation else text.split()
        offsets, place = [(0, 0)], 0
        for word in words:
            place = text.index(word, place) + len(word)
            offsets.append((place - len(word), place))
        ids = [UNKNOWN if word == "😀" else 7 for word in words]
        return {"input_ids": ids, "offset_mapping": [*offsets, (0, 0)]}

    def num_special_tokens_to_add(self) -> int:
        return 2


class Model:
    """Says business where a text has "shares", else sports; the student alone always says tech."""

    tokenizer, labels, max_length = Tokenizer(), LABELS, 12

    def __init__(self, who: str) -> None:
        self.who = who

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        self.texts = texts
        return [[2, *self.tokenizer(text, truncation=True, max_length=12)["input_ids"], 3] for text in texts]

    def logits(self, ids: list[list[int]]) -> np.ndarray:
        return self.predict(self.texts)

    def predict(self, texts: Sequence[str], *_: Any, on_rows: Any = None, **__: Any) -> np.ndarray:
        answers = [4 if self.who == "alone" else 0 if "shares" in text else 3 for text in texts]
        if on_rows:
            on_rows(len(texts))
        return 3 * np.eye(5, dtype=np.float32)[answers]


@pytest.fixture
def report() -> dict[str, Any]:
    return json.loads((SAMPLES / "report.json").read_text("utf-8"))


@pytest.fixture
def done(home: Path, store: Store, report: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Store:
    """A finished run with two test texts; on the second, teacher and student differ."""
    store.create_run(RUN, DistillConfig().model_dump(mode="json"), name="Demo")
    store.save_report(RUN, report)
    store.set_status(RUN, "done")
    (home / "runs" / RUN).mkdir(parents=True)
    business, sports = [4.0, 0, 0, 0, 0], [0, 0, 0, 4.0, 0]
    pd.DataFrame(
        {
            "text": [f"{EVIL} rise", "striker buys shares"],
            "label": [0, 3],
            "teacher": [business, sports],
            "student-0": [business, business],
        }
    ).to_parquet(home / "runs" / RUN / "predictions.parquet")
    monkeypatch.setattr(predict, "open_models", lambda run_id: {who: Model(who) for who in CORE})
    return store
