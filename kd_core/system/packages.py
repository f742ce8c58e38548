"""Python packages that bring data. They are located and never imported: importing runs what they like."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path


def package_folder(name: str) -> Path | None:
    """Where a top-level package is installed, or None."""
    # Found without running it. In a copy: while Streamlit adds to sys.path and removes from it, a walk
    # through the list itself can miss an entry.
    spec = PathFinder.find_spec(name, [*sys.path])
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
