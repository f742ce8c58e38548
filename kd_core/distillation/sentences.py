"""The verdict in words. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kd_core.distillation.roles import Role, metric_name
from kd_core.system.formatting import bound, percent, points

if TYPE_CHECKING:  # scipy comes with it
    from kd_core.distillation.comparison import Verdict

# Controls that may do as well where the student alone does not, and how each is trained.
CONTROLS: Mapping[Role, str] = {
    "labelled_only": "distilled on the labelled texts alone",
    "hard_answers": "trained on the teacher's first choices as if they were labels",
    "plain_start": "trained alone from random weights",
    "untuned_start": "trained alone from the teacher's weights before fine-tuning",
}


def sentence(
    verdict: Verdict,
    floor: Verdict | None = None,
    advice: str = "",
    over: Mapping[Role, Verdict] | None = None,
    metric: str = "accuracy",
    hint: str = "",
) -> str:
    """The verdict in words, in percentage points.

    ``floor`` is the student's verdict against TF-IDF: that it is above is added; that it is not comes first,
    with ``below_floor``'s advice. ``over`` is that against ``CONTROLS``: to a gain it is added which of them
    do as well. ``metric``: as in ``training.metric``, what verdict and floor are points of. ``hint``, as of
    ``for_a_gain``, ends what is said of a student without one.
    """
    unit = "" if metric == "accuracy" else f"of {metric_name(metric)}"
    comparison = _against_alone(verdict, unit)
    for who, gain in (over or {}).items():
        if verdict.kind == "helped" and gain.kind != "helped":
            place = "does better" if gain.kind == "hurt" else "does as well, as far as these texts can show"
            comparison += f" The one {CONTROLS[who]} {place} ({_gain(gain, f'{unit} over it'.strip())})."
    more = f" {hint}" if hint and verdict.kind != "helped" else ""
    if floor is None:
        return comparison + more
    if floor.kind == "helped":
        above = f"The student is above TF-IDF, which only counts words and letters ({_gain(floor, unit)})."
        return f"{comparison} {above}{more}"
    return f"{not_above(floor, unit, advice)} {comparison}"


def not_above(floor: Verdict, unit: str, advice: str) -> str:
    """The first sentence of a verdict on a student that is not shown to be above TF-IDF."""
    place = "worse than" if floor.kind == "hurt" else "not shown to be better than"
    return (
        f"The distilled student is {place} TF-IDF, which only counts words and letters "
        f"({_gain(floor, unit)}): {advice}."
    )


# On tasks of 600 and 1,200 labelled texts, 6,000 others added 1.5 and 3 points over the student alone, and
# without them distillation added nothing that could be shown (docs/quality.md).
UNLABELLED = (
    "Texts of the same kind without labels, for the teacher to label (a transfer set), are what most often "
    "brings a gain."
)


def for_a_gain(teacher: float, alone: float, *, transfer: bool, metric: str = "accuracy") -> str:
    """What may bring a gain where there was none; both are scores in ``metric``, of a run with ``transfer``
    texts or without, and "" where nothing stands out."""
    if teacher <= alone:
        unit = "" if metric == "accuracy" else f"in {metric_name(metric)}, "
        return (
            f"On these texts its teacher is not above the student alone ({unit}{percent(teacher)} against "
            f"{percent(alone)}), so there may be little to learn from it: more labelled texts or another "
            "teacher come first."
        )
    return "" if transfer else UNLABELLED


# With the settings of the run, on Distill too.
FIND_SMALLEST = "kd distill --keep 98 finds the smallest that keeps so much of its teacher"
LARGER = f"a larger student ({FIND_SMALLEST})"

# Where one of these is below the floor, cnn of the same size was above it (docs/quality.md).
MISS_PHRASES = ("static", "tiny")
PHRASES = "the student cnn, which learns phrases from few texts"


def below_floor(
    floor: float,
    teacher: float,
    *,
    reached: float = 0,
    alone: float = 0,
    transfer: bool,
    file: bool = False,
    student: str = "",
    more: str = "more labelled texts",
) -> str:
    """What to do about a ``student`` that is not above the floor; scores are in the run's metric, and its own
    is ``reached``, that of the student alone ``alone``.

    ``file``: a teacher that is a file of answers learns no more, and a ladder has nothing of it to keep.
    ``more``: the texts to bring.
    """
    larger = "a larger student" if file else LARGER
    if student in MISS_PHRASES:
        larger = f"{PHRASES}, {larger}"
    if floor > 0.99:
        return "on this task, counting is enough"
    if teacher <= floor:
        return f"its teacher is not above it either; {more} or another teacher come first"
    if reached >= teacher:
        return (
            "on these texts it is not below its teacher, so more of them, not a larger student, may show it"
        )
    if teacher <= alone:  # as ``for_a_gain`` says it: a larger student may have no more to learn
        another = "" if file else " or another teacher"
        return (
            f"on these texts its teacher is not above the student alone ({percent(teacher)} against "
            f"{percent(alone)}); {more}{another} come first"
        )
    if transfer:
        return f"try {larger} or {more}"
    return f"try {larger}, {more}, or unlabelled ones as a transfer set"


# Of two numbers the spread is hardly known: by Student's t with one degree of freedom an interval is three
# times as long as with two (docs/statistics.md).
TWO_SEEDS = "Two seeds hardly tell how much seeds differ: with a third the interval may be much shorter."


def all_right(texts: int, floor: float | None = None, above: bool = False) -> str:
    """Where student and control are right on every test text; ``floor``: the accuracy of TF-IDF, if there is
    one, and ``above`` whether the student is shown to be better."""
    too = ""
    if floor == 1:
        too = ", and so is TF-IDF, which only counts words and letters"
    elif floor is not None and not above:
        too = (
            f", and TF-IDF, which only counts words and letters, on {percent(floor)} of them, which is not "
            "shown to be less"
        )
    return (
        f"This student and the same one trained alone are right on all {texts:,} test texts{too}. These are "
        "too easy, or too few, to tell models apart: bring harder ones, or more."
    )


def _against_alone(verdict: Verdict, unit: str = "") -> str:
    """With one seed it is about two trained students; what distillation does is seen over several."""
    tests = f"{verdict.n:,} test texts"
    span = f"95 % interval {bound(verdict.low)} to {bound(verdict.high)}"
    gain = f"{points(verdict.delta)}{unit and ' '}{unit}"
    if verdict.seeds > 1:
        over = f"{gain} over the same student trained alone (mean of {verdict.seeds} seeds, {span}"
        if verdict.kind == "no_difference":
            third = f" {TWO_SEEDS}" if verdict.seeds == 2 else ""
            return f"Distillation made no difference that these {tests} can show: {over}).{third}"
        return f"Distillation {verdict.kind}: {over}, {tests})."
    if verdict.kind == "no_difference":
        return (
            f"This student and the same one trained alone cannot be told apart on these {tests}: {gain} "
            f"({span}). Each was trained once; more seeds may tell them apart."
        )
    place = "better" if verdict.kind == "helped" else "worse"
    return (
        f"This student is {place} than the same one trained alone: {gain} ({span}, {tests}). Each was "
        "trained once; more seeds tell how much of that is luck."
    )


def _gain(verdict: Verdict, than: str = "") -> str:
    span = f"95 % interval {bound(verdict.low)} to {bound(verdict.high)}"
    return f"{bound(verdict.delta)} points{than and ' '}{than}, {span}"
