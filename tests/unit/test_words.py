from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from kd_core import words
from kd_core.evaluation import Verdict
from kd_core.events import Who
from kd_core.store import Status


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.percent(0.895), "89.5 %"),
        (words.percent(1), "100.0 %"),
        (words.percent(0.456, 0), "46 %"),
        (words.points(0.048), "+4.8 points"),
        (words.points(-0.048), "−4.8 points"),
        (words.points(0.0002), "0.0 points"),
        (words.points(-0.0002), "0.0 points"),
        (words.interval(-0.006, 0.067), "−0.6 to +6.7"),
        (words.plus_minus(0.845, 0.901), "± 2.8"),
        (words.ratio(7.63), "7.6x"),
        (words.ratio(99.96), "100x"),
        (words.ratio(1234.4), "1,234x"),
        (words.compared(7.63, "smaller", "larger"), "7.6x smaller"),
        (words.compared(0.5, "smaller", "larger"), "2.0x larger"),
        (words.megabytes(10.699), "10.7 MB"),
        (words.megabytes(999.94), "999.9 MB"),
        (words.megabytes(1234.5), "1.2 GB"),
        (words.milliseconds(1.687), "1.69 ms"),
        (words.milliseconds(9.996), "10.0 ms"),
        (words.milliseconds(12.12), "12.1 ms"),
        (words.duration(0), "0.0 s"),
        (words.duration(0.42), "0.4 s"),
        (words.duration(0.96), "1 s"),
        (words.duration(19.2), "19 s"),
        (words.duration(89.4), "89 s"),
        (words.duration(89.6), "about 1 min"),
        (words.duration(130), "about 2 min"),
        (words.duration(3599), "about 1 h"),
        (words.duration(4800), "about 1 h 20 min"),
        (words.duration(90_000), "about 25 h"),
        (words.count(2_673_669), "2.7 M"),
        (words.count(99_999), "99,999"),
        (words.count(1_200_000_000), "1,200.0 M"),
    ],
)
def test_numbers_in_words(said: str, expected: str) -> None:
    assert said == expected


def test_every_model_verdict_and_status_has_its_words() -> None:
    assert set(words.NAMES) == set(words.SHORT_NAMES) == set(get_args(Who))
    assert set(words.VERDICTS) == set(get_args(get_type_hints(Verdict)["kind"]))
    assert set(words.STATUSES) == set(get_args(Status))
    assert words.verdict_badge("helped") == ("Helped", "green", ":material/trending_up:")
    assert words.status_badge("interrupted") == ("Interrupted", "orange", ":material/power_off:")
