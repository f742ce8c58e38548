"""Real ``kd`` processes that are killed, or whose terminal is closed. Nothing here waits for a clock."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kd_core.config import DistillConfig
from kd_core.jobs.store import Store
from tests import ROOT

try:
    from fcntl import F_SETPIPE_SZ, fcntl
except ImportError:
    pytest.skip("needs pipes that hold a page", allow_module_level=True)

pytestmark = pytest.mark.slow

KD = [sys.executable, "-m", "kd_core.cli"]
IN_TERMINAL = """
import os, signal, sys
os.login_tty(0)
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[1] == "True" else signal.SIG_DFL)
os.execv(sys.argv[2], sys.argv[2:])
"""
SEEDS = 5  # which say more than a pipe of one page holds: who is not read stands still before the end


def kd(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*KD, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def kill_after(line: str, *arguments: str) -> None:
    """Kill a ``kd`` after it has said a line; its pipe of one page makes it stand still soon after that."""
    process = subprocess.Popen([*KD, *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True, bufsize=1)
    assert process.stderr is not None
    fcntl(process.stderr, F_SETPIPE_SZ, 4096)
    said = ""
    try:
        while not re.search(line, said):
            said += (read := process.stderr.readline())
            assert read, said
    finally:
        process.kill()
        process.communicate()
    assert process.returncode < 0


@pytest.fixture
def config(tiny_config: DistillConfig, tmp_path: Path) -> str:
    file = tmp_path / "run.yaml"
    changes = {
        "training.steps": 20,
        "training.evaluate_every": 2,
        "training.seeds": list(range(SEEDS)),
        "controls.labelled_only": False,
        "controls.shifted": False,
        "controls.tfidf": False,
    }
    file.write_text(tiny_config.change(changes).to_yaml(), encoding="utf-8")
    return str(file)


def weights(home: Path, run: str) -> dict[str, bytes]:
    folder = home / "runs" / run / "students"
    return {file.parent.name: file.read_bytes() for file in folder.glob("*/model.safetensors")}


def test_killed_run_is_listed_and_resumed_to_the_same_weights(
    kd_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    assert kd("distill", "--config", config).returncode == 0
    (undisturbed,) = (weights(kd_home, row.id) for row in Store().runs())
    assert len(undisturbed) == 2 * SEEDS

    monkeypatch.setenv("KD_HOME", str(home := tmp_path / "killed"))
    kill_after(r"Distilled student.*: 2 of 20", "distill", "--config", config)
    assert "Interrupted" in kd("runs").stdout
    (row,) = Store().runs()
    resumed = kd("resume", row.id)
    assert resumed.returncode == 0, resumed.stderr
    assert weights(home, row.id) == undisturbed
    assert Store().run(row.id).status == "done"
    assert not list((home / "work").iterdir())  # nothing of the killed process stays


@pytest.mark.parametrize("nohup", [False, True])
def test_closed_terminal_interrupts_a_run_unless_nohup_was_said(
    nohup: bool, kd_home: Path, config: str
) -> None:
    terminal, inside = os.openpty()
    steps = "20" if nohup else "5000"
    command = [*KD, "distill", "--config", config, "--seeds", "0", "--steps", steps]
    process = subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, str(nohup), *command], cwd=ROOT, stdin=inside
    )
    os.close(inside)
    said = b""
    while b"Distilled student" not in said:
        said += os.read(terminal, 4096)
    os.close(terminal)
    assert process.wait() >= 0  # it was not killed where it was
    (row,) = Store().runs()
    assert (row.status, row.error) == ("done" if nohup else "interrupted", None)
