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

    def set(self, trouble: str) -> None:
        says, there = {"owner": owner(), "trouble": trouble}, _read()
        other = there.get("owner") != says["owner"] and alive(str(there.get("owner")))
        # Of two dashboards, the one that can start runs speaks for both.
        if there != says and (not other or (there.get("trouble") and not trouble)):
            with suppress(OSError):
                paths.make_home()
                write_text(paths.home() / FILE, json.dumps(says))
        self.trouble = trouble

    def clear(self) -> None:
        """The process ends. What another one has written stays."""
        with suppress(OSError):
            if _read().get("owner") == owner():
                (paths.home() / FILE).unlink()


def _read() -> dict[str, str]:
    """{} where nothing is there, or nothing that can be read."""
    try:
        kept = json.loads((paths.home() / FILE).read_text(encoding="utf-8"))
        return {name: str(kept[name]) for name in ("owner", "trouble")}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def why_runs_wait() -> str | None:
    """Why queued runs of this ``KD_HOME`` do not start; None where a runner takes them."""
    kept = _read()
    if not alive(kept.get("owner", "")):
        return "Queued runs wait for a dashboard, and none is open. Start one: kd app"
    trouble = kept["trouble"]
    return f"Queued runs do not start: {trouble} The dashboard tries again." if trouble else None
