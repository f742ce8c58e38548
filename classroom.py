"""A classroom: ``kd app --classroom``, which says who may use it and how.

*Learn* alone, for everybody on the local network, without a log-in: no runner, no store, nothing is written.
What it shows begins in ``pages/classroom.py``.
"""

import streamlit as st
from starlette.middleware import Middleware

from pages.ending import lifespan
from pages.room.door import RoomDoor

base = st.get_option("server.baseUrlPath").strip("/")
door = Middleware(RoomDoor, base=f"/{base}" if base else "")
app = st.App("pages/classroom.py", lifespan=lifespan, middleware=[door])
