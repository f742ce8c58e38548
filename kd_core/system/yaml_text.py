"""Settings as YAML that reads back as they were, and YAML that says each thing once."""

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


class _Loader(yaml.SafeLoader):
    """Of a name that stands twice in a mapping, YAML would silently keep the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        names = set[str]()
        for name, _ in node.value:
            if isinstance(name, yaml.ScalarNode) and name.tag != "tag:yaml.org,2002:merge":
                if name.value in names:
                    raise yaml.composer.ComposerError(
                        None, None, f"{name.value!r} stands there a second time", name.start_mark
                    )
                names.add(name.value)
        return node


def from_yaml(text: str) -> Any:
    """Only plain values. Raises: yaml.YAMLError, ValueError (a date that cannot be), RecursionError."""
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def as_yaml(values: Mapping[str, Any]) -> str:
    """In the order of ``values``; letters of any script stay readable."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
