"""What each kind of run does. Imports torch only when it is called."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kd_core.config import DistillConfig
from kd_core.events import Control, Event, OnEvent, TrainingStarted
from kd_core.jobs import Handler

if TYPE_CHECKING:
    from kd_core.store import RunRow


# Two threads that import torch and transformers at once, in different orders, see half-made modules.
_IMPORTING = threading.Lock()


def prepare() -> None:
    """Import what takes seconds, so that the first run starts at once. Whoever needs it too waits here.

    The half million objects that this brings stay for good: a garbage collection need not look at them, which
    would stop all threads for 0.4 s each time.
    """
    with _IMPORTING:
        if "kd_core.distillation" not in sys.modules:
            import kd_core.distillation  # noqa: F401

            gc.collect()
            gc.freeze()


def distil_handler(row: RunRow, on_event: OnEvent, control: Control) -> Mapping[str, Any]:
    """The four steps, or what is left of them. Checks disk and memory before each training."""
    from kd_core import distill
    from kd_core.space import check_room, check_training

    config = DistillConfig.from_dict(row.config)
    check_room()

    def checked(event: Event) -> None:
        if isinstance(event, TrainingStarted) and not event.cached:
            check_training(config, event.who)
        on_event(event)

    return distill(config, checked, control, run_id=row.id).to_dict()


HANDLERS: Mapping[str, Handler] = {"distil": distil_handler}
