"""What keeps a dashboard's runner from its work: for its pages, and for ``kd runs`` in another process."""

from __future__ import annotations

import json
from contextlib import suppress

from kd_core.system import paths
from kd_core.system.atomic import write_text
from kd_core.system.process import alive, owner

FILE = "runner.json"


class RunnerState:
    """``trouble``: why queued runs do not start, or "". In ``KD_HOME`` too, where that can be written."""

    def __init__(self) -> None:
        self.trouble = ""
        self._written: str | None = None

    def set(self, trouble: str) -> None:
        if trouble != self._written:
            with suppress(OSError):
                paths.make_home()
                text = json.dumps({"owner": owner(), "trouble": trouble})
                write_text(paths.home() / FILE, text)
                self._written = trouble
        self.trouble = trouble

    def clear(self) -> None:
        """The process ends."""
        with suppress(OSError):
            (paths.home() / FILE).unlink()


def why_runs_wait() -> str | None:
    """Why queued runs of this ``KD_HOME`` do not start; None where a runner takes them."""
    try:
        kept = json.loads((paths.home() / FILE).read_text(encoding="utf-8"))
        running, trouble = alive(str(kept["owner"])), str(kept["trouble"])
    except (OSError, ValueError, TypeError, KeyError):
        running, trouble = False, ""
    if not running:
        return "Queued runs wait for a dashboard, and none is open. Start one: kd app"
    return f"Queued runs do not start: {trouble} The dashboard tries again." if trouble else None
