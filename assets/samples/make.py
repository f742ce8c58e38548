"""Makes the sample files of a teacher's answers: python assets/samples/make.py.

The messages are made up from parts; their gold class is the one that the parts are about. The answers are
those of TF-IDF with logistic regression on other messages, so that they err where messages are unclear.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np

from kd_core.distillation.metrics import softmax
from kd_core.models.baselines import TfidfBaseline

PLACE = Path(__file__).parent
PARTS = {
    "billing": (
        "the invoice for May|my last payment|the refund you promised|a second charge|the yearly "
        "price|my receipt",
        "is missing|is wrong by ten euros|came twice|has not arrived on my account|was never asked for",
    ),
    "delivery": (
        "my parcel|the courier|the order from Monday|the tracking page|the box with the lamp|the shipment",
        "is three days late|went to a neighbour|came damaged|has not moved since Tuesday|is lost",
    ),
    "technical": (
        "the app|the login page|the printer driver|the export button|the search|the new update",
        "crashes on start|shows a blank screen|does nothing|asks for my password again|is slow since "
        "yesterday",
    ),
}
UNCLEAR = (
    "it still is not right|nobody has answered me|this is the second time that I write|please call me back"
)
OPENINGS = "Hello, |Good morning, |Excuse me: |Please help: |Once more: ||"
ENDINGS = ".| and I need it today.|. What can I do?|. Thank you!| again."


def messages(seed: int, count: int, rare: bool = False) -> list[tuple[str, str]]:
    """Different messages with their class; with ``rare``, one in twenty is technical."""
    pick, made = random.Random(seed), dict[str, str]()
    names = list(PARTS)
    while len(made) < count:
        name = pick.choices(names, (10, 9, 1) if rare else (1, 1, 1))[0]
        subject, verb = (pick.choice(part.split("|")) for part in PARTS[name])
        middle = f"{subject} {verb}"
        if pick.random() < 0.25:
            other = pick.choice(PARTS[pick.choice(names)][0].split("|"))
            middle = f"about {other}: {pick.choice(UNCLEAR.split('|'))}"
        text = pick.choice(OPENINGS.split("|")) + middle + pick.choice(ENDINGS.split("|"))
        made.setdefault(text[0].upper() + text[1:], name)
    return list(made.items())


def write(name: str, header: list[str], rows: list[list[str]]) -> None:
    with (PLACE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    names = list(PARTS)
    learned = messages(1, 120)
    teacher = TfidfBaseline.fit([t for t, _ in learned], [names.index(n) for _, n in learned], len(names))
    asked = messages(2, 300)
    shares = softmax(teacher.logits([text for text, _ in asked]), 1.5)
    written = [[f"{share:.3f}" for share in row] for row in shares]
    texts = [text for text, _ in asked]
    write(
        "answers-probabilities.csv",
        ["text", *names],
        [[text, *row] for text, row in zip(texts, written, strict=True)],
    )
    write(
        "answers-some-gold.csv",
        ["text", "gold", *(f"prob_{name}" for name in names)],
        [[text, gold if i < 120 else "", *written[i]] for i, (text, gold) in enumerate(asked)],
    )
    write(
        "answers-labels.csv",
        ["text", "answer"],
        [[text, names[place]] for text, place in zip(texts, np.argmax(shares, axis=1), strict=True)],
    )
    write("rare-class.csv", ["text", "label"], [[text, name] for text, name in messages(3, 240, rare=True)])


if __name__ == "__main__":
    main()
