"""How to get a run again: its settings that are not the defaults, as a command and as Python. No torch."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from kd_core.config import HUB_PREFIX, changed, flag

# Settings that may be a place on this machine.
LOCAL = (
    ("task", "name"),
    ("task", "knowledge"),
    ("task", "test_file"),
    ("task", "transfer_file"),
    ("teacher", "model"),
    ("student", "model"),
)


def command(config: Mapping[str, Any]) -> str:
    """The ``kd distill`` command that runs this config, for a POSIX shell.

    No flag takes a list in which a value has a comma, as the name of a column may.
    """
    given = changed(config)
    lists = {place: value for place, value in given.items() if isinstance(value, list | tuple)}
    if beyond := [flag(place) for place, value in lists.items() if any("," in str(one) for one in value)]:
        return f"# A value for {' and '.join(beyond)} has a comma: use the file.\nkd distill --config FILE"
    return " \\\n  ".join(["kd distill", *(_flag(place, value) for place, value in given.items())])


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


def without_places(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config to be passed on: of a file or folder on this machine only its name, which tells no user's."""
    changes: dict[str, Any] = {section: dict(values) for section, values in config.items() if _is_map(values)}
    for section, name in LOCAL:
        if value := changes.get(section, {}).get(name):
            changes[section][name] = _last_part(str(value))
    return {**config, **changes}


def _is_map(values: Any) -> bool:
    return isinstance(values, Mapping)


def _last_part(name: str) -> str:
    """ "/home/me/films.csv" -> "films.csv"; "owner/name" and "hub:owner/name" are no places here."""
    prefix, place = (HUB_PREFIX, name.removeprefix(HUB_PREFIX)) if name.startswith(HUB_PREFIX) else ("", name)
    here = place.startswith(("/", "~", ".")) or "\\" in place or place.count("/") > 1
    return prefix + re.split(r"[\\/]", place.rstrip("\\/"))[-1] if here else name


def _flag(place: str, value: Any) -> str:
    name = flag(place)
    if isinstance(value, bool):
        return name if value else f"--no-{name[2:]}"
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"{name} {shlex.quote(text)}"


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
