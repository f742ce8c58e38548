"""Who is trained and measured in a run: the teacher, the distilled student, its controls, and the floor.

A control is one entry in ``ROLES``; one that can be left out has a switch in ``ControlsConfig``. No torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # pydantic comes with it, and kd --help needs only names
    from kd_core.config import DistillConfig, Initialisation, ObjectiveConfig

# Who is trained or measured. "student" is the distilled one.
Role = Literal[
    "teacher", "alone", "labelled_only", "hard_answers", "plain_start", "untuned_start", "student", "tfidf"
]
ThemeColour = tuple[str, str]  # a colour in the light theme, and in the dark one


def own(objective: ObjectiveConfig) -> ObjectiveConfig:
    return objective


def labels_only(objective: ObjectiveConfig) -> ObjectiveConfig:
    """Cross-entropy with the labels, each class with its weight, whatever the run's own objective is."""
    from kd_core.config import TEMPERATURE

    # Which it does not use, but the cache's keys hold its ``repr``, and had this number from the start.
    return type(objective)(alpha=1.0, temperature=TEMPERATURE, class_weights=objective.class_weights)


def hard_answers(objective: ObjectiveConfig) -> ObjectiveConfig:
    """The run's own, but with the teacher's first choice in the place of all its probabilities."""
    if objective.alpha == 1:  # no answers are asked for
        return objective
    return objective.model_copy(update={"divergence": "hard_answers"})


@dataclass(frozen=True, kw_only=True)
class RoleEntry:
    """What is said and drawn of a role and, of a student, what it learns from."""

    title: str
    short: str  # where there is little room
    about: str  # goes on after "Title is "
    colour: ThemeColour  # of marks: lines, bars, dots
    text_colour: ThemeColour  # of words: at least 4.5 to 1 on the page
    dash: str = "solid"
    symbol: str
    shape: str = ""  # where the filling says something else; "": the symbol
    shared: bool = False  # it knows nothing of T and alpha, so that other runs have the same one
    objective: Callable[[ObjectiveConfig], ObjectiveConfig] = own  # what it minimises, by the run's own
    transfer: bool = False  # whether it sees the transfer texts
    init: Initialisation | None = None  # where its weights start; None: as the run says
    untuned: bool = False  # what it starts with of the teacher's is as it was before fine-tuning
    switch: str = ""  # its field of ControlsConfig; "": it is always there


# In the order of training and of a report's keys.
ROLES: dict[Role, RoleEntry] = {
    "teacher": RoleEntry(
        title="Teacher",
        short="Teacher",
        about="the large model, fine-tuned on the labels.",
        colour=("#4C5FD5", "#93A0F5"),
        text_colour=("#3F51C6", "#A9B4F8"),
        dash="dash",
        symbol="diamond",
        shared=True,
    ),
    "student": RoleEntry(
        title="Distilled student",
        short="Distilled",
        about="the small model, which learned from the labels and from the teacher.",
        colour=("#D9660B", "#F59A4A"),
        text_colour=("#AD4E04", "#F8AE6D"),
        symbol="circle",
        transfer=True,
    ),
    "alone": RoleEntry(
        title="Student alone",
        short="Alone",
        about="the same student with the same start, trained as long on the labels alone.",
        colour=("#7A8594", "#A3ADBA"),
        text_colour=("#5A6573", "#B4BDC9"),
        symbol="square",
        shared=True,
        objective=labels_only,
    ),
    "labelled_only": RoleEntry(
        title="Distilled on labelled texts only",
        short="Labelled only",
        about="the same student, distilled as long on the labelled texts, without transfer texts or spans.",
        colour=("#E8B07C", "#E8B07C"),
        text_colour=("#8A5A24", "#E8B07C"),
        dash="dot",
        symbol="circle-open",
        shape="triangle-up",
        switch="labelled_only",
    ),
    "hard_answers": RoleEntry(
        title="Distilled on hard answers",
        short="Hard answers",
        about="the same student, distilled as long on the same texts, with the teacher's first choices as if "
        "they were labels.",
        colour=("#1D8FB0", "#5CC0DC"),
        text_colour=("#136A84", "#7FD0E6"),
        dash="dashdot",
        symbol="circle-x-open",
        shape="pentagon",
        objective=hard_answers,
        transfer=True,
        switch="hard_answers",
    ),
    "plain_start": RoleEntry(
        title="Student alone, random start",
        short="Random start",
        about="the student alone, from random weights instead of those that it starts with.",
        colour=("#A05A94", "#CB93C1"),
        text_colour=("#87437B", "#D3A3CA"),
        dash="dot",
        symbol="square-open",
        shape="triangle-down",
        shared=True,
        objective=labels_only,
        init="random",
        switch="plain_start",
    ),
    "untuned_start": RoleEntry(
        title="Student alone, start before fine-tuning",
        short="Untuned start",
        about="the student alone, from the teacher's weights before the teacher was fine-tuned.",
        colour=("#B4506A", "#E391A6"),
        text_colour=("#993C55", "#EBABBB"),
        dash="longdash",
        symbol="square-x-open",
        shape="hexagon",
        shared=True,
        objective=labels_only,
        untuned=True,
        switch="untuned_start",
    ),
    "tfidf": RoleEntry(
        title="TF-IDF",
        short="TF-IDF",
        about="no network: it counts words and letters, with logistic regression.",
        colour=("#12866A", "#45BE9B"),
        text_colour=("#0C6B54", "#5CCBAA"),
        symbol="star",
        shared=True,
        switch="tfidf",
    ),
}
# As lists have them: the student alone and TF-IDF come last, for they are what it is compared with.
LISTED: tuple[Role, ...] = tuple(sorted(ROLES, key=lambda who: who in ("alone", "tfidf")))
FLOOR: Role = "tfidf"
NAMES: dict[Role, str] = {who: ROLES[who].title for who in LISTED}
SHORT_NAMES: dict[Role, str] = {who: ROLES[who].short for who in LISTED}
STUDENTS: tuple[Role, ...] = tuple(who for who in LISTED if who not in ("teacher", FLOOR))
# Each has one thing more than the one before, of those that a run has.
STAIRS: tuple[Role, ...] = (FLOOR, "plain_start", "untuned_start", "alone", "labelled_only", "student")
# Starts that have something of the fine-tuned teacher, and what.
FROM_TEACHER = {
    "teacher_layers": "layers",
    "teacher_vectors": "vectors of the word pieces",
    "projected": "word embeddings",
}
# Which every run has, also one of version 0.1; but "alone" only where there are labels besides the teacher's.
CORE: tuple[Role, ...] = ("teacher", "student", "alone")
CORE_ONLY = {f"controls.{ROLES[who].switch}": False for who in STUDENTS if ROLES[who].switch}

# Of the distilled student against the student alone.
VERDICTS = {"helped": "Helped", "no_difference": "No difference shown", "hurt": "Hurt"}
# With one seed two trained students are compared, and nothing is said of distillation.
OF_ONE_SEED = {"helped": "Better", "no_difference": "No difference shown", "hurt": "Worse"}


def verdict_name(kind: str, seeds: int) -> str:
    """A badge's word for ``Verdict.kind``."""
    return (VERDICTS if seeds > 1 else OF_ONE_SEED)[kind]


def is_f1(metric: str) -> bool:
    """Whether models are judged by macro-F1 or the F1 of one class; else it is by accuracy."""
    return metric == "macro_f1" or metric.startswith("f1:")


def f1_of(metric: str) -> str:
    """The F1 that is told besides: of the class that the metric names, or else macro_f1."""
    return metric if is_f1(metric) else "macro_f1"


def metric_name(metric: str) -> str:
    """ "macro-F1" of macro_f1, "F1 of spam" of f1:spam."""
    return f"F1 of {metric.removeprefix('f1:')}" if metric.startswith("f1:") else metric.replace("_f1", "-F1")


@dataclass(frozen=True)
class StudentVariant:
    """One of the students of a run: what it minimises, how many of the transfer texts it sees, its start."""

    who: Role
    objective: ObjectiveConfig
    transfer: int
    init: Initialisation | None = None  # where its weights start; None: as the run says
    untuned: bool = False  # as in RoleEntry
    unseen: str = ""  # a class that it learns no text of


def student_variants(config: DistillConfig, transfer_texts: int) -> list[StudentVariant]:
    """The distilled student first, then its controls; without those that would be the same once more.

    With alpha = 1 and no intermediate term nothing is learned from the teacher, so transfer texts stay out.
    Where the labels are the teacher's choices, nobody learns alone: the control is the student of hard
    answers, and there is none where these are all that the teacher has given, or all that is learned.
    """
    tuned = config.teacher.model != "scratch" and not config.task.knowledge
    starts_from_teacher = config.student.init in FROM_TEACHER and tuned
    if config.task.learns_choices:
        learners: tuple[Role, ...] = ("student", "hard_answers")
        asked = config.objective
        if config.task.answers == "labels" or not asked.learns_probabilities:
            learners = ("student",)
        return [StudentVariant(who, ROLES[who].objective(config.objective), 0) for who in learners]
    transfer = transfer_texts if config.objective.uses_teacher else 0
    variants: list[StudentVariant] = []
    for who in (who for who in ROLES if who in STUDENTS):
        entry = ROLES[who]
        variant = StudentVariant(
            who,
            entry.objective(config.objective),
            transfer if entry.transfer else 0,
            entry.init if entry.init != config.student.init else None,
            entry.untuned and starts_from_teacher,
        )
        same = any(replace(variant, who=other.who) == other for other in variants)
        if not entry.switch or (getattr(config.controls, entry.switch) and not same):
            variants.append(variant)
    return variants
