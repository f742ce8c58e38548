"""How a model that is taken from the cache once learned: its looks at the validation split."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kd_core.events import Evaluated, OnEvent, Who

FILE = "history.json"


def keep_history(folder: Path, log: Iterable[Mapping[str, Any]]) -> None:
    """Write what the Trainer's ``log_history`` has of validation beside the model's weights."""
    looks = [
        [line["step"], line["eval_accuracy"], line["eval_loss"]] for line in log if "eval_accuracy" in line
    ]
    (folder / FILE).write_text(json.dumps(looks), encoding="utf-8")


def tell_history(folder: Path, who: Who, seed: int, on_event: OnEvent) -> None:
    """Report those looks as if the model were trained now, so that its curve is there to compare with."""
    if (folder / FILE).is_file():  # folders of earlier versions have none
        for step, accuracy, loss in json.loads((folder / FILE).read_text(encoding="utf-8")):
            on_event(Evaluated(who, seed, step, accuracy, loss))
