"""Links that a person has written: options by the names that people use for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import streamlit as st

T = TypeVar("T")


def as_typed(key: str, options: Mapping[T, Sequence[str]], *, several: bool = False) -> None:
    """Call it before the widget ``key``, which takes an option from a link only by the words that it shows.

    ``options`` has the names of each, in capital or small letters. ``several`` may stand with commas between
    them; names of nothing are left out.
    """
    if key in st.session_state or key not in st.query_params:
        return
    by_name = {name.casefold(): option for option, names in options.items() for name in names}
    given = st.query_params.get_all(key)
    words = [word.strip().casefold() for each in given for word in (each.split(",") if several else [each])]
    if chosen := list(dict.fromkeys(by_name[word] for word in words if word in by_name)):
        st.session_state[key] = chosen if several else chosen[0]
