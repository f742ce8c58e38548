"""How soon a lab follows its slider while a whole class moves theirs.

    python -m tests.bench.bench_classroom [SESSIONS]

Starts a classroom, fills it with sessions (60 by default) that speak Streamlit's protocol over a WebSocket
each, and opens the same lab in Chromium. Every session moves the lab's slider again 1.5 to 4.5 seconds after
the answer to its last move, with a question open above the lab. Prints, from the move to the last message of
the answer: p50, p95 and the slowest of all sessions; in the browser, from the move to the first new words on
the page; and the server's processor time for each move, which other work on the machine changes little.
Nothing is asserted: browser, sessions and server share the cores.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from statistics import median, quantiles

import psutil
from playwright.sync_api import Page
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from pages.shared.room.vote_view import POLL
from tests.bench.bench_labs import NOTE, WATCH
from tests.bench.browser import browse
from tests.e2e.dashboard import Classroom, settle

LAB = "temperature"
AT_ONCE = "hide=question"  # the lab without its guess first
SLIDER = f"{LAB}.temperature"
SECONDS = 60
PAUSE = (1.5, 4.5)


class Session:
    """A visitor without a browser: its connection, and the slider that it found on the page."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._slider, self._fragment = None, ""
        self._polled: dict[str, float] = {}  # what looks again by itself, and when it last did

    async def visit(self) -> None:
        message = BackMsg()
        message.rerun_script.page_name = LAB
        message.rerun_script.query_string = AT_ONCE
        await self._connection.send(message.SerializeToString())
        await self._answer()
        assert self._slider is not None, "the lab has no slider"

    async def move(self) -> float:
        """Milliseconds until the lab has answered to another value."""
        slider = self._slider
        assert slider is not None
        steps = round((slider.max - slider.min) / slider.step)
        message = BackMsg()
        state = message.rerun_script.widget_states.widgets.add(id=slider.id)
        state.double_array_value.data.append(slider.min + slider.step * random.randint(0, steps))
        message.rerun_script.fragment_id = self._fragment
        start = time.monotonic()
        await self._connection.send(message.SerializeToString())
        await self._answer()
        return 1000 * (time.monotonic() - start)

    async def look(self) -> None:
        """What a browser does by itself meanwhile: is a question open?"""
        for fragment, last in self._polled.items():
            if time.monotonic() - last > POLL:
                message = BackMsg()
                message.rerun_script.fragment_id, message.rerun_script.is_auto_rerun = fragment, True
                self._polled[fragment] = time.monotonic()
                await self._connection.send(message.SerializeToString())
                await self._answer()

    async def _answer(self) -> None:
        """Read until the script has ended."""
        while True:
            message = ForwardMsg.FromString(bytes(await self._connection.recv()))
            element = message.delta.new_element
            if (
                element.WhichOneof("type") == "slider"
                and element.slider.query_param_key == f"{LAB}.temperature"
            ):
                self._slider, self._fragment = element.slider, message.delta.fragment_id
            if message.WhichOneof("type") == "auto_rerun":
                self._polled.setdefault(message.auto_rerun.fragment_id, time.monotonic())
            if message.WhichOneof("type") == "script_finished":
                return


async def sit(url: str, until: float, times: list[float], seated: threading.Semaphore) -> None:
    page = await asyncio.to_thread(urllib.request.urlopen, f"{url}/{LAB}")
    cookie = page.headers["set-cookie"].split(";")[0]
    address = f"{url.replace('http', 'ws')}/_stcore/stream"
    async with connect(
        address, additional_headers={"Cookie": cookie}, subprotocols=["streamlit"], max_size=None
    ) as connection:
        session = Session(connection)
        await session.visit()
        seated.release()
        while time.monotonic() < until:
            await asyncio.sleep(random.uniform(*PAUSE))
            await session.look()
            times.append(await session.move())


async def fill(url: str, sessions: int, times: list[float], seated: threading.Semaphore) -> None:
    until = time.monotonic() + SECONDS + sessions / 4
    async with asyncio.TaskGroup() as group:
        for _ in range(sessions):
            group.create_task(sit(url, until, times, seated))
            await asyncio.sleep(0.15)


def in_the_browser(page: Page, moves: int = 12) -> list[float]:
    times = []
    for number in range(moves):
        page.evaluate(WATCH)
        page.get_by_role("slider").first.press("ArrowLeft" if number % 2 else "ArrowRight")
        page.wait_for_function("() => window.kd.words !== undefined", timeout=30_000)
        times.append(page.evaluate("() => window.kd.words - window.kd.sent"))
        page.wait_for_timeout(1500)
    return times


def show(name: str, times: list[float]) -> None:
    p95 = quantiles(times, n=20, method="inclusive")[-1]  # else one of few times lies above the slowest
    print(
        f"{name}: p50 {median(times):.0f} ms, p95 {p95:.0f} ms, slowest {max(times):.0f} ms of {len(times)}"
    )


def main() -> None:
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    home = Path(tempfile.mkdtemp(prefix="kd-bench-")) / "home"
    home.mkdir()
    room = Classroom(home, "--seats", str(sessions + 5))
    room.start()
    try:
        with browse(NOTE) as page:
            page.goto(room.presenter)
            settle(page)
            page.get_by_role("button", name="Ask the room").click()
            page.get_by_text(re.compile("so far")).wait_for()
            page.goto(f"{room.url}/{LAB}?{AT_ONCE}")
            settle(page)
            time.sleep(2)
            show("alone, in the browser", in_the_browser(page))
            times: list[float] = []
            seated = threading.Semaphore(0)
            crowd = threading.Thread(target=lambda: asyncio.run(fill(room.url, sessions, times, seated)))
            crowd.start()
            for _ in range(sessions):
                seated.acquire()
            before, count = processor(room), len(times)
            show(f"beside {sessions} sessions, in the browser", in_the_browser(page))
            crowd.join()
        spent, moves = processor(room) - before, len(times) - count
        times = times[count:]  # without those of a room that fills
        show(f"{sessions} sessions", times)
        rate, cost = len(times) / SECONDS, 1000 * spent / moves
        print(f"{rate:.1f} moves a second, {cost:.1f} ms of the server's processor time each")
        print(f"server {memory(room):.0f} MB; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    finally:
        room.stop()


def processor(room: Classroom) -> float:
    """Seconds of the server so far, all its threads together."""
    assert room.process is not None
    return sum(psutil.Process(room.process.pid).cpu_times()[:2])


def memory(room: Classroom) -> float:
    assert room.process is not None
    return psutil.Process(room.process.pid).memory_info().rss / 1e6


if __name__ == "__main__":
    main()
