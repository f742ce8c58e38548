"""A lesson as a page to print: question and tasks on the front, finds and answer on the back.

One HTML file that needs nothing else: no network, no other file. No torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment
from markdown_it import MarkdownIt
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from kd_core.config import LESSON, TEMPERATURE
from kd_core.distillation.metrics import softmax
from kd_core.figures.choosing import flattered, folds
from kd_core.figures.html_report import embedded
from kd_core.figures.lab import class_similarity, gradient_bars, two_answers
from kd_core.figures.lab_runs import size_grid, transfer_curve
from kd_core.figures.replay import replay_map
from kd_core.learn.anatomy import anatomy
from kd_core.learn.choosing import best_of
from kd_core.learn.examples import shipped
from kd_core.learn.facts import Facts, facts
from kd_core.learn.lab_results import size_table, transfer_table, worse_than_best
from kd_core.learn.lessons import LabUse, Lesson
from kd_core.learn.recorded import recorded_lab, recorded_replay

TEMPLATE = Path(__file__).with_suffix(".html")
HEIGHT = 250  # pixels
Figures = list[go.Figure]
_MARKUP = re.compile(r"[\\`*_\[\]<>&#|~]")


def handout(lesson: Lesson, *, answers: bool = True) -> str:
    """The HTML; without ``answers`` the front side alone. Raises: DataError without the headlines' corpus."""
    known = facts(lesson.name)
    pictures = [figure for lab in lesson.labs for figure in _pictures(lab, known)] if answers else []
    for picture in pictures:  # else it would take the room of the words
        picture.update_layout(height=min(picture.layout.height, HEIGHT))
    template = Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE.read_text("utf-8"))
    return template.render(
        title=lesson.title,
        about=lesson.about,
        minutes=lesson.minutes,
        before=_rendered(lesson.parts["Before"], known),
        question=_rendered(lesson.question, known),
        options=[known.fill(option) for option in lesson.options],
        unit=lesson.number.unit if lesson.number else "",
        number=lesson.place,
        tasks=[_rendered(lesson.parts[part], known) for part in lesson.lab_parts],
        found=[_rendered(lesson.parts[part], known) for part in lesson.found_parts],
        answers=answers,
        pictures=[embedded(figure, static=True) for figure in pictures],
        alts=[figure.layout.title.text for figure in pictures],
        reveal=_rendered(lesson.parts["Reveal"], known),
        summary=_rendered(lesson.parts["Summary"], known),
        plotly_js=Markup(get_plotlyjs()) if answers else "",
    )


def _rendered(text: str, known: Facts) -> Markup:
    """Markdown of a lesson as HTML; HTML in it, and markup in its facts, is text."""
    filled = known.fill(text, lambda value: _MARKUP.sub(lambda found: f"&#{ord(found[0])};", str(value)))
    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").render(filled))


def _pictures(lab: LabUse, known: Facts) -> Figures:
    """What the lab shows with the lesson's settings."""
    settings = {name: known.fill(str(value)) for name, value in lab.settings.items()}
    draw = PICTURES.get(lab.name)
    return draw(settings) if draw else []


def _temperature(settings: dict[str, str]) -> Figures:
    examples, t = shipped(), float(settings.get("temperature", 1))
    if "text" not in settings:
        return [class_similarity(examples.similarity(1.0).tolist(), examples.labels)]
    row = int(settings["text"])
    logits = examples.logits["teacher"][row]
    return [
        two_answers(
            softmax(logits, each),
            softmax(examples.logits["student"][row], each),
            examples.labels,
            title=f"The answer at T = {each:g}",
        )
        for each in (t, 8.0)
    ]


def _loss(settings: dict[str, str]) -> Figures:
    examples, default = shipped(), LESSON.objective
    row = int(settings.get("text", examples.undecided))
    teacher = examples.logits["teacher"][row]
    student = examples.logits["alone"][row]
    if settings.get("student", "").startswith("Untrained"):
        student = 0 * teacher
    alpha = float(settings.get("alpha", default.alpha))
    numbers = anatomy(
        student,
        teacher,
        int(examples.truth[row]),
        divergence=default.divergence,
        temperature=float(settings.get("temperature", TEMPERATURE)),
        alpha=alpha,
    )
    title = f"Where the loss pushes the student's logits, alpha = {alpha:g}"
    pushes = alpha * numbers.hard_gradient, (1 - alpha) * numbers.soft_gradient
    return [gradient_bars(*pushes, examples.labels, title=title)]


def _transfer(_: dict[str, str]) -> Figures:
    report = recorded_lab("transfer")
    return [transfer_curve(transfer_table(report), report["teacher"]["accuracy"])]


def _size(_: dict[str, str]) -> Figures:
    report = recorded_lab("size")
    grid, worse = size_table(report), worse_than_best(report)
    places = zip(grid["layers"], grid["hidden"], strict=True)
    return [size_grid(grid, "accuracy", worse={place: place in worse for place in places})]


def _choosing(_: dict[str, str]) -> Figures:
    seen, unseen = best_of(recorded_lab("size"))
    return [flattered(seen.tolist(), unseen.tolist(), len(seen)), folds(5)]  # on which the lesson's lab ends


def _replay(_: dict[str, str]) -> Figures:
    replay = recorded_replay()
    return [replay_map(replay, len(replay.steps) - 1)]


PICTURES: dict[str, Callable[[dict[str, str]], Figures]] = {
    "temperature": _temperature,
    "loss": _loss,
    "transfer": _transfer,
    "size": _size,
    "replay": _replay,
    "choosing": _choosing,
}
