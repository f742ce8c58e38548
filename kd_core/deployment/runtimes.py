"""In which program a model answers, and in which numbers."""

from __future__ import annotations

from typing import Literal

Runtime = Literal["pytorch", "onnx", "int8"]

# In which program a model answers, and in which numbers.
RUNTIME_NAMES: dict[Runtime, str] = {"pytorch": "PyTorch", "onnx": "ONNX", "int8": "ONNX int8"}
