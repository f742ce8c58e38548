"""Simulated waiting times against closed forms of queueing theory."""

from math import exp, factorial, inf, log

import numpy as np
import pytest
from scipy import optimize

from kd_core.deployment.queueing import lognormal, lognormal_mean, mean, p95_ms

MS = 10.0  # mean service time: a core does 100 texts a second
ALWAYS = (MS, MS)
EXPONENTIAL = tuple((-MS * np.log1p(-np.linspace(0, 0.9999, 5001))).tolist())
BUSY = (0.3, 0.5, 0.7, 0.8, 0.9)
RATES = tuple(1000 / MS * share for share in BUSY)


def test_m_m_1():
    """A text takes Exp(service rate - arrival rate)."""
    expected = [log(20) * MS / (1 - share) for share in BUSY]
    assert p95_ms(EXPONENTIAL, 1, RATES, 1) == pytest.approx(expected, rel=0.05)


def test_m_d_1():
    """Compare with the distribution of Erlang (1909) and Crommelin (1932)."""

    def waits_at_most(time, busy):  # times in services
        return (1 - busy) * sum(
            (busy * (k - time)) ** k / factorial(k) * exp(-busy * (k - time)) for k in range(int(time) + 1)
        )

    found = p95_ms(ALWAYS, 1, RATES, 1)
    for busy, p95 in zip(BUSY[:4], found, strict=False):
        wait = optimize.brentq(lambda time, busy=busy: waits_at_most(time, busy) - 0.95, 0, 15)
        assert p95 == pytest.approx(MS * (1 + wait), rel=0.05)
    assert found[2] / MS == pytest.approx(5.2, abs=0.3)
    assert found[4] / MS == pytest.approx(15, abs=1.5)


@pytest.mark.parametrize("cores", [2, 4, 16])
def test_m_m_c(cores):
    """P(wait > t) is Erlang's C times an exponential; P(wait + service > t) is a convolution."""
    busy = 0.9
    offered = busy * cores
    all_busy = offered**cores / factorial(cores) / (1 - busy)
    erlang_c = all_busy / (sum(offered**k / factorial(k) for k in range(cores)) + all_busy)

    def longer(time):
        rate = cores * (1 - busy)
        both = (rate * exp(-time) - exp(-rate * time)) / (rate - 1) if rate != 1 else (1 + time) * exp(-time)
        return (1 - erlang_c) * exp(-time) + erlang_c * both

    expected = MS * optimize.brentq(lambda time: longer(time) - 0.05, 0, 100)
    (found,) = p95_ms(EXPONENTIAL, 1, (1000 / MS * offered,), cores)
    assert found == pytest.approx(expected, rel=0.08)


def test_waiting_for_a_full_batch():
    """Nobody queues at hardly any load, so that the wait is that for up to 31 texts more."""
    (quiet,) = p95_ms(ALWAYS, 32, (32.0,), 1)
    gaps = np.random.default_rng(1)
    simulated = gaps.gamma(gaps.integers(0, 32, 400_000), 1000 / 32)
    assert quiet == pytest.approx(MS + np.percentile(simulated, 95), rel=0.03)
    assert p95_ms(ALWAYS, 1, (1000 / 86_400,), 1) == pytest.approx([MS])


def test_overload_has_no_end():
    assert p95_ms(ALWAYS, 1, (99.0, 100.0, 101.0), 1)[1:] == [inf, inf]
    assert p95_ms(ALWAYS, 8, (1601.0,), 2) == [inf]


def test_more_cores_wait_less_at_the_same_load():
    waits = [p95_ms(ALWAYS, 1, (80.0 * cores,), cores)[0] for cores in (1, 2, 4, 8)]
    assert waits == sorted(waits, reverse=True)


def test_lognormal_from_two_numbers():
    spread = log(2) / 1.6449  # between median and p95 of 10 and 20
    average = 10 * exp(spread**2 / 2)
    assert lognormal_mean(10.0, 20.0) == pytest.approx(average, rel=1e-3)
    times = lognormal(average, 20.0)
    assert np.interp([0.5, 0.95], np.linspace(0.005, 0.995, 100), times) == pytest.approx([10, 20], rel=0.01)
    assert mean(times) == pytest.approx(average, rel=0.01)
    assert lognormal(10.0, 9.0) == pytest.approx((10.0,) * 100), "a p95 below the mean means no spread"
