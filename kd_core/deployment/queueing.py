"""How long a text waits and is served, by simulation from measured service times. No torch.

Texts come to a server at random (a Poisson process) and gather until a batch is full; a full batch goes to
the first of the server's cores that is free (G/G/c, first come, first served). For batches of one text this
is M/G/c. Kiefer and Wolfowitz 1955, On the theory of queues with many servers, for the recursion.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BATCHES = 3_000  # in each of the queues that are simulated side by side
WARM_UP = 1_000  # of these: a queue begins empty
QUEUES = 240  # for one core; fewer for more, so that a large server takes no longer
SHARE = 95  # of 100 texts that are answered by then


def lognormal(average: float, p95: float) -> tuple[float, ...]:
    """Quantiles of times of which only these two are known, as those of a log-normal distribution.

    With mean exp(m + s²/2) and 95th percentile exp(m + z s), s = z - sqrt(z² - 2 log(p95 / mean)).
    """
    from scipy import stats

    z = stats.norm.ppf(0.95)
    spread = z - np.sqrt(max(z**2 - 2 * np.log(max(p95 / average, 1)), 0))
    middle = np.log(average) - spread**2 / 2
    return tuple(np.exp(middle + spread * stats.norm.ppf(np.linspace(0.005, 0.995, 100))).tolist())


def lognormal_mean(p50: float, p95: float) -> float:
    """Of a log-normal distribution with these quantiles."""
    from scipy import stats

    return float(p50 * np.exp((np.log(max(p95 / p50, 1)) / stats.norm.ppf(0.95)) ** 2 / 2))


def mean(quantiles: Sequence[float]) -> float:
    """Of times with these evenly spaced quantiles, straight lines between them."""
    return float(np.interp(np.linspace(0, 1, 1001), np.linspace(0, 1, len(quantiles)), quantiles).mean())


@lru_cache(maxsize=64)
def p95_ms(
    service_ms: tuple[float, ...], batch: int, texts_per_second: tuple[float, ...], cores: int
) -> list[float]:
    """For each rate, the milliseconds from a text's arrival to its answer that 19 of 20 texts keep to.

    ``service_ms``: evenly spaced quantiles, from the least to the most, of a batch's time on one core. So
    many texts a second come to ``cores`` that share one queue; inf where that grows without end.
    """
    random = np.random.default_rng(0)
    shape = BATCHES, max(8, QUEUES // cores)
    # Of each batch one text is followed, number k: k intervals between texts before it, batch - k after it.
    number = random.integers(1, batch + 1, shape)
    before, after = random.standard_gamma(number), random.standard_gamma(batch - number)
    service = np.interp(random.random(shape), np.linspace(0, 1, len(service_ms)), service_ms)
    between = 1000 / np.array(texts_per_second)[:, None]
    latency = _waits(between, before + after, service, cores) + service[:, None] + between * after[:, None]
    p95 = np.percentile(latency[WARM_UP:], SHARE, axis=(0, 2))
    endless = between[:, 0] * batch * cores <= mean(service_ms)
    return np.where(endless, np.inf, p95).tolist()  # type: ignore[no-any-return]


def _waits(between: Floats, intervals: Floats, service: Floats, cores: int) -> Floats:
    """Of each batch for a free core: (batches, rates, queues).

    ``between`` (rates, 1), ``intervals`` and ``service`` (batches, queues). The workload of each core is
    taken down by the time between two batches; the next one goes to the core that has least left.
    """
    batches, queues = service.shape
    left = np.zeros((len(between) * queues, cores))
    rows = np.arange(len(left))
    waits = np.empty((batches, len(between), queues))
    for turn in range(batches):
        left -= (between * intervals[turn]).reshape(-1, 1)
        np.maximum(left, 0, out=left)
        first = left.argmin(axis=1)
        wait = left[rows, first].reshape(len(between), queues)
        left[rows, first] = (wait + service[turn]).ravel()
        waits[turn] = wait
    return waits
