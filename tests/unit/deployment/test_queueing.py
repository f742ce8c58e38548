"""Waiting against what is known of queues in closed form."""

from math import exp, factorial, inf, log

import numpy as np
import pytest
from scipy import optimize

from kd_core.deployment.queueing import lognormal, lognormal_mean, mean, p95_ms

MS = 10.0  # mean service time: a core does 100 texts a second
ALWAYS = (MS, MS)
EXPONENTIAL = tuple((-MS * np.log1p(-np.linspace(0, 0.9999, 5001))).tolist())
BUSY = (0.3, 0.5, 0.7, 0.8, 0.9)


def rates(cores: int = 1, batch: int = 1) -> tuple[float, ...]:
    return tuple(1000 / MS * share * cores * batch for share in BUSY)


def test_one_core_with_exponential_times() -> None:
    """M/M/1: a text takes Exp(service rate - arrival rate)."""
    expected = [log(20) * MS / (1 - share) for share in BUSY]
    assert p95_ms(EXPONENTIAL, 1, rates(), 1) == pytest.approx(expected, rel=0.05)


def waiting_of_md1(time: float, busy: float) -> float:
    """P(wait <= time), time in services (Erlang 1909; Crommelin 1932)."""
    return (1 - busy) * sum(
        (busy * (k - time)) ** k / factorial(k) * exp(-busy * (k - time)) for k in range(int(time) + 1)
    )


def test_one_core_with_equal_times() -> None:
    """M/D/1: 5 times the service at 70 % busy, 15 times at 90 %."""
    found = p95_ms(ALWAYS, 1, rates(), 1)
    for busy, p95 in zip(BUSY[:4], found, strict=False):
        wait = optimize.brentq(lambda time, busy=busy: waiting_of_md1(time, busy) - 0.95, 0, 15)
        assert p95 == pytest.approx(MS * (1 + wait), rel=0.05)
    assert found[2] / MS == pytest.approx(5.2, abs=0.3)
    assert found[4] / MS == pytest.approx(15, abs=1.5)


@pytest.mark.parametrize("cores", [2, 4, 16])
def test_more_cores_with_exponential_times(cores: int) -> None:
    """M/M/c: P(wait > t) is Erlang's C times an exponential."""
    busy = 0.9
    offered = busy * cores
    all_busy = offered**cores / factorial(cores) / (1 - busy)
    erlang_c = all_busy / (sum(offered**k / factorial(k) for k in range(cores)) + all_busy)

    def longer(time: float) -> float:
        """P(wait + service > time), in services, by the convolution of the two."""
        rate = cores * (1 - busy)
        both = (rate * exp(-time) - exp(-rate * time)) / (rate - 1) if rate != 1 else (1 + time) * exp(-time)
        return (1 - erlang_c) * exp(-time) + erlang_c * both

    expected = MS * optimize.brentq(lambda time: longer(time) - 0.05, 0, 100)
    (found,) = p95_ms(EXPONENTIAL, 1, (1000 / MS * offered,), cores)
    assert found == pytest.approx(expected, rel=0.08)


def test_a_batch_waits_until_it_is_full() -> None:
    """Hardly any load: nobody queues, so the wait is that for up to 31 texts more."""
    (quiet,) = p95_ms(ALWAYS, 32, (32.0,), 1)
    gaps = np.random.default_rng(1)
    simulated = gaps.gamma(gaps.integers(0, 32, 400_000), 1000 / 32)
    assert quiet == pytest.approx(MS + np.percentile(simulated, 95), rel=0.03)
    (day,) = p95_ms(ALWAYS, 32, (1000 / 86_400,), 1)
    assert day > 30 * 60 * 1000, "of 1,000 texts a day, half an hour and more"
    assert p95_ms(ALWAYS, 1, (1000 / 86_400,), 1) == pytest.approx([MS])


def test_a_queue_without_end() -> None:
    assert p95_ms(ALWAYS, 1, (99.0, 100.0, 101.0), 1)[1:] == [inf, inf]
    assert p95_ms(ALWAYS, 8, (1601.0,), 2) == [inf]


def test_the_same_load_waits_less_on_more_cores() -> None:
    waits = [p95_ms(ALWAYS, 1, (80.0 * cores,), cores)[0] for cores in (1, 2, 4, 8)]
    assert waits == sorted(waits, reverse=True)


def test_a_lognormal_distribution_of_two_numbers() -> None:
    spread = log(2) / 1.6449  # between median and p95 of 10 and 20
    average = 10 * exp(spread**2 / 2)
    assert lognormal_mean(10.0, 20.0) == pytest.approx(average, rel=1e-3)
    times = lognormal(average, 20.0)
    assert np.interp([0.5, 0.95], np.linspace(0.005, 0.995, 100), times) == pytest.approx([10, 20], rel=0.01)
    assert mean(times) == pytest.approx(average, rel=0.01)
    assert lognormal(10.0, 9.0) == pytest.approx((10.0,) * 100), "a p95 below the mean: no spread"
