"""What each soft loss is by scipy: another way to every number. A new objective needs an entry here."""

from __future__ import annotations

import numpy as np
from scipy import special, stats
from scipy.spatial.distance import sqeuclidean


def by_scipy(loss: str, z_s: np.ndarray, z_t: np.ndarray, temperature: float, label: int) -> float:
    """The soft loss of one text, without T²."""
    p_s, p_t = special.softmax(z_s / temperature), special.softmax(z_t / temperature)
    mean = (p_s + p_t) / 2
    return {
        "forward_kl": lambda: stats.entropy(p_t, p_s),
        "reverse_kl": lambda: stats.entropy(p_s, p_t),
        "js": lambda: (stats.entropy(p_t, mean) + stats.entropy(p_s, mean)) / 2,
        "soft_cross_entropy": lambda: stats.entropy(p_t, p_s) + stats.entropy(p_t),
        "reverse_cross_entropy": lambda: stats.entropy(p_s, p_t) + stats.entropy(p_s),
        "logit_mse": lambda: sqeuclidean(z_s, z_t),
        "hard_answers": lambda: -float(special.log_softmax(z_s)[np.argmax(z_t)]),
        "dkd": lambda: float(np.dot((1, 8), tckd_nckd(p_s, p_t, label))),
    }[loss]()


def tckd_nckd(p_s: np.ndarray, p_t: np.ndarray, label: int) -> tuple[float, float]:
    """Zhao et al. 2022; ``stats.entropy`` renormalises what is left without the target."""
    (s, rest_s), (t, rest_t) = ((p[label], np.delete(p, label)) for p in (p_s, p_t))
    return stats.entropy([t, 1 - t], [s, 1 - s]), stats.entropy(rest_t, rest_s)
