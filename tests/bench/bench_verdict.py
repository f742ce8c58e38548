"""How often verdicts are false, how often they find a gain, and what a search chooses: by simulation.

    python -m tests.bench.bench_verdict [--simulations 2000] [--only one,several,gains,f1,search]

Prints the tables of ``docs/statistics.md``, in a few minutes on one core. One seed is summed up exactly, over
all outcomes. For several seeds, texts differ in how hard they are, the two kinds of student in what suits
them, and each training in chance: the three shares of the variance are such that the students of a run
disagree as often, and repeat each other as much, as those of ``assets/recorded``. Seeds differ in accuracy by
a normal distribution.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from kd_core.distillation.comparison import TAIL, f1_gains, f1_verdict, judge, mean_squares, verdict

SHARES = (0.75, 0.12, 0.13)  # of the text, of the kind of student on that text, and of the training
OTHERS = {"alike": (0.75, 0.0, 0.25), "apart": (0.5, 0.3, 0.2)}
TEXTS, ACCURACIES = (200, 500, 2000, 5000), (0.7, 0.87, 0.95, 0.99)
SPREADS, SEEDS = (0.0, 0.01, 0.02), (3, 5)
Z = float(special.ndtri(1 - TAIL))
LEVELS = (np.arange(64) + 0.5) / 64
NUMBERS = 10_000_000  # held at once

Array = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--only", default="one,several,gains,f1,search")
    given = parser.parse_args()
    random = np.random.default_rng(0)
    parts = {
        "one": one_seed,
        "several": several_seeds,
        "gains": gains_found,
        "f1": in_macro_f1,
        "search": choices,
    }
    for name in given.only.split(","):
        parts[name](random, given.simulations)


# One seed: b texts that only the one has right, c that only the other has


def p_values(b: NDArray[np.int64], c: NDArray[np.int64], middle: float = 0.0) -> Array:
    """Of the exact test; with ``middle`` 0.5, its mid-p."""
    least, n = np.minimum(b, c), b + c
    tail = stats.binom.cdf(least, n, 0.5) - middle * stats.binom.pmf(least, n, 0.5)
    return np.minimum(1.0, 2 * tail)


def bootstrap_says(b: int, c: int, texts: int, random: np.random.Generator, resamples: int = 10_000) -> bool:
    """What KD Studio did before: a percentile interval of resampled texts that does not hold zero."""
    drawn = random.multinomial(texts, [b / texts, c / texts, 1 - (b + c) / texts], resamples)
    low, high = np.quantile(drawn[:, 0] - drawn[:, 1], [TAIL, 1 - TAIL])
    return bool(low > 0 or high < 0)


def one_seed(random: np.random.Generator, simulations: int) -> None:
    print(
        "\nFew disagreements on 500 texts\n\n"
        "| only the one | only the other | p | mid-p | bootstrap | interval |\n|---|---|---|---|---|---|"
    )
    for b, c in ((4, 0), (5, 0), (6, 0), (7, 1), (9, 2), (14, 5), (15, 5)):
        student = np.arange(500)[None] < b
        alone = (np.arange(500)[None] >= b) & (np.arange(500)[None] < b + c)
        found = verdict(student, alone)
        counts = np.array([b]), np.array([c])
        says = "a verdict" if bootstrap_says(b, c, 500, random) else "none"
        print(
            f"| {b} | {c} | {found.p_value:.3f} | {p_values(*counts, 0.5)[0]:.3f} | {says} | "
            f"{100 * found.low:+.2f} to {100 * found.high:+.2f} |"
        )
    print("\nFalse verdicts in percent, one seed\n\n| expected disagreements | exact | mid-p | bootstrap |")
    print("|---|---|---|---|")
    for expected in (3, 5, 10, 20, 30, 60, 100, 300):
        print(f"| {expected} | " + " | ".join(f"{x:.1f}" for x in _rates(expected, 0.5, random)) + " |")
    print(
        "\nGains found in percent, one seed\n\n| disagreements | of which gains | exact | mid-p | bootstrap |"
    )
    print("|---|---|---|---|---|")
    for expected, share in product((20, 40, 80), (0.6, 0.7, 0.8)):
        rates = " | ".join(f"{x:.0f}" for x in _rates(expected, share, random))
        print(f"| {expected} | {share:.0%} | {rates} |")


def _rates(expected: float, share: float, random: np.random.Generator) -> list[float]:
    """Verdicts in percent where gains and losses are Poisson counts; of the bootstrap as a normal interval
    that stays on one side where there are but gains."""
    most = int(expected + 8 * expected**0.5 + 20)
    b, c = np.meshgrid(np.arange(most), np.arange(most), indexing="ij")
    weight = stats.poisson.pmf(b, share * expected) * stats.poisson.pmf(c, (1 - share) * expected)
    normal = np.abs(b - c) > Z * np.sqrt(b + c)
    rules = [p_values(b, c) < 2 * TAIL, p_values(b, c, 0.5) < 2 * TAIL, normal]
    return [100 * float(weight[rule].sum()) for rule in rules]


# Several seeds


def simulated(
    random: np.random.Generator,
    count: int,
    texts: int,
    accuracy: float,
    spread: float,
    seeds: int,
    gain: float = 0.0,
    shares: tuple[float, float, float] = SHARES,
) -> NDArray[np.int8]:
    """Right minus right, (count, seeds, texts); ``spread`` is that of each kind's accuracy over seeds."""

    def drawn(share: float, *shape: int) -> NDArray[np.float32]:
        return np.float32(share**0.5) * random.standard_normal(shape, dtype=np.float32)

    text = drawn(shares[0], count, 1, texts)
    right = []
    for mean in (accuracy + gain, accuracy):
        reached = np.clip(mean + spread * random.standard_normal((count, seeds, 1)), 0.02, 0.9995)
        ability = special.ndtri(reached).astype(np.float32)
        own = drawn(shares[1], count, 1, texts) + drawn(shares[2], count, seeds, texts)
        right.append(text + own + ability > 0)
    return right[0].astype(np.int8) - right[1]


def batches(random: np.random.Generator, count: int, **case: float) -> Iterator[NDArray[np.int8]]:
    size = max(1, int(NUMBERS // (case["texts"] * case["seeds"])))
    for start in range(0, count, size):
        yield simulated(random, min(size, count - start), **case)  # type: ignore[arg-type]


def says(gains: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Whether ``verdict`` is one, for many at once: (count, seeds, texts) -> (count,).

    The lower end of a 95 % interval is above zero where the texts alone, at the bound that it is made of,
    have less than 2.5 % below. ``main`` compares some with ``verdict`` itself.
    """
    _, seeds, texts = gains.shape
    by_text = gains.mean(axis=1, dtype=np.float64)
    by_text *= np.where(by_text.sum(axis=1) < 0, -1, 1)[:, None]
    a, b, e = np.array([mean_squares(one.astype(np.float64)) for one in gains]).T
    total = by_text.sum(axis=1)
    shared = np.maximum(0, b - e)
    freedom = (seeds - 1) * (a + shared) / np.maximum(a, 1e-12)
    t = np.where(a > 0, special.stdtrit(np.minimum(freedom, 1e9), 1 - TAIL), Z)
    rest = total**2 - t**2 * texts * a / seeds
    stretch = np.maximum(t / Z * np.sqrt(shared / np.maximum(b, 1e-12)), 1e-9)
    bound = total - np.sqrt(np.maximum(rest, 0)) / stretch
    (up, up_step), (down, down_step) = _counts(by_text.clip(min=0)), _counts(-by_text.clip(max=0))
    down_step = np.where(down_step > 0, down_step, np.where(up_step > 0, up_step, 1))
    normal = np.linspace(-7.5, 7.5, 61)
    drawn = special.gammaincinv(np.maximum(up, 1e-9)[:, None], special.ndtr(normal)) * up_step[:, None]
    least = np.maximum(drawn - bound[:, None], 0) / down_step[:, None]
    tail = special.gammaincc(down[:, None] + 1, least) @ special.softmax(-(normal**2) / 2)
    return (total > 0) & (rest > 0) & (tail < TAIL)


def _counts(gains: Array) -> tuple[Array, Array]:
    total, squares = gains.sum(axis=1), (gains**2).sum(axis=1)
    step = np.divide(squares, total, out=np.zeros_like(total), where=total > 0)
    return np.divide(total, step, out=np.zeros_like(total), where=step > 0), step


def crossed_bootstrap(gains: NDArray[np.int8], random: np.random.Generator, resamples: int = 1000) -> bool:
    """What KD Studio did before: texts and seeds drawn with replacement."""
    seeds, texts = gains.shape
    columns, counts = np.unique(gains, axis=1, return_counts=True)
    drawn = random.multinomial(texts, counts / texts, resamples) @ columns.T.astype(np.int64)
    means = (drawn * random.multinomial(seeds, np.full(seeds, 1 / seeds), resamples)).sum(axis=1)
    low, high = np.quantile(means, [TAIL, 1 - TAIL])
    return bool(low > 0 or high < 0)


def several_seeds(random: np.random.Generator, simulations: int) -> None:
    sample = simulated(random, 60, 300, 0.85, 0.01, 3, gain=0.03)
    one_by_one = [verdict(one > 0, one < 0).kind != "no_difference" for one in sample]
    assert says(sample).tolist() == one_by_one, "the bench and the verdict are not the same"
    rates = []
    print("\nFalse verdicts in percent, several seeds (disagreements of two students in brackets)\n")
    print("| seeds | spread | texts | " + " | ".join(f"{x:.0%} right" for x in ACCURACIES) + " |")
    print("|---" * (3 + len(ACCURACIES)) + "|")
    for seeds, spread, texts in product(SEEDS, SPREADS, TEXTS):
        cells = []
        for accuracy in ACCURACIES:
            found, disagree = [], []
            case = {"texts": texts, "accuracy": accuracy, "spread": spread, "seeds": seeds}
            for gains in batches(random, simulations, **case):
                found.append(says(gains))
                disagree.append((gains != 0).mean() * texts)
            rate, expected = 100 * float(np.concatenate(found).mean()), float(np.mean(disagree))
            rates.append((rate, expected))
            cells.append(f"{rate:.1f} ({expected:.0f})")
        print(f"| {seeds} | {100 * spread:.0f} | {texts:,} | {' | '.join(cells)} |", flush=True)
    enough = [rate for rate, expected in rates if expected >= 30]
    print(
        f"\nMost: {max(rate for rate, _ in rates):.1f} %. Where 30 or more disagreements are expected: "
        f"{min(enough):.1f} to {max(enough):.1f} %, {np.mean(enough):.1f} % on average."
    )
    print(
        "\nOther students: 500 texts, 87 % right, 3 seeds\n\n| spread | "
        + " | ".join(OTHERS)
        + " |\n|---|---|---|"
    )
    for spread in SPREADS:
        cells = [
            says(simulated(random, simulations, 500, 0.87, spread, 3, shares=x)) for x in OTHERS.values()
        ]
        print(f"| {100 * spread:.0f} | " + " | ".join(f"{100 * x.mean():.1f}" for x in cells) + " |")


def gains_found(random: np.random.Generator, simulations: int) -> None:
    print("\nVerdicts in percent by the true gain: 87 % right; in brackets the bootstrap of before\n")
    print("| texts | seeds | spread | 0 points | 1 | 2 | 3 | 5 |\n|---|---|---|---|---|---|---|---|")
    count = min(simulations, 400)
    for texts, seeds, spread in product((500, 2000), (1, 3, 5), (0.0, 0.01)):
        cells = []
        for gain in (0.0, 0.01, 0.02, 0.03, 0.05):
            gains = simulated(random, count, texts, 0.87, spread, seeds, gain)
            before = np.mean([crossed_bootstrap(one, random) for one in gains])
            cells.append(f"{100 * says(gains).mean():.0f} ({100 * before:.0f})")
        print(f"| {texts:,} | {seeds} | {100 * spread:.0f} | {' | '.join(cells)} |", flush=True)


# What a search chooses

RULES = ("best mean", "1 SE of the best", "1 SE of the difference", "the same, corrected", "95 % t (before)")


# Macro-F1, where classes are rare

SKEWED = [0.3, 0.2, 0.12, 0.08, *[0.3 / 21] * 21]  # the rarest of 150 texts have two
MIXES = {
    "5 and 95 %": [0.05, 0.95],
    "five of 2 %, five of 18 %": [0.02] * 5 + [0.18] * 5,
    "25, most of 1.4 %": SKEWED,
    "five alike": [0.2] * 5,
}


def in_macro_f1(random: np.random.Generator, simulations: int) -> None:
    """Of one seed; the other model has 80 % right."""
    print(
        "\n| classes | texts | more right | verdicts | a loss not seen weighs like those seen |\n|"
        + "---|" * 5
    )
    for (name, shares), texts, better in product(MIXES.items(), (150, 500), (0.0, 0.06)):
        found, before = 0, 0
        for _ in range(simulations):
            labels = random.choice(len(shares), size=texts, p=shares)
            hard = random.random(texts)
            pair = [_answers(random, labels, hard, len(shares), 0.8 + more) for more in (better, 0.0)]
            found += f1_verdict(pair[0][None], pair[1][None], labels).kind != "no_difference"
            before += judge(f1_gains(*pair, labels)[None]).kind != "no_difference"
        rates = (100 * found / simulations, 100 * before / simulations)
        print(
            f"| {name} | {texts} | {100 * better:.0f} points | {rates[0]:.1f} | {rates[1]:.1f} |", flush=True
        )


def _answers(
    random: np.random.Generator, labels: NDArray[np.int64], hard: Array, classes: int, accuracy: float
) -> NDArray[np.int64]:
    """Wrong where the text is hard, and by chance; then any other class."""
    right = 0.7 * hard + 0.3 * random.random(len(labels)) < accuracy
    return np.where(right, labels, (labels + random.integers(1, classes, len(labels))) % classes)


def held_out(random: np.random.Generator, truth: Array, folds: int, seeds: int, count: int) -> Array:
    """Accuracies (count, cells, seeds x folds) on held-out parts of 424 texts, at about 87 %.

    Cells share the texts of a fold; a cell's luck with the training texts stays over its folds, as much as
    Nadeau and Bengio's correction supposes; and each training has some of its own.
    """
    text, own = (0.87 * 0.13 / 424) ** 0.5, 0.006
    fold = random.normal(0, np.hypot(0.01, text * 0.8**0.5), (count, 1, 1, folds))
    on_fold = random.normal(0, text * 0.1**0.5, (count, len(truth), 1, folds))
    training = random.normal(0, np.hypot(text * 0.1**0.5, own), (count, len(truth), seeds, folds))
    lasting = np.sqrt((0.2 * text**2 + own**2) / (folds - 1))
    cell = random.normal(0, lasting, (count, len(truth), 1, 1))
    return (truth[None, :, None, None] + fold + on_fold + training + cell).reshape(count, len(truth), -1)


def able(accuracy: Array, folds: int) -> list[NDArray[np.bool_]]:
    """For each of ``RULES``, which cells (count, cells) it would take."""
    n = accuracy.shape[2]
    means = accuracy.mean(axis=2)
    best = np.take_along_axis(accuracy, means.argmax(axis=1)[:, None, None], axis=1)
    gap, spread = (best - accuracy).mean(axis=2), (best - accuracy).std(axis=2, ddof=1)
    corrected = np.sqrt(1 / n + 1 / (folds - 1))
    t = special.stdtrit(n - 1, 1 - TAIL)
    limits = [
        0 * gap,
        best.std(axis=2, ddof=1) / n**0.5,
        spread / n**0.5,
        spread * corrected,
        t * spread / n**0.5,
    ]
    return [gap <= limit for limit in limits]


def choices(random: np.random.Generator, simulations: int) -> None:
    columns = " | ".join(RULES)
    print("\nA smaller student is chosen, in percent of searches (9 settings of it, 9 of the larger one)\n")
    print(f"| folds | seeds | it is worse by | {columns} |\n|---|---|---" + "|---" * len(RULES) + "|")
    for (folds, seeds), gap in product(((3, 1), (5, 1), (3, 3)), (0.0, 0.01, 0.02, 0.03)):
        truth = np.repeat([0.87 - gap, 0.87], 9)
        taken = [
            rule[:, :9].any(axis=1)
            for rule in able(held_out(random, truth, folds, seeds, simulations), folds)
        ]
        print(
            f"| {folds} | {seeds} | {100 * gap:.0f} | "
            + " | ".join(f"{100 * x.mean():.0f}" for x in taken)
            + " |"
        )
    print("\nThe one setting that is better is chosen, of 9 where the defaults come first\n")
    print(f"| folds | seeds | it is better by | {columns} |\n|---|---|---" + "|---" * len(RULES) + "|")
    for (folds, seeds), gap in product(((3, 1), (5, 1), (3, 3)), (0.01, 0.02, 0.03)):
        truth = np.where(np.arange(9) == 5, 0.87, 0.87 - gap)
        found = [
            rule.argmax(axis=1) == 5
            for rule in able(held_out(random, truth, folds, seeds, simulations), folds)
        ]
        print(
            f"| {folds} | {seeds} | {100 * gap:.0f} | "
            + " | ".join(f"{100 * x.mean():.0f}" for x in found)
            + " |"
        )


if __name__ == "__main__":
    main()
