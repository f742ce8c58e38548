"""A job in its turn: one at a time on a machine, and a clean end on Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kd_core.cli import main
from kd_core.config import DistillConfig
from kd_core.distillation.events import OnEvent
from kd_core.jobs.store import Store
from kd_core.system.control import Control
from kd_core.system.process import machine_lock
from tests.unit.cli.scripted import RUN, FakeReport, finishes, make_run, use_engine

pytestmark = pytest.mark.usefixtures("own_environment")


def test_the_first_interrupt_stops_the_run_and_the_second_interrupts_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    stopping: list[bool] = []

    def engine(config: DistillConfig, on_event: OnEvent, control: Control) -> FakeReport:
        control.check()
        os.kill(os.getpid(), signal.SIGINT)
        stopping.append(control.stopping)
        if config.training.seeds == (0,):
            control.check()
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second interrupt did not arrive")

    use_engine(monkeypatch, engine)
    assert main(["distill"]) == 130
    assert capsys.readouterr().err.startswith("kd: Stopped on request. To go on: kd resume 2")
    assert main(["distill", "--seeds", "1"]) == 130
    assert capsys.readouterr().err == "\nkd: interrupted\n"
    assert stopping == [True, True]
    assert [row.status for row in Store().runs()] == ["interrupted", "stopped"]
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize(
    ("status", "way"),
    [("running", ""), ("paused", f" kd resume {RUN} lets it go on, kd stop {RUN} ends it.")],
)
def test_one_waits_for_the_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: str, way: str
) -> None:
    use_engine(monkeypatch, finishes)
    store = Store()
    make_run(store, RUN, status)
    holds, waits = threading.Event(), threading.Event()

    def other() -> None:
        with machine_lock():
            holds.set()
            waits.wait(30)

    def told(console: Console, text: str, **_: Any) -> None:
        if text.startswith("Waiting"):
            capsys.readouterr()
            waits.set()
            seen.append((text, [row.status for row in store.runs()]))

    seen: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(Console, "print", told)
    thread = threading.Thread(target=other)
    thread.start()
    assert holds.wait(30)
    assert main(["distill", "--json"]) == 0
    thread.join()
    assert seen == [
        (
            f"Waiting for run {RUN} (about a1b2), which is {status}; one runs at a time on a machine.{way}",
            ["queued", status],
        )
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_ends_while_it_waits_leaves_no_run_behind_that_is_queued(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    use_engine(monkeypatch, finishes)
    store = Store()
    said = Console.print

    def told(console: Console, text: Any = "", *rest: Any, **options: Any) -> None:
        said(console, text, *rest, **options)
        if str(text).startswith("Waiting"):
            threading.Timer(0.3, os.kill, (os.getpid(), number)).start()

    def other() -> None:
        with machine_lock():
            holds.set()
            ended.wait(30)

    holds, ended = threading.Event(), threading.Event()
    monkeypatch.setattr(Console, "print", told)
    thread = threading.Thread(target=other)
    thread.start()
    assert holds.wait(30)
    # Checks that were started in the background inherit that Ctrl + C is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["distill"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
        ended.set()
    thread.join()
    (row,) = store.runs()
    assert row.status == "stopped"
    assert capsys.readouterr().err.endswith(f"kd: Stopped before its turn. To go on: kd resume {row.id}\n")


def test_nobody_waits_for_another_run_to_be_told_of_a_wrong_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    use_engine(monkeypatch, finishes)
    (tmp_path / "films.csv").write_text("text,label\n" + "good,pos\nbad,neg\n" * 9)
    lock = machine_lock()
    with lock:
        assert main(["distill", "--task", str(tmp_path / "films.csv"), "--text-column", "txet"]) == 2
    (row,) = Store().runs()
    assert row.status == "failed"
    assert "has no column 'txet'" in (said := capsys.readouterr().err)
    assert "Waiting" not in said


def test_a_run_that_is_stopped_while_it_waits_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_engine(monkeypatch, finishes)
    store, lock = Store(), machine_lock()
    said = Console.print

    def told(console: Console, text: Any = "", *rest: Any, **options: Any) -> None:
        said(console, text, *rest, **options)
        if str(text).startswith("Waiting"):
            assert main(["stop", store.runs()[0].id]) == 0
            lock.release()

    monkeypatch.setattr(Console, "print", told)
    with lock:
        assert main(["distill"]) == 2
    (row,) = store.runs()
    assert row.status == "stopped"
    errors = capsys.readouterr().err
    assert f"Run {row.id} has left the queue." in errors
    assert "is no longer queued; somebody else started or cancelled it" in errors
