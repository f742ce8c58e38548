"""What a run is told from outside, and the seconds that it counts."""

from __future__ import annotations

import pytest

from kd_core.system import control as module
from kd_core.system.control import Control


class Hand:
    """A clock that stands until it is turned."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    hand = Hand()
    monkeypatch.setattr(module, "time", hand)
    return hand


def test_its_clock_stands_still_in_a_pause(hand: Hand) -> None:
    control = Control()
    hand.now = 110.0
    assert control.clock() == 110.0
    control.pause()
    hand.now = 150.0
    control.pause()  # again, from elsewhere
    assert control.clock() == 110.0
    control.resume()
    control.resume()
    hand.now = 155.0
    assert control.clock() == 115.0


@pytest.mark.parametrize("before", [True, False], ids=["paused, then stopped", "stopped, then paused"])
def test_a_stop_ends_a_pause(hand: Hand, before: bool) -> None:
    control = Control()
    (control.pause if before else control.stop)()
    hand.now = 130.0
    (control.stop if before else control.pause)()
    assert (control.paused, control.stopping) == (False, True)
    hand.now = 131.0
    assert control.clock() == (101.0 if before else 131.0)
