"""Settings as YAML that reads back as they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

# YAML folds these like a line feed where they stand in a text without double quotes.
LINE_BREAKS = "\x85\u2028\u2029"


class _Dumper(yaml.SafeDumper):
    """Of which no other dump learns the style of texts."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(character in text for character in LINE_BREAKS) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(values: Mapping[str, Any]) -> str:
    """In the order of ``values``; letters of any script stay readable."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
