"""What a run has left: its events, and the weights of a student."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from kd_core.distillation.events import Step


def student(report, name: str = "student-0") -> dict[str, torch.Tensor]:
    return load_file(Path(report.folder) / "students" / name / "model.safetensors")


def steps(events: list, who: str = "student") -> list[Step]:
    return [event for event in events if isinstance(event, Step) and event.who == who]
