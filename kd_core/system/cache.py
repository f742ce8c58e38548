"""What need not be computed twice, in folders named by what they were made of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kd_core.system import paths

USED = "caches.txt"  # in a run's folder: a line "kind/key" for each that it took or made


def key(**parts: Any) -> str:
    """A name that changes with any of ``parts`` (anything JSON can hold)."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def place(kind: str, **parts: Any) -> Path:
    """The folder of what is made of ``parts``."""
    return paths.caches() / kind / key(**parts)
