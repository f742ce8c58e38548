"""How a server ends: its training first, and in time, whoever is still connected."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

import streamlit as st

from pages.shared.state import runner

LONGEST_GOODBYE = 10.0  # seconds for what is still being sent, once no training is under way

log = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """End the training in time: after SIGTERM, Python's own ``atexit`` is not reached.

    Not only when all else is over: by then uvicorn has waited for its connections, without end, and a phone
    that fell asleep amid a download is one. So a signal ends the training, and soon after it the process.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            _end_at(number)
    yield
    await asyncio.to_thread(runner.clear)


def _end_at(number: signal.Signals) -> None:
    """Beside what uvicorn does then, whose handlers are in place when a lifespan begins."""
    before = signal.getsignal(number)
    ending = threading.Thread(target=_end, args=(number,), name="kd-end", daemon=True)

    def handle(received: int, frame: FrameType | None) -> None:
        if ending.ident is None:
            ending.start()
        if callable(before):
            before(received, frame)

    signal.signal(number, handle)


def _end(number: signal.Signals) -> None:
    runner.clear()
    time.sleep(LONGEST_GOODBYE)
    log.warning("A connection or a page is still busy after %.0f s: it ends all the same.", LONGEST_GOODBYE)
    os._exit(128 + number)
