"""In which program a model answers, and in which numbers."""

from __future__ import annotations

from typing import Literal, cast

from kd_core.distillation.roles import NAMES, Role

Runtime = Literal["pytorch", "onnx", "int8", "sklearn"]

RUNTIMES: tuple[Runtime, ...] = ("pytorch", "onnx", "int8")  # of a network
RUNTIME_NAMES: dict[Runtime, str] = {
    "pytorch": "PyTorch",
    "onnx": "ONNX",
    "int8": "ONNX int8",
    "sklearn": "scikit-learn",
}


def form_name(who: Role, runtime: Runtime) -> str:
    """ "Distilled student, ONNX int8"."""
    return f"{NAMES[who]}, {RUNTIME_NAMES[runtime]}"


def split_form(form: str) -> tuple[Role, Runtime]:
    """ "student-int8" -> "student", "int8"."""
    who, _, runtime = form.rpartition("-")
    return cast(Role, who), cast(Runtime, runtime)


def name_of_form(form: str) -> str:
    """ "student-int8" -> "Distilled student, ONNX int8"."""
    return form_name(*split_form(form))
