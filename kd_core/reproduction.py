"""How to get a run again: its settings that are not the defaults, as a command and as Python. No torch."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from kd_core.config import sections
from kd_core.flags import flag


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config as ``{"objective.temperature": 4.0, ...}``, in the order of the fields."""
    return {
        f"{section}.{name}": config[section][name]
        for section, fields in sections()
        for name in fields.model_fields
        if name in config.get(section, {})  # a run of an older version may lack a setting
    }


def changed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from the defaults."""
    defaults = {
        f"{section}.{name}": info.default
        for section, fields in sections()
        for name, info in fields.model_fields.items()
    }
    return {
        place: value for place, value in settings(config).items() if _plain(value) != _plain(defaults[place])
    }


def differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The settings in which the configs differ, each with its value in every config (None: not recorded)."""
    flat = [settings(config) for config in configs]
    places = dict.fromkeys(place for one in flat for place in one)
    rows = {place: [one.get(place) for one in flat] for place in places}
    return {
        place: values for place, values in rows.items() if any(value != values[0] for value in values[1:])
    }


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


def _plain(value: Any) -> Any:
    """Seeds are a tuple in the config and a list where it is stored."""
    return list(value) if isinstance(value, tuple) else value
