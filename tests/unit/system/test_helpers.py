"""Helper processes: they pause with their parent and end with it."""

from __future__ import annotations

import sys
import threading
import time

import psutil
import pytest
import torch

from kd_core.system import helpers as module
from kd_core.system.control import Control
from kd_core.system.helpers import helpers, parent_control, with_threads

REPEATS = "import sys\nprint('here', flush=True)\nfor line in sys.stdin: print(line, end='', flush=True)\n"


@pytest.fixture
def command(tmp_path, monkeypatch) -> tuple[str, str]:
    """A module that repeats its input until the input ends."""
    (tmp_path / "parrot.py").write_text(REPEATS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(module, "LOOK_EVERY", 0.01)
    return "parrot", str(tmp_path)


def alive(folder: str) -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if folder in child.cmdline()]


def until(true) -> bool:
    deadline = time.monotonic() + 60
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def test_helpers_pause_with_their_parent(command, tmp_path) -> None:
    control, heard = Control(), []
    with helpers([command], tmp_path / "logs", threads=1, control=control, on_line=heard.append):
        assert until(lambda: heard == ["here\n"])
        control.pause()
        assert until(lambda: heard[1:] == ["pause\n"])
        control.resume()
        assert until(lambda: heard[1:] == ["pause\n", "resume\n"])
        assert len(alive(command[1])) == 1
    assert not alive(command[1])


def test_output_is_logged_without_a_listener(command, tmp_path) -> None:
    logs = tmp_path / "logs"
    with helpers([command, command], logs, threads=1, control=Control()):
        assert until(lambda: [file.read_text() for file in sorted(logs.iterdir())] == ["here\n", "here\n"])
    assert not alive(command[1])


def test_an_exception_ends_the_helpers(command, tmp_path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        helpers([command], tmp_path, threads=1, control=Control(), abandoned=True),
    ):
        raise ZeroDivisionError
    assert not alive(command[1])


def test_a_silent_helper_is_killed(tmp_path, monkeypatch) -> None:
    (tmp_path / "deaf.py").write_text("import time\nwhile True: time.sleep(1)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(module, "_wait", lambda process: process.wait())  # forever, unless it is killed
    with (
        pytest.raises(ZeroDivisionError),
        helpers(
            [("deaf", str(tmp_path))],
            tmp_path,
            threads=1,
            control=Control(),
            on_line=print,
            abandoned=True,
        ),
    ):
        raise ZeroDivisionError
    assert not alive(str(tmp_path))


def test_a_helper_obeys_its_parent(monkeypatch) -> None:
    class Words:
        """A ``sys.stdin`` that yields one word for each release."""

        def __init__(self) -> None:
            self.next, self.words = threading.Semaphore(0), iter(["pause\n", "resume\n"])

        def __iter__(self):
            for word in self.words:
                self.next.acquire()
                yield word
            self.next.acquire()

    words = Words()
    monkeypatch.setattr(sys, "stdin", words)
    control = parent_control()
    words.next.release()
    assert until(lambda: control.paused)
    words.next.release()
    assert until(lambda: not control.paused)
    assert not control.stopping
    words.next.release()
    assert until(lambda: control.stopping)


def test_overlapping_thread_limits_restore_the_first_count() -> None:
    """A job limits threads, a page does too, and the job ends first."""
    entered, ended = threading.Event(), threading.Event()
    found: list[int] = []

    def page() -> None:
        with with_threads(1):
            entered.set()
            ended.wait(10)
        found.append(torch.get_num_threads())

    def later() -> None:
        found.append(torch.get_num_threads())

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        looks = threading.Thread(target=page)
        with with_threads(1):
            looks.start()
            entered.wait(10)
            with with_threads(3):
                pass
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        ended.set()
        looks.join()
        new = threading.Thread(target=later)
        new.start()
        new.join()
    finally:
        torch.set_num_threads(before)
    assert found == [2, 2], "the page's thread and a later one"
