"""What every page of a classroom has: *Learn* alone, and the open question above it. See ``classroom.py``."""

from __future__ import annotations

import streamlit as st

from pages.navigation import entry, learn_pages
from pages.shared import addresses
from pages.shared.charts import charts_ahead
from pages.shared.presenting import present
from pages.shared.room.browsers import is_presenter
from pages.shared.room.vote_view import vote_bar
from pages.shared.style import ICON, LOGO, STYLE

st.set_page_config(page_icon=ICON, layout="wide")
st.logo(LOGO, icon_image=ICON, size="large")
st.html(STYLE)
if presents := is_presenter():
    present(always=True)
pages = learn_pages(lessons_first=True)
# At their own address too, which links from a dashboard have: of the page that opens first it is none.
pages.append(entry(addresses.LESSONS, "Lessons", "cast_for_education", visibility="hidden"))
if presents:
    pages.insert(1, entry(addresses.PRESENT, "Room", "groups"))
page = st.navigation(pages, position="top")
if not presents:
    vote_bar()
page.run()
charts_ahead()
