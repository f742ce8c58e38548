"""The dashboard: ``make app``, ``kd app`` or ``streamlit run app.py``.

What it shows begins in ``pages/main.py``.
"""

import streamlit as st
from starlette.middleware import Middleware

from pages.door import Door
from pages.ending import lifespan

# Not in this folder: beside a main script, Streamlit's old router takes ``pages`` for its own.
app = st.App("pages/main.py", lifespan=lifespan, middleware=[Middleware(Door)])
