"""Real ``kd`` processes that are killed, or that run beside one another. Nothing here waits for a clock."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
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


class Held:
    """A ``kd`` that stands still soon after the line in which it has begun to train its student."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*KD, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.process.stderr is not None
        fcntl(self.process.stderr, F_SETPIPE_SZ, 4096)
        self.said = ""

    def read_until(self, line: str) -> None:
        assert self.process.stderr is not None
        while not re.search(line, self.said):
            said = self.process.stderr.readline()
            assert said, self.said
            self.said += said

    def go_on(self) -> int:
        out, said = self.process.communicate()
        self.said += out + said
        return self.process.returncode


@pytest.fixture
def start() -> Iterator[Callable[..., Held]]:
    started: list[Held] = []

    def start(*arguments: str) -> Held:
        started.append(Held(*arguments))
        return started[-1]

    yield start
    for held in started:
        held.process.kill()
        held.process.communicate()


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


def test_a_killed_run_is_listed_and_resumed_to_the_same_weights(
    kd_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, start: Callable[..., Held]
) -> None:
    assert kd("distill", "--config", config).returncode == 0
    (undisturbed,) = (weights(kd_home, row.id) for row in Store().runs())
    assert len(undisturbed) == 2 * SEEDS

    monkeypatch.setenv("KD_HOME", str(home := tmp_path / "killed"))
    killed = start("distill", "--config", config)
    killed.read_until(r"Distilled student.*: 2 of 20")
    killed.process.kill()
    assert killed.go_on() < 0

    listed = kd("runs")
    assert "Interrupted" in listed.stdout
    (row,) = Store().runs()
    resumed = kd("resume", row.id)
    assert resumed.returncode == 0, resumed.stderr
    assert weights(home, row.id) == undisturbed
    assert Store().run(row.id).status == "done"
    assert not list((home / "work").iterdir())  # nothing of the killed process stays


@pytest.mark.parametrize("nohup", [False, True])
def test_a_run_whose_terminal_is_closed_is_interrupted_or_goes_on_where_nohup_said_so(
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


def test_two_runs_of_one_task_beside_the_deletion_of_a_third(
    kd_home: Path, config: str, start: Callable[..., Held]
) -> None:
    assert kd("distill", "--config", config, "--name", "done").returncode == 0
    store = Store()
    (done,) = store.runs()
    expected = weights(kd_home, done.id)

    first = start("distill", "--config", config, "--name", "first")
    first.read_until(r"Distilled student.*: 2 of 20")  # and stands still there
    second = start("distill", "--config", config, "--name", "second", "--seeds", "9")
    second.read_until(r"\S")  # it has said something, so it is in the list

    deleted = kd("delete", "--yes", done.id)
    assert deleted.returncode == 0, deleted.stderr
    assert not (kd_home / "runs" / done.id).exists()
    cleaned = kd("clean")
    assert cleaned.returncode == 2
    assert cleaned.stderr == "kd: A run is under way on this machine; clean when it has ended.\n"

    assert (first.go_on(), second.go_on()) == (0, 0), first.said + second.said
    rows = {row.name: row for row in Store().runs()}
    assert {name: row.status for name, row in rows.items()} == {"first": "done", "second": "done"}
    assert weights(kd_home, rows["first"].id) == expected
    assert set(weights(kd_home, rows["second"].id)) == {"student-9", "alone-9"}
    assert len(list((kd_home / "cache" / "teachers").iterdir())) == 1  # all had the same one

    assert kd("delete", "--undo", done.id).returncode == 0
    assert weights(kd_home, done.id) == expected
