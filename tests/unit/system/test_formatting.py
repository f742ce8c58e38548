from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from kd_core.distillation import roles
from kd_core.distillation.comparison import Verdict
from kd_core.distillation.roles import Role
from kd_core.jobs import states
from kd_core.jobs.states import Status
from kd_core.system import formatting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (formatting.percent(0.895), "89.5 %"),
        (formatting.percent(1), "100.0 %"),
        (formatting.percent(0.456, 0), "46 %"),
        (formatting.points(0.048), "+4.8 points"),
        (formatting.points(-0.048), "−4.8 points"),
        (formatting.points(0.0002), "0.0 points"),
        (formatting.points(-0.0002), "0.0 points"),
        (formatting.interval(-0.006, 0.067), "−0.6 to +6.7"),
        (formatting.plus_minus(-0.1527, -0.182, -0.123, least=-1), "± 2.9"),  # a difference
        (formatting.plus_minus(-0.017, -0.0348, -0.0004, least=-1), "−1.8/+1.7"),  # ± 1.7 holds zero
        (formatting.plus_minus(0.8755, 0.845, 0.901), "± 2.8"),
        (formatting.plus_minus(0.96, 0.911, 0.986), "−4.9/+2.6"),
        (formatting.plus_minus(0.998, 0.993, 0.999), "−0.5/+0.1"),  # ± 0.3 would pass 100 %
        (formatting.with_interval(1.0, 0.9513, 1.0), "100.0 % −4.9/+0.0"),
        (formatting.with_interval(0.5, 0.4, 0.6), "50.0 % ± 10.0"),
        (formatting.ratio(7.63), "7.6x"),
        (formatting.ratio(99.96), "100x"),
        (formatting.ratio(1234.4), "1,234x"),
        (formatting.compared(7.63, "smaller", "larger"), "7.6x smaller"),
        (formatting.compared(0.5, "smaller", "larger"), "2.0x larger"),
        (formatting.compared(1.0, "smaller", "larger"), "no smaller"),
        (formatting.compared(1.04, "faster", "slower"), "no faster"),
        (formatting.compared(0.97, "faster", "slower"), "no faster"),
        (formatting.megabytes(0), "0.0 MB"),
        (formatting.megabytes(0.039), "39 kB"),
        (formatting.megabytes(0.0994), "99 kB"),
        (formatting.megabytes(0.0995), "0.1 MB"),
        (formatting.megabytes(10.699), "10.7 MB"),
        (formatting.megabytes(999.94), "999.9 MB"),
        (formatting.megabytes(1234.5), "1.2 GB"),
        (formatting.milliseconds(1.687), "1.69 ms"),
        (formatting.milliseconds(9.996), "10.0 ms"),
        (formatting.milliseconds(12.12), "12.1 ms"),
        (formatting.interval(0.0003, -0.0003), "+0.0 to −0.0"),
        (formatting.interval(0, 0.067), "0.0 to +6.7"),
        (formatting.duration(0), "0.0 s"),
        (formatting.duration(0.42), "0.4 s"),
        (formatting.duration(0.96), "1 s"),
        (formatting.duration(19.2), "19 s"),
        (formatting.duration(89.4), "89 s"),
        (formatting.duration(89.6), "90 s"),
        (formatting.duration(90), "about 2 min"),
        (formatting.duration(130), "about 2 min"),
        (formatting.duration(3599), "about 1 h"),
        (formatting.duration(4800), "about 1 h 20 min"),
        (formatting.duration(90_000), "about 25 h"),
        (formatting.count(2_673_669), "2.7 M"),
        (formatting.count(99_999), "99,999"),
        (formatting.count(1_200_000_000), "1,200.0 M"),
    ],
)
def test_formats(text: str, expected: str) -> None:
    assert text == expected


def test_every_model_verdict_and_status_has_a_name() -> None:
    assert set(roles.NAMES) == set(roles.SHORT_NAMES) == set(get_args(Role))
    assert set(roles.VERDICTS) == set(get_args(get_type_hints(Verdict)["kind"]))
    assert set(roles.OF_ONE_SEED) == set(roles.VERDICTS)
    assert set(states.LABELS) == set(get_args(Status))
    assert (roles.VERDICTS["helped"], states.LABELS["interrupted"]) == ("Helped", "Interrupted")
