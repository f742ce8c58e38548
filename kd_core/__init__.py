"""KD Studio's engine: knowledge distillation of text classifiers.

from kd_core import DistillConfig, distill
report = distill(DistillConfig(), on_event=print)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kd_core.config import DistillConfig
    from kd_core.distillation.pipeline import distill
    from kd_core.distillation.report import Report
    from kd_core.errors import KDError
    from kd_core.system.control import Control

__all__ = ["Control", "DistillConfig", "KDError", "Report", "distill"]

# Imported when first used: torch alone takes seconds.
_HOMES = {
    "Control": "system.control",
    "DistillConfig": "config",
    "KDError": "errors",
    "Report": "distillation.report",
    "distill": "distillation.pipeline",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"kd_core.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__  # what a notebook completes
