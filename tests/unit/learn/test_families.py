"""The students of the divergence lab: the best fit of a family that is too small."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from kd_core.distillation.metrics import log_softmax
from kd_core.learn.anatomy import divergence_terms
from kd_core.learn.families import LINE, NARROWEST, fit_backed_class, fit_hump, spread, stance, two_humps

KLS = ("forward_kl", "reverse_kl", "js")


@pytest.mark.parametrize(("distance", "share"), [(2.0, 0.7), (4.0, 0.6), (6.0, 0.5)])
def test_forward_kl_matches_moments(distance: float, share: float) -> None:
    """The best member of an exponential family has the teacher's own mean and variance."""
    teacher = two_humps(distance, share)
    fitted = spread(fit_hump(teacher, "forward_kl").probs)
    assert fitted == pytest.approx(spread(np.exp(teacher)), abs=0.01)


def test_reverse_kl_covers_the_larger_hump() -> None:
    fit = fit_hump(two_humps(6.0, 0.6), "reverse_kl")
    assert (fit.place, fit.width) == pytest.approx((3.0, 0.8), abs=0.01)
    assert fit.loss == pytest.approx(-np.log(0.6), abs=0.001)  # KL of one hump from 60 % of the same
    assert fit_hump(two_humps(6.0, 0.3), "reverse_kl").place == pytest.approx(-3.0, abs=0.01)


def test_reverse_cross_entropy_is_narrow_at_the_mode() -> None:
    fit = fit_hump(two_humps(6.0, 0.6), "reverse_cross_entropy")
    assert (fit.place, fit.width) == pytest.approx((3.0, NARROWEST), abs=0.05)


def test_soft_cross_entropy_has_the_fit_of_forward_kl() -> None:
    teacher = two_humps(5.0, 0.4)
    kl, cross = (fit_hump(teacher, loss) for loss in ("forward_kl", "soft_cross_entropy"))
    assert (kl.place, kl.width) == pytest.approx((cross.place, cross.width))
    entropy = -(np.exp(teacher) @ teacher)
    assert cross.loss - kl.loss == pytest.approx(entropy)


@pytest.mark.parametrize("loss", KLS)
def test_fit_is_optimal(loss: str) -> None:
    teacher = two_humps(4.0, 0.6)
    fit = fit_hump(teacher, loss)

    def value(at: np.ndarray) -> float:
        student = log_softmax(-((LINE - at[0]) ** 2) / (2 * np.exp(2 * at[1])))
        return float(divergence_terms(student, teacher, loss).sum())

    starts = [(place, width) for place in (-2, 0, 2) for width in (-0.2, 0.7)]
    best = min(optimize.minimize(value, start, method="Nelder-Mead").fun for start in starts)
    assert fit.loss == pytest.approx(best, abs=1e-4)


def test_a_single_hump_is_matched() -> None:
    for loss in KLS:
        teacher = two_humps(0.0, 0.5)
        fit = fit_hump(teacher, loss)
        assert (fit.place, fit.width, fit.loss) == pytest.approx((0, 0.8, 0), abs=0.01)
        assert stance(fit, teacher, 0.0) == "both"


def test_stance() -> None:
    def stands(loss: str, distance: float, share: float) -> str:
        teacher = two_humps(distance, share)
        return stance(fit_hump(teacher, loss), teacher, distance)

    assert [stands(loss, 6.0, 0.6) for loss in ("forward_kl", "reverse_kl", "js")] == ["both", "one", "one"]
    assert stands("js", 4.0, 0.6) == "both"
    for distance, share in ((6.0, 0.75), (6.0, 0.2), (4.0, 0.25), (8.0, 0.75)):
        assert stands("forward_kl", distance, share) == "both", "the smaller hump is not given up"
        assert stands("reverse_kl", distance, share) == "one"


def test_backing_one_class() -> None:
    """Forward KL leaves the first class its share: the derivative of -sum p log q is 0 there."""
    teacher = np.log([0.5, 0.4, 0.06, 0.04])
    forward = fit_backed_class(teacher, "forward_kl")
    assert forward.probs == pytest.approx([0.5, 0.5 / 3, 0.5 / 3, 0.5 / 3], abs=0.002)
    # Reverse KL: q / (1 - q) = p_first / geometric mean of the others' p, times their number in q's share
    mean = np.exp(teacher[1:].mean())
    q = 0.5 / (0.5 + 3 * mean)
    assert fit_backed_class(teacher, "reverse_kl").probs[0] == pytest.approx(q, abs=0.002)
    assert fit_backed_class(teacher, "reverse_cross_entropy").probs[0] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("loss", [*KLS, "soft_cross_entropy", "reverse_cross_entropy"])
def test_backed_class_is_optimal(loss: str) -> None:
    teacher = log_softmax(np.random.default_rng(3).normal(0, 1.5, 5))
    best = fit_backed_class(teacher, loss).loss
    leads = np.linspace(0, 12, 601)[:, None]
    for other in range(5):
        losses = divergence_terms(log_softmax(leads * np.eye(5)[other]), teacher, loss).sum(axis=1)
        assert losses.min() >= best - 1e-6
