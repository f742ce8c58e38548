"""How to get a run again: its settings that are not the defaults, as a command and as Python. No torch."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from kd_core.config import changed, flag


def command(config: Mapping[str, Any]) -> str:
    """The ``kd distill`` command that runs this config, for a POSIX shell."""
    return " \\\n  ".join(["kd distill", *(_flag(place, value) for place, value in changed(config).items())])


def python(config: Mapping[str, Any]) -> str:
    """The Python code that runs this config."""
    lines = "".join(
        f"    {_literal(place)}: {_literal(value)},\n" for place, value in changed(config).items()
    )
    derived = f".change({{\n{lines}}})" if lines else ""
    return (
        "from kd_core import DistillConfig, distill\n\n"
        f"config = DistillConfig(){derived}\n"
        "report = distill(config)\n"
        "print(report.sentence)\n"
    )


def _flag(place: str, value: Any) -> str:
    name = flag(place)
    if isinstance(value, bool):
        return name if value else f"--no-{name[2:]}"
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"{name} {shlex.quote(text)}"


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
