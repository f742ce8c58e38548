"""Random things happen to a dashboard for a while; then all has to be as it should be.

``python -m tests.e2e.soak`` is the short one: each thing once, then others by chance, so many that it takes
about two minutes on two free cores. ``--seconds 3600`` is the long one. What is done is drawn from ``--seed``
alone, one line each, which is printed before it is done: ``--replay FILE`` does the lines of a file, for
example the last ones before something went wrong. Where root allows, the data folder is a small disk that can
be full.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import sync_playwright

from kd_core.config import DistillConfig, TaskConfig
from kd_core.data import uploads
from kd_core.data.uploads import Upload
from kd_core.errors import KDError
from kd_core.jobs.cleaning import clean, inventory
from kd_core.jobs.deletion import delete_run, delete_task, restore_run
from kd_core.jobs.index import rebuild
from kd_core.jobs.runner import Runner
from kd_core.jobs.states import ACTIVE, PENDING, RESUMABLE, STATUSES
from kd_core.jobs.store import Store
from kd_core.system import paths
from kd_core.system.atomic import is_whole
from kd_core.system.process import fate
from tests import ROOT
from tests.e2e.conftest import ARGUMENTS
from tests.e2e.dashboard import KD, Server

SAMPLE = ROOT / "assets" / "samples" / "support-messages.csv"
LAST_WORDS = 20_000  # characters of the log of a server that ended by itself
DISK_MB = 700  # room for a few runs; checks want 500 MB free
SHORT = 40  # actions
STUCK = 300.0  # seconds without any progress of what waits in the end
HANDLES = 600  # of them Streamlit has three for each page that was closed less than two minutes ago, of 128
PATIENCE = 120_000  # ms that a page may take
ROUNDS = 4  # of pages that are visited in the end, after which nothing may have grown
PAGES = ("data", "distill", "search", "runs", "report", "capacity", "playground", "export", "nowhere")
LINKS = (
    "",
    "?run={run}",
    "?run=../../etc",
    "?report.run={run}",
    "?distill.task=/etc/passwd",
    "?distill.task=hub:no/such",
    "?distill.temperature=nan",
    "?distill.steps=99999999999999999999",
    "?runs.text=%00%ED%A0%80",
    "?" + "a=b&" * 500,
)
FILES: dict[str, bytes] = {
    "good.csv": b"text,label\n"
    + b"".join(b"Good film %d,pos\nBad film %d,neg\n" % (i, i) for i in range(40)),
    "image.csv": b"\x89PNG" + bytes(300),
    "latin.csv": "text,label\ncaf\u00e9,a\n".encode("latin-1") * 20,
    "half.jsonl": b'{"text": "\\ud800", "label": "a"}\n{"text": ',
    "keys.jsonl": b"".join(b'{"k%d": 1}\n' % i for i in range(3000)),
    "damaged.parquet": b"PAR1" + bytes(200) + b"PAR1",
    "empty.csv": b"",
    "\u202egnp.csv": b"text,label\n=1+1,a\n",
}
COMMANDS = ("runs", "show {run} --json", "clean", "index", "index --rebuild", "delete {run} --yes")
CONFIG = DistillConfig.from_dict(
    {
        "task": {"name": str(SAMPLE)},
        "teacher": {"model": "scratch", "layers": 1, "hidden": 16, "heads": 1, "epochs": 1},
        "student": {"model": "custom", "layers": 1, "hidden": 8, "heads": 1},
        "training": {"steps": 20, "precision": "fp32"},
        "controls": {"labelled_only": False, "shifted": False, "latency_repeats": 5, "resamples": 100},
    }
)


class Soak:
    """A server, a browser, and what can happen to them. A number chooses among what there is just then."""

    def __init__(self, home: Path, stack: ExitStack, small_disk: bool) -> None:
        self.home, self.small_disk = home, small_disk
        self.server = Server(home)
        self.store = stack.enter_context(_closing(Store()))
        self.clock = home.parent / "clock"
        self.clock.write_bytes(struct.pack("i", 0))
        self.shim = _compiled(home.parent)
        program = next(
            filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
        )
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=program, args=ARGUMENTS
        )
        stack.callback(browser.close)
        self.page = browser.new_page()
        self.wrong: list[str] = []
        self.samples: list[tuple[int, dict[str, float]]] = []  # process, and its figures while it is idle

    # What can happen

    def start(self, number: int) -> None:
        saved = uploads.saved()
        task = CONFIG.task if number % 3 or not saved else saved[number % len(saved)].config
        steps = (20, 60, 400)[number % 3]
        Runner(self.store, {}).submit(
            CONFIG.model_copy(update={"task": task}).change({"training.steps": steps})
        )

    def pause(self, number: int) -> None:
        self._command("pause", number, ACTIVE)

    def resume(self, number: int) -> None:
        self._command("resume", number, ("paused", *RESUMABLE))

    def stop(self, number: int) -> None:
        self._command("stop", number, PENDING)

    def name(self, number: int) -> None:
        if run := self._run(number, STATUSES):
            self.store.rename(run, ("", "=1+1", "\x1b[31mred", "\ud800", "x" * 3000)[number % 5])
            self.store.change_tags(run, **{("remove", "add")[number % 2]: ["paper"]})

    def delete(self, number: int) -> None:
        if run := self._run(number, tuple(set(STATUSES) - {*ACTIVE})):
            delete_run(self.store, run)

    def undo(self, number: int) -> None:
        if run := self._run(number, ("deleted",)):
            restore_run(self.store, run)

    def clean(self, number: int) -> None:
        clean(inventory(self.store), self.store)

    def keep_a_file(self, number: int) -> None:
        name = [*FILES][number % len(FILES)]
        uploads.save({"name": Upload(name, FILES[name])}, TaskConfig())

    def drop_a_task(self, number: int) -> None:
        if saved := uploads.saved():
            delete_task(self.store, saved[number % len(saved)])

    def upload(self, number: int) -> None:
        name = [*FILES][number % len(FILES)]
        self._visit("/data")
        field = self.page.locator(".st-key-data-file input[type=file]")
        field.set_input_files({"name": name, "mimeType": "text/csv", "buffer": FILES[name]}, timeout=20_000)
        self._settle()

    def link(self, number: int) -> None:
        run = self._run(number, STATUSES) or "20260131-143000-a1b2"
        page, link = PAGES[number % len(PAGES)], LINKS[number // 64 % len(LINKS)]
        self._visit(f"/{page}{link.format(run=run)}")

    def command(self, number: int) -> None:
        """Another process, with whatever it wants to know or to do."""
        run = self._run(number, STATUSES) or "last"
        asked = COMMANDS[number % len(COMMANDS)].format(run=run)
        done = subprocess.run(
            [*KD[:-1], *asked.split()], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 2) or "Traceback" in done.stderr:
            self.wrong.append(f"kd {asked} ended with {done.returncode}: {done.stderr[-1500:]}")

    def kill(self, number: int) -> None:
        self.server.stop((signal.SIGKILL, signal.SIGTERM)[number % 2])
        self.start_server()

    def freeze(self, number: int) -> None:
        with self.frozen():
            time.sleep(1 + number % 3)

    def set_the_clock(self, number: int) -> None:
        self.turn_the_clock((0, 3, -3, 45, -45, 86_400, -86_400)[number % 7])

    def fill_the_disk(self, number: int) -> None:
        if not self.small_disk:
            return
        filler = self.home / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1_000_000))
        with suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(100))
        time.sleep(1 + number % 4)
        filler.unlink()

    def move_the_database_away(self, number: int) -> None:
        """Another one may be there when it comes back; that one is lost, as are the rows that went there."""
        files = [f"kd.sqlite{end}" for end in ("", "-wal", "-shm")]
        away = self.home / "away"
        away.mkdir(exist_ok=True)
        with self.frozen():
            for file in files:
                with suppress(FileNotFoundError):
                    (self.home / file).rename(away / file)
        time.sleep(number % 3)
        with self.frozen():
            for file in files:  # the log of another database would be taken for this one's
                (self.home / file).unlink(missing_ok=True)
            for file in files:
                with suppress(FileNotFoundError):
                    (away / file).rename(self.home / file)

    # How it is done

    def turn_the_clock(self, seconds: int) -> None:
        """In place: the server has the file mapped, and a bus error would end it while that is empty."""
        with self.clock.open("r+b", buffering=0) as file:
            file.write(struct.pack("i", seconds))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Meanwhile the server does nothing at all."""
        assert self.server.process
        self.server.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.server.process.send_signal(signal.SIGCONT)

    def start_server(self) -> None:
        if self.shim:
            os.environ |= {"LD_PRELOAD": self.shim, "KD_CLOCK": str(self.clock)}
        try:
            self.server.start()
        finally:
            os.environ.pop("LD_PRELOAD", None)

    def do(self, action: str, number: int) -> None:
        try:
            getattr(self, action)(number)
        except (KDError, BrowserError, OSError) as error:  # a person would read it, and go on
            print(f"   {type(error).__name__}: {str(error)[:150]!r}", flush=True)
        if self.server.process and self.server.process.poll() is not None:
            self.wrong.append(f"the server ended by itself after {action}: {self.server.process.returncode}")
            print(self.server.log.read_text(errors="replace")[-LAST_WORDS:], flush=True)
            self.start_server()
        self._measure()

    def _run(self, number: int, status: tuple[Any, ...]) -> str | None:
        rows = self.store.runs(status=status)
        return rows[number % len(rows)].id if rows else None

    def _command(self, command: str, number: int, status: tuple[Any, ...]) -> None:
        if run := self._run(number, status):
            getattr(Runner(self.store, {}), command)(run)

    def _visit(self, path: str) -> None:
        self.page.goto(self.server.url + path, timeout=PATIENCE)
        self._settle()

    def _settle(self) -> None:
        app = "[data-testid=stApp][data-test-script-state=notRunning]"
        self.page.locator(app).wait_for(timeout=PATIENCE)
        if self.page.locator("[data-testid=stException]").count():
            said = self.page.locator("[data-testid=stException]").first.inner_text()
            self.wrong.append(f"{self.page.url[:200]} shows an exception: {said[:1500]}")

    def _give_it_time(self) -> None:
        """A training leaves the processor to others, and beside other tests there are always some."""
        assert self.server.process
        if sys.platform == "linux" and os.geteuid() == 0:
            for thread in psutil.Process(self.server.process.pid).threads():
                with suppress(OSError):
                    os.sched_setscheduler(thread.id, os.SCHED_OTHER, os.sched_param(0))

    def _measure(self) -> None:
        with suppress(psutil.Error, KDError, OSError):
            self._give_it_time()
            if not self.store.runs(status=PENDING):
                assert self.server.process
                process = psutil.Process(self.server.process.pid)
                figures = {
                    "MB": process.memory_info().rss / 1e6,
                    "threads": process.num_threads(),
                    "files": len(process.open_files()),
                    "handles": process.num_fds(),
                }
                self.samples.append((process.pid, figures))

    # The end

    def settle_down(self) -> None:
        """Nothing happens any more; what waits is done."""
        self.turn_the_clock(0)
        with suppress(KDError):
            for row in self.store.runs(status=("paused",)):
                Runner(self.store, {}).resume(row.id)
        before, since = None, time.monotonic()
        while left := [
            (row.id, row.status, row.stage, row.who, row.step, row.label)
            for row in self.store.runs(status=PENDING)
        ]:
            self._give_it_time()
            if left != before:
                before, since = left, time.monotonic()
            elif time.monotonic() - since > STUCK:
                self.wrong.append(f"nothing has happened for {STUCK:.0f} s, and there wait {left}")
                break
            time.sleep(0.5)
        for _ in range(ROUNDS):
            for page in PAGES:
                self._visit(f"/{page}")
            self._measure()
        self.server.stop()

    def check(self) -> None:
        """All that has to hold whatever has happened."""
        self.store.interrupt_orphans(fate)
        rows = {row.id: row for row in self.store.runs()}
        legal = {"queued", "done", *RESUMABLE}  # queued: it was said already that some still wait
        self.wrong += [
            f"{row.id} is {row.status}: {row.error}" for row in rows.values() if row.status not in legal
        ]
        for row in rows.values():
            if row.status == "failed" and not re.search(_SAID, row.error or ""):
                self.wrong.append(f"{row.id} failed: {row.error}")
            if row.status == "done":
                folder = paths.runs() / row.id
                if not is_whole(folder):
                    self.wrong.append(f"{row.id} is listed as done, and its folder is not whole")
                with suppress(KDError):
                    self.store.report(row.id)
                    continue
                self.wrong.append(f"{row.id} is listed as done, and its report cannot be read")
        whole = {place.name for place in paths.runs().glob("[!.]*")}
        self.wrong += [f"{run} is whole, and not listed" for run in whole - rows.keys()]
        tasks = {task.id for task in uploads.saved()}
        there = {place.name for place in uploads.root().glob("[!.]*")}
        self.wrong += [f"the task {task} is there, and not listed" for task in there - tasks]
        before = {run: row.status for run, row in rows.items()}
        self.wrong += [f"the index lacks {run}" for run in rebuild(self.store).added]
        assert {row.id: row.status for row in self.store.runs()} == before
        log = self.server.log.read_text(errors="replace")
        self.wrong += [
            f"the log has: {log[place.start() : place.start() + 3000]}"
            for place in re.finditer("Traceback", log)
        ][:5]
        for file in paths.work().glob("*/log.txt"):
            said = file.read_text(errors="replace")
            if said and "No space left" not in said:  # an empty one had no room either
                self.wrong.append(f"{file}: {said[-1500:]}")
        self.wrong += self._grown()

    def _grown(self) -> Iterator[str]:
        """Of each server, from when it has settled: after a third of its looks, or after a round of pages."""
        for pid in dict.fromkeys(pid for pid, _ in self.samples):
            figures = [figure for other, figure in self.samples if other == pid]
            if len(figures) >= 3 * ROUNDS:
                first = figures[len(figures) // 3]
            elif pid == self.samples[-1][0]:
                first = figures[-ROUNDS]
            else:
                continue
            last = figures[-1]
            print(f"server {pid}: {_shown(first)} -> {_shown(last)} in {len(figures)} looks", flush=True)
            for name, most in (("MB", 200), ("threads", 8), ("files", 8)):
                if last[name] - first[name] > most:
                    yield f"server {pid} has {last[name]:.0f} {name} in the end, and had {first[name]:.0f}"
            if last["handles"] > HANDLES:
                yield f"server {pid} has {last['handles']:.0f} files and sockets open"


# What a run may fail with here: the disk was full, or its task was deleted.
_SAID = r"disk .* (is full|MB free)|No space left|There is no file|cannot be used"
# How often each is drawn.
ACTIONS = {
    "start": 10,
    "pause": 4,
    "resume": 6,
    "stop": 3,
    "name": 3,
    "delete": 4,
    "undo": 2,
    "clean": 1,
    "keep_a_file": 3,
    "drop_a_task": 2,
    "upload": 3,
    "link": 12,
    "command": 3,
    "kill": 2,
    "freeze": 1,
    "set_the_clock": 2,
    "fill_the_disk": 2,
    "move_the_database_away": 1,
}


def plan(seed: int) -> Iterator[tuple[str, int]]:
    """Without end, the same for the same seed: two runs, each action once, then each as often as it says."""
    rng = random.Random(seed)
    for action in ("start", "start", *rng.sample([*ACTIONS], len(ACTIONS))):
        yield action, rng.randrange(10_000)
    while True:
        yield rng.choices([*ACTIONS], [*ACTIONS.values()])[0], rng.randrange(10_000)


def written(lines: io.TextIOBase) -> Iterator[tuple[str, int]]:
    """What ``soak`` has printed."""
    for line in lines:
        if found := re.match(r"\d+ (\w+) (\d+)$", line):
            yield found[1], int(found[2])


def soak(actions: Iterator[tuple[str, int]], folder: Path, seconds: float = math.inf) -> list[str]:
    """All ``actions``, or as many as begin within ``seconds``; what was wrong in the end."""
    with ExitStack() as stack:
        home = folder / "home"
        home.mkdir()
        small_disk = _small_disk(home, stack)
        os.environ["KD_HOME"] = str(home)
        os.environ.pop("KD_DATABASE_URL", None)
        one = Soak(home, stack, small_disk)
        one.start_server()
        stack.callback(one.server.stop)
        began, done = time.monotonic(), 0
        for action, number in actions:
            if time.monotonic() - began > seconds:
                break
            done += 1
            print(done, action, number, flush=True)
            one.do(action, number)
            time.sleep(0.2)
        one.settle_down()
        one.check()
        states = [row.status for row in one.store.runs()]
        counts = {status: states.count(status) for status in sorted(set(states))}
        print(f"{done} actions in {time.monotonic() - began:.0f} s; runs: {counts}", flush=True)
        return one.wrong


def _shown(figures: dict[str, float]) -> str:
    return ", ".join(f"{value:,.0f} {name}" for name, value in figures.items())


@contextmanager
def _closing(store: Store) -> Iterator[Store]:
    try:
        yield store
    finally:
        store.close()


def _small_disk(home: Path, stack: ExitStack) -> bool:
    """Whether ``home`` is one now."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(home)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode:
        return False
    unmount: Callable[[], object] = lambda: subprocess.run(["umount", "-l", str(home)], check=False)  # noqa: E731
    stack.callback(unmount)
    return True


def _compiled(folder: Path) -> str:
    """The library with the wrong clock; "" where there is no compiler."""
    if sys.platform != "linux" or not shutil.which("cc"):
        return ""
    library = folder / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return str(library)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, help=f"how long; otherwise {SHORT} actions")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", type=Path, help="a file with lines that were printed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kd-soak-", ignore_cleanup_errors=True) as folder:
        actions = plan(asked.seed) if asked.seconds else islice(plan(asked.seed), SHORT)
        if asked.replay:
            with asked.replay.open() as lines:
                actions = iter([*written(lines)])
        wrong = soak(actions, Path(folder), asked.seconds or math.inf)
    print(*wrong, sep="\n")
    print("All is as it should be." if not wrong else f"{len(wrong)} things are wrong.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
