"""Python packages that bring data. They are located and never imported: importing runs what they like."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def package_folder(name: str) -> Path | None:
    """Where a top-level package is installed, or None."""
    spec = find_spec(name)  # finds it without running it
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
