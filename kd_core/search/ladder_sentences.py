"""What a ladder says: before its start what can be shown, at its end what came out. No torch."""

from __future__ import annotations

from collections.abc import Mapping

from kd_core.distillation.roles import metric_name
from kd_core.search.kept import Pairs, at_least, even_texts, texts_to_show
from kd_core.search.ladder import LadderConfig, LadderResult
from kd_core.system.formatting import beside_other_work, megabytes, milliseconds, percent

MOST_LABELLED = 100_000  # texts; more are promised by nobody


def outlook(config: LadderConfig, counts: Mapping[str, int], metric: str = "accuracy") -> str:
    """What a validation split can show, said before the start: ``counts`` are its texts of each class.

    ``metric`` is that of the runs. Its F1 say as much as fewer texts do of accuracy: see ``even_texts``.
    """
    texts = sum(counts.values())
    even, worth = float(texts), ""
    if metric != "accuracy":
        one = metric.removeprefix("f1:")
        judged = {name: count for name, count in counts.items() if count and one in (name, metric)}
        rarest, fewest = min(judged.items(), key=lambda pair: pair[1])
        even = even_texts(judged.values())
        as_good = f"as good for {metric_name(metric)} as {even:,.0f} for accuracy"
        worth = f", {fewest:,} of them {rarest!r} ({as_good}),"
    equal = Pairs.expected(even)
    bound = at_least(equal, config.confidence)
    seeds = config.distill.training.seeds
    once = f" Of each student one is judged, that of seed {seeds[0]}." if len(seeds) > 1 else ""
    begin = f"With {texts:,} validation texts{worth} an equal student is shown to keep {percent(bound)}"
    if bound >= config.wanted:
        return f"{begin}: enough for {config.keep:g} %.{once}"
    needed = texts_to_show(equal, config.wanted, config.confidence)
    enough = (
        f"about {needed * texts / even:,.0f} would be enough"
        if needed
        else "no number of texts would be enough"
    )
    return f"{begin}, so {config.keep:g} % can be likely but hardly shown; {enough}.{once}"


WEAKER = (
    "the weaker of the two: teach it for more passes, or take another, before anything is distilled from it."
)
MUCH_MORE = 1.1  # of the teacher's score: from there on more validation texts are not what is missing


def conclusion(result: LadderResult) -> str:
    """What came out, for a person."""
    return " ".join(filter(None, (_of_students(result), _of_floor(result))))


def on_test(result: LadderResult) -> str:
    """What the chosen one has on the test texts; "" without one, and where nothing was measured on them."""
    chosen = result.chosen
    if chosen is None or not result.teacher_tested:
        return ""
    named = "" if result.metric == "accuracy" else f"{result.measure} "
    return (
        f"On the test texts, which decided nothing: {named}{percent(chosen.tested)}, the teacher "
        f"{percent(result.teacher_tested)}, so it keeps {percent(result.kept_on_test)}."
    )


def _of_floor(result: LadderResult) -> str:
    """Where counting words and letters may do as well."""
    if (floor := result.floor) is None:
        return ""
    said = (
        f"TF-IDF, which counts words and letters and has no teacher, is {floor.answer} to keep enough: "
        f"{percent(floor.kept)}, at least {percent(floor.at_least)}."
    )
    best = max((rung.kept for rung in result.students), default=0.0)
    return said + (f" So the teacher may be {WEAKER}" if floor.kept > MUCH_MORE >= best else "")


def _of_students(result: LadderResult) -> str:
    chosen, wanted = result.chosen, f"{result.config.keep:g} % of the teacher's {result.measure}"
    if chosen is None:
        judged = result.students
        if not judged:
            return "None of these students could be tried: each failed, for the reason that it shows."
        if not any(rung.fits for rung in judged):
            return _nearest(result)
        if not all(rung.fits for rung in judged):
            return f"None of these students within the limits is likely to keep {wanted}.{_most(result)}"
        return f"None of these students is likely to keep {wanted}.{_most(result)}{_larger(result)}"
    share = chosen.params / result.teacher_params
    size = percent(share, 0) if share >= 0.01 else "less than 1 %"
    kept = f"{chosen.title}, with {size} of the teacher's parameters, keeps {percent(chosen.kept)}"
    of_it = f"of its {result.measure} on the validation texts"
    bound = percent(chosen.at_least)
    if chosen.answer == "shown":
        shown = f"Shown: {kept} {of_it}, at least {bound}."
        return shown + (f" So the teacher is {WEAKER}" if chosen.at_least > 1 else "")
    if chosen.kept > MUCH_MORE:
        return f"Likely: {kept} {of_it}, at least {bound}. So the teacher may be {WEAKER}"
    settle = ""
    if chosen.needed and chosen.needed > MOST_LABELLED:
        settle = (
            f" It is so near to {result.config.keep:g} % that hardly any number of texts would settle it."
        )
    elif chosen.needed:
        settle = (
            f" About {chosen.needed:,} of them would settle it, if they say what these {chosen.texts:,} do."
        )
    return f"Likely: {kept} {of_it}, but they show only that it keeps {bound} or more.{settle}"


def doubt(result: LadderResult) -> str:
    """Whose milliseconds say more of the machine than of the student; "" where none do."""
    waited = {rung.title: rung.waited for rung in result.rungs if rung.waited}
    if not waited:
        return ""
    return (
        f"{beside_other_work(waited)}, so these milliseconds are too many: measure again when the "
        "machine is idle, under Speed in its report or with kd bench."
    )


def _nearest(result: LadderResult) -> str:
    """Where no student is within the limits: how near they come to them."""
    limits, nearest = [], []
    if (most := result.config.within_mb) is not None:
        small = min(result.students, key=lambda rung: rung.size_mb)
        limits.append(f"{most:g} MB")
        nearest.append(f"the smallest is {small.title}, with {megabytes(small.size_mb)}")
    if (most := result.config.within_ms) is not None:
        quick = min(result.students, key=lambda rung: rung.latency_ms)
        limits.append(f"{most:g} ms a text")
        nearest.append(f"the quickest is {quick.title}, with {milliseconds(quick.latency_ms)}")
    return f"None of these students is within {' and '.join(limits)}: {'; '.join(nearest)}."


def _most(result: LadderResult) -> str:
    """What the best student within the limits keeps, and whether it is by chance no more."""
    best = max((rung for rung in result.students if rung.fits), key=lambda rung: rung.kept)
    most = f" The most is {percent(best.kept)}, of {best.title}"
    if best.at_most is None:
        return f"{most}."
    reached = best.at_most >= result.config.wanted
    so = "which are too few to rule out" if reached else "which rule out"
    return (
        f"{most}: between {percent(best.at_least)} and {percent(best.at_most)} by these {best.texts:,} "
        f"texts, {so} {result.config.keep:g} %."
    )


def _larger(result: LadderResult) -> str:
    """Of the students that are tried by default, those after the last one of these."""
    usual = LadderConfig.model_fields["students"].default
    known = [usual.index(name) for name in result.config.students if name in usual]
    rest = usual[max(known) + 1 :] if known else ()
    return f" Not tried yet, from the smallest up: {', '.join(rest)}." if rest else ""
