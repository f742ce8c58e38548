"""The colours and icons of verdicts and statuses."""

from __future__ import annotations

from typing import get_args

from streamlit.testing.v1 import AppTest

from kd_core.distillation import roles
from kd_core.jobs.states import Status
from pages.shared import badges


def test_every_verdict_and_every_status_has_its_look() -> None:
    assert list(badges.VERDICTS) == list(roles.VERDICTS)
    assert tuple(badges.STATUSES) == get_args(Status)


def test_a_badge_shows_word_colour_and_icon() -> None:
    def page() -> None:
        from pages.shared.badges import status_badge, verdict_badge

        verdict_badge("helped", seeds=3)
        verdict_badge("helped", seeds=1)
        status_badge("interrupted")

    shown = AppTest.from_function(page).run()
    assert [line.value for line in shown.markdown] == [
        ":green-badge[:material/trending_up: Helped]",
        ":green-badge[:material/trending_up: Better]",
        ":orange-badge[:material/power_off: Interrupted]",
    ]
