from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kd_core.config import DistillConfig
from kd_core.distillation.events import OnEvent
from kd_core.jobs.store import Store
from kd_core.system.control import Control
from kd_core.system.process import machine_lock
from tests.unit.cli.conftest import RUN, make_run


def test_first_interrupt_stops_the_run_and_the_second_interrupts_it(kd, use_engine) -> None:
    before = signal.getsignal(signal.SIGINT)
    stopping: list[bool] = []

    def engine(config: DistillConfig, on_event: OnEvent, control: Control) -> Any:
        control.check()
        os.kill(os.getpid(), signal.SIGINT)
        stopping.append(control.stopping)
        if config.training.seeds == (0,):
            control.check()
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second interrupt did not arrive")

    use_engine(engine)
    stopped = kd("distill")
    assert stopped.status == 130
    assert stopped.err.startswith("kd: Stopped on request. To go on: kd resume 2")
    assert kd("distill --seeds 1") == (130, "", "\nkd: interrupted\n")
    assert stopping == [True, True]
    assert [row.status for row in Store().runs()] == ["interrupted", "stopped"]
    assert signal.getsignal(signal.SIGINT) == before


@pytest.fixture
def busy(kd, monkeypatch) -> Iterator[Callable[..., threading.Event]]:
    """``busy(act)``: the machine's lock is held until the event that it returns, or for 30 s.

    ``act(text)`` is called when the command says that it waits.
    """
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with machine_lock():
            held.set()
            done.wait(30)

    def begin(act: Callable[[str], Any]) -> threading.Event:
        said = Console.print

        def told(console: Console, text: Any = "", *rest: Any, **options: Any) -> None:
            said(console, text, *rest, **options)
            if str(text).startswith("Waiting"):
                act(str(text))

        monkeypatch.setattr(Console, "print", told)
        thread.start()
        assert held.wait(30)
        return done

    thread = threading.Thread(target=hold)
    yield begin
    done.set()
    thread.join()


@pytest.mark.parametrize(
    ("status", "way"),
    [("running", ""), ("paused", f" kd resume {RUN} lets it go on, kd stop {RUN} ends it.")],
)
def test_run_waits_for_another(kd, use_engine, busy, status: str, way: str) -> None:
    use_engine()
    store, seen = make_run(RUN, status), []

    def let_go_on(text: str) -> None:
        seen.append((text, [row.status for row in store.runs()]))
        done.set()

    done = busy(let_go_on)
    assert kd("distill --json").status == 0
    assert seen == [
        (
            f"Waiting for run {RUN} (about a1b2), which is {status}; one runs at a time on a machine.{way}",
            ["queued", status],
        )
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_process_that_ends_while_it_waits_leaves_no_queued_run(kd, use_engine, busy, number) -> None:
    use_engine()
    busy(lambda _: threading.Timer(0.1, os.kill, (os.getpid(), number)).start())
    # Checks that were started in the background inherit that Ctrl + C is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status, _, err = kd("distill")
    finally:
        signal.signal(signal.SIGINT, before)
    (row,) = Store().runs()
    assert (status, row.status) == (130, "stopped")
    assert err.endswith(f"kd: Stopped before its turn. To go on: kd resume {row.id}\n")


def test_run_that_is_stopped_while_it_waits_does_not_start(kd, use_engine, busy) -> None:
    seen = use_engine()

    def stop(_: str) -> None:
        kd("stop last")
        done.set()

    done = busy(stop)
    status, _, err = kd("distill")
    (row,) = Store().runs()
    assert (status, row.status, seen) == (2, "stopped", [])
    assert "is no longer queued; somebody else started or cancelled it" in err


def test_wrong_column_is_told_before_waiting(kd, use_engine, busy, tmp_path: Path) -> None:
    use_engine()
    busy(lambda _: pytest.fail("it waited"))
    (tmp_path / "films.csv").write_text("text,label\n" + "good,pos\nbad,neg\n" * 9)
    status, _, err = kd(f"distill --task {tmp_path / 'films.csv'} --text-column txet")
    (row,) = Store().runs()
    assert (status, row.status) == (2, "failed")
    assert "has no column 'txet'" in err
