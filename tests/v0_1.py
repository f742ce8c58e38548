"""What KD Studio 0.1 has left: a ``KD_HOME`` and ``--json`` documents, recorded once and never again.

On ``support-messages.csv``: a finished run, one that Ctrl-C stopped after its student's first checkpoint, at
another temperature, and a search with the run that came of it. The database is a dump, and what holds weights
or a tokenizer was left out; the manifests still list it.
"""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
from pathlib import Path
from typing import Any

from kd_core.system.atomic import MANIFEST, seal
from tests import ROOT, SAMPLES

OLD = SAMPLES / "v0_1"
DONE, STOPPED, CHOSEN = "20261125-171017-df7e", "20261125-171151-bea2", "20261125-171124-e616"
CHECKPOINT = f"work/{STOPPED}/student-0/checkpoint-1"


def restore(home: Path) -> None:
    """Fill the new folder ``home``, as if 0.1 had worked there and on this machine."""
    shutil.copytree(OLD / "home", home)
    for file in (path for path in home.rglob("*") if path.suffix in (".json", ".yaml")):
        file.write_text(_moved(file, home), encoding="utf-8")
    database = sqlite3.connect(home / "kd.sqlite")
    database.executescript(_moved(OLD / "kd.sql", home))
    database.close()


def document(name: str, home: Path) -> Any:
    """What a command printed with ``--json``."""
    return json.loads(_moved(OLD / "json" / f"{name}.json", home))


def complete(folder: Path, source: Path) -> None:
    """Take the files that are in the folder's manifest, but were left out, from ``source``."""
    for name in json.loads((folder / MANIFEST).read_text()):
        if not (folder / name).exists():
            shutil.copy(source / name, folder / name)
    seal(folder)


def _moved(file: Path, home: Path) -> str:
    """Its text with the places and the machine of today."""
    text = file.read_text(encoding="utf-8")
    sample = ROOT / "assets" / "samples" / "support-messages.csv"
    for old, new in {"/srv/kd/home": home, f"/srv/kd/{sample.name}": sample}.items():
        text = text.replace(old, str(new))
    for mark in "'\":":  # around the name of a machine, or after it in that of a process
        text = text.replace(f"example{mark}", f"{socket.gethostname()}{mark}")
    return text
