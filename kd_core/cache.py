"""What need not be computed twice, in folders named by what they were made of."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kd_core import paths
from kd_core.folders import is_whole, new_folder


def key(**parts: Any) -> str:
    """A name that changes with any of ``parts`` (anything JSON can hold)."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def fetch(kind: str, name: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
    """The folder of entry ``name``, and whether it was there already; ``make(folder)`` fills a new one.

    An entry that is damaged is made again.
    """
    place = paths.caches() / kind / name
    if place.is_dir():
        if is_whole(place):
            return place, True
        shutil.rmtree(place)
    with new_folder(place) as folder:
        make(folder)
    return place, False
