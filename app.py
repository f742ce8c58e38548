"""The dashboard: ``make app``, ``kd app`` or ``streamlit run app.py``.

What it shows begins in ``pages/main.py``.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware

from pages.door import Door
from pages.shared.state import runner


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Let a training end in time: after SIGTERM, Python's own ``atexit`` is not reached."""
    yield
    await asyncio.to_thread(runner.clear)


# Not in this folder: beside a main script, Streamlit's old router takes ``pages`` for its own.
app = st.App("pages/main.py", lifespan=lifespan, middleware=[Middleware(Door)])
