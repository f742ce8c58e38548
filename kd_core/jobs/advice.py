"""The config doctor: what is doubtful about a run, said before it starts, each with what to do.

A note is no error: the run works, but may not show what the person thinks. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kd_core.config import FEW_TEMPERATURE, LOW_TEMPERATURE, TEMPERATURE
from kd_core.data.words import FOREIGN, MANY_CUT
from kd_core.jobs.plan import Plan
from kd_core.system import formatting
from kd_core.system.settings import fixed

LONG = 30 * 60  # seconds
WIDE = 512  # hidden size from which a learning rate of the small ones is too much
HIGH_RATE = 3e-4
OFTEN_UNKNOWN = 0.4  # of the validation and test texts
SHORT = 64  # mean tokens up to which one unknown piece is much of a text
UNREAD = 0.1  # of the tokens; emoji alone are less
FEW_TEXTS = 100
FEW_PER_CLASS = 20

Level = Literal["warning", "hint"]


@dataclass(frozen=True)
class Advice:
    """``warning``: the result will mislead or disappoint. ``hint``: good to know."""

    level: Level
    text: str  # what, and what to do
    change: tuple[str, float] | None = None  # the setting that does it, and its value


def examine(plan: Plan, seconds: float | None = None) -> list[Advice]:
    """Warnings first; ``seconds`` is what the run is expected to take."""
    notes = [*_objective(plan), *_data(plan), *_models(plan), *_training(plan)]
    if seconds is not None and seconds > LONG:
        notes.append(
            Advice(
                "warning",
                f"This takes {formatting.duration(seconds)} here. Fewer steps, fewer seeds or a smaller "
                "model make it shorter; you can stop it at any time and resume it later.",
            )
        )
    return sorted(notes, key=lambda note: note.level == "hint")


def _objective(plan: Plan) -> Iterator[Advice]:
    objective, choices = plan.config.objective, plan.config.task.learns_choices
    if choices and not objective.uses_teacher:
        yield Advice(
            "warning",
            "Alpha is 1: the student learns the teacher's choices alone, as the one that it is compared with "
            "does. Move alpha towards the teacher to learn its probabilities too.",
        )
    elif not objective.uses_teacher:
        yield Advice(
            "warning",
            "Alpha is 1: the teacher is ignored, and so is the temperature. The student will equal the "
            "student alone; move alpha towards the teacher to distill.",
        )
    elif objective.alpha == 1:
        yield Advice(
            "hint",
            "Alpha is 1: only the intermediate terms teach, and the temperature has no effect. Lower "
            "alpha to learn from the teacher's answers too.",
        )
    elif objective.alpha == 0 and not choices:
        yield Advice(
            "hint",
            "Alpha is 0: the labels are ignored, so the student copies the teacher's mistakes too. 0.3 "
            "to 0.6 corrects them where a label says otherwise.",
        )
    if objective.alpha < 1 and not objective.has_temperature:
        yield Advice(
            "hint",
            f"Temperature does nothing with {objective.divergence}: it takes the logits as they are. "
            "Choose forward_kl to see its effect.",
        )
    softened, temperature = objective.alpha < 1 and objective.has_temperature, fixed(objective.temperature)
    if softened and temperature > 10:
        yield Advice(
            "hint",
            f"At T = {temperature:g} the teacher's answers are nearly equal for all classes. 2 to 8 is "
            "usual.",
        )
    if softened and plan.usual_temperature == LOW_TEMPERATURE < temperature:
        yield Advice(
            "warning",
            f"A class is rare here, and at T = {temperature:g} a student may forget it: on five such tasks, "
            f"T = 4 cost 0.5 to 13 points of macro-F1. Set the temperature to {LOW_TEMPERATURE:g}.",
            ("objective.temperature", LOW_TEMPERATURE),
        )
    if softened and plan.usual_temperature == TEMPERATURE and temperature == FEW_TEMPERATURE:
        yield Advice(
            "hint",
            f"On two other tasks, with 77 classes, T = {TEMPERATURE:g} was 0.4 and 1.3 points better "
            f"than T = {FEW_TEMPERATURE:g}. Set the temperature to {TEMPERATURE:g}.",
            ("objective.temperature", TEMPERATURE),
        )
    if softened and not objective.t_squared and temperature > 1:
        yield Advice(
            "warning",
            f"Without the factor T², the soft loss counts up to {temperature**2:,.0f} times less "
            f"at T = {temperature:g}. Switch the factor on, or lower alpha.",
        )
    if objective.needs_teacher_online:
        yield Advice(
            "hint",
            "Intermediate terms need the teacher at every step, which is several times slower than its "
            "recorded answers, and a student with the teacher's tokenizer. Set their weights to 0 to "
            "be quick.",
        )


def _data(plan: Plan) -> Iterator[Advice]:
    rows, objective = plan.rows, plan.config.objective
    yield from (Advice("hint", text) for text in plan.of_classes)
    file = plan.config.task.knowledge
    if plan.classes == 2 and objective.alpha < 1 and plan.config.task.answers != "labels":
        more = "" if plan.unlabelled or file else ", and use a transfer set"
        yield Advice(
            "hint",
            "Two classes carry little dark knowledge: the teacher says one number for each text. "
            f"Expect a smaller gain{more}.",
        )
    if objective.uses_teacher and not plan.unlabelled and not file:
        yield Advice(
            "hint",
            "There is no transfer set, and from the labelled texts and spans of them a student learns little "
            "more from its teacher than by itself. Give unlabelled texts of the same kind, for the teacher "
            "to label: as a file, or as rows without a label.",
        )
    if rows["train"] < FEW_PER_CLASS * plan.classes:
        who = "student may learn little" if file else "teacher may learn little worth copying"
        yield Advice(
            "warning",
            f"{rows['train']:,} training texts for {plan.classes} classes are few: the {who}. "
            f"Aim for {FEW_PER_CLASS} a class or more.",
        )
    if rows["validation"] < FEW_TEXTS:
        yield Advice(
            "hint",
            f"Only {rows['validation']:,} validation texts choose the best weights, so the choice is "
            f"partly luck. {FEW_TEXTS} or more, or several seeds, make it firmer.",
        )
    if rows["test"] < FEW_TEXTS:
        yield Advice(
            "hint",
            f"Only {rows['test']:,} test texts decide: the interval will be wide, and few differences "
            "will be told from chance. Use a larger test file, or several seeds.",
        )
    if plan.too_long > MANY_CUT:
        yield Advice(
            "warning",
            f"{formatting.percent(plan.too_long, 0)} of the training texts have more than "
            f"{fixed(plan.config.task.max_length)} tokens and lose their end. Raise the tokens kept of "
            "each text if what matters stands late; it takes longer.",
        )


def _models(plan: Plan) -> Iterator[Advice]:
    teacher, student = plan.teacher, plan.student
    distilled, file = plan.config.objective.uses_teacher, plan.config.task.knowledge
    if file:  # how large the model was that answered, nobody knows
        pass
    elif student.params > teacher.params:
        yield Advice(
            "warning",
            f"The student is larger than the teacher ({formatting.count(student.params)} against "
            f"{formatting.count(teacher.params)} parameters): nothing is compressed. "
            "Choose a smaller student.",
        )
    elif student.flops_per_token >= teacher.flops_per_token:
        yield Advice(
            "warning",
            "The student computes as much for each text as the teacher, so it will be no faster. "
            "Choose fewer or narrower layers.",
        )
    reader = "The model that lends the student its tokenizer" if file else "The teacher"
    if plan.unread > UNREAD:
        yield Advice(
            "warning",
            f"{reader} cannot read {formatting.percent(plan.unread, 0)} of what the validation and test "
            "texts are made of: it was made for another language. Choose one for theirs; e5-small, with the "
            "extra zh, knows 100.",
        )
    elif plan.pieces_a_word > FOREIGN:
        yield Advice(
            "warning",
            f"{reader} cuts a word of these texts into {plan.pieces_a_word:.1f} pieces on the mean; one "
            "that was made for their language has 1.0 to 1.3. Choose one for theirs; e5-small, with the "
            "extra zh, knows 100.",
        )
    if plan.unknown > OFTEN_UNKNOWN and plan.tokens["train"] <= SHORT:
        yield Advice(
            "warning",
            f"{formatting.percent(plan.unknown, 0)} of the validation and test texts hold a word piece that "
            "the student lacks, so it reads them in fragments. Give it more of them (“Word pieces, at "
            "least” in the advanced settings, --student-fill-vocabulary), or a transfer set with such words.",
        )
    init = plan.config.student.init
    if distilled and init == "random" and not plan.unlabelled:
        yield Advice(
            "warning",
            "The student starts from nothing and there is no transfer set: the labelled texts alone "
            "teach it little. Add a transfer set, or start from the teacher.",
        )
    elif distilled and init in ("teacher_layers", "pretrained"):
        yield Advice(
            "hint",
            "The student starts from trained layers, so it does well on its own too. The gain of "
            "distillation is often too small to tell from chance; tiny shows a larger one.",
        )


def _training(plan: Plan) -> Iterator[Advice]:
    training, teacher = plan.config.training, plan.config.teacher
    rate, steps = fixed(training.learning_rate), fixed(training.steps)
    if plan.student.hidden >= WIDE and rate > HIGH_RATE:
        yield Advice(
            "warning",
            f"A learning rate of {rate:g} is high for a student {plan.student.hidden} wide and may make "
            "its loss jump. Try 1e-4.",
        )
    taught = not plan.config.task.knowledge
    if taught and plan.teacher.layers >= 12 and fixed(teacher.learning_rate) > 1e-4:
        yield Advice(
            "warning",
            f"A learning rate of {fixed(teacher.learning_rate):g} is high for a teacher of "
            f"{plan.teacher.layers} layers and may undo what it knows. Try 3e-5.",
        )
    seen, labelled = steps * training.batch_size, plan.rows["train"]
    if seen < labelled:
        yield Advice(
            "warning",
            f"{steps:,} steps show the student only {seen:,} of the {labelled:,} labelled texts. More "
            "steps, or larger batches, let it see all of them.",
        )
    if teacher.model == "scratch":
        yield Advice(
            "hint",
            "A teacher from scratch knows only this task's texts and is usually worse than a "
            "pre-trained one. minilm-l6 is a stronger teacher.",
        )
