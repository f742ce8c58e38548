"""The words of the subject, searchable; tooltips everywhere say the same."""

import streamlit as st

from kd_core.learn import glossary
from pages.shared.text import escape

st.title("Glossary", anchor=False)
st.markdown("The words of knowledge distillation as KD Studio uses them.")
wanted = st.text_input(
    "Search",
    key="glossary.search",
    placeholder="temperature, KL, calibration",
    icon=":material/search:",
    bind="query-params",
    width=420,
)
terms = glossary.search(wanted)
if not terms:
    st.info(
        f"No word here goes with “{escape(wanted)}”. Search for another, or clear the field to see all.",
        icon=":material/search_off:",
    )
for term in terms:
    with st.container(border=True, gap="xxsmall"):
        others = f" · {escape(', '.join(term.also))}" if term.also else ""
        name = term.name if term.name[1].isdigit() else term.name[0].upper() + term.name[1:]
        st.markdown(f"**{escape(name)}**{others}")
        st.markdown(escape(term.says))
        if term.source:
            st.caption(escape(term.source))
