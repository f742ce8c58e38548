"""KD Studio's engine: knowledge distillation of text classifiers.

from kd_core import DistillConfig, distill
report = distill(DistillConfig(), on_event=print)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kd_core.config import DistillConfig
    from kd_core.distillation import distill
    from kd_core.errors import KDError
    from kd_core.events import Control
    from kd_core.report import Report

__all__ = ["Control", "DistillConfig", "KDError", "Report", "distill"]

# Imported when first used: torch alone takes seconds.
_HOMES = {
    "Control": "events",
    "DistillConfig": "config",
    "KDError": "errors",
    "Report": "report",
    "distill": "distillation",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"kd_core.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
