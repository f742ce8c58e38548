"""A classroom: ``kd app --classroom``, which says who may use it and how.

*Learn* alone, for everybody on the local network, without a log-in: no runner, no store, nothing is written.
What it shows begins in ``pages/classroom.py``.
"""

import streamlit as st
from starlette.middleware import Middleware

from pages.room.door import RoomDoor

base = st.get_option("server.baseUrlPath").strip("/")
app = st.App("pages/classroom.py", middleware=[Middleware(RoomDoor, base=f"/{base}" if base else "")])
