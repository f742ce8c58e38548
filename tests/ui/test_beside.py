"""Parts of a page that do not wait for each other."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def test_parts_are_drawn_at_the_same_time_and_one_that_fails_takes_no_other_away() -> None:
    def page() -> None:
        import threading

        import streamlit as st

        from kd_core.errors import KDError
        from pages.shared.beside import beside

        both = threading.Barrier(2, timeout=20)

        def left() -> None:
            both.wait()  # one after the other, nobody would come
            st.markdown("the left part")

        def right() -> None:
            both.wait()
            raise KDError("no right part")

        beside(left)
        beside(right)
        st.markdown("the rest")

    test = AppTest.from_function(page, default_timeout=60).run()
    assert not test.exception
    assert {element.value for element in test.markdown} == {"the left part", "the rest"}
    assert [element.value for element in test.error] == ["no right part"]


def test_a_part_that_is_drawn_again_says_what_is_wrong_just_then() -> None:
    """Its timer runs it alone: nothing around it catches the error."""

    def page() -> None:
        from kd_core.errors import StoreError
        from pages.shared.beside import again

        def show(run_id: str) -> None:
            raise StoreError(f"The database is away, and so is {run_id}.")

        again(show, "r1", every=2)

    test = AppTest.from_function(page, default_timeout=60).run()
    assert not test.exception
    assert [element.value for element in test.error] == ["The database is away, and so is r1."]
