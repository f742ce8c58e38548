"""The models of a finished run on new texts: answers, the time they take, and which words mattered."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_core.data.words import WORD
from kd_core.distillation import run_folder
from kd_core.distillation.calibration import temperature_of
from kd_core.distillation.events import OnEvent, Progress, ignore
from kd_core.distillation.metrics import softmax
from kd_core.distillation.report import Report
from kd_core.distillation.roles import NAMES, Role
from kd_core.errors import DataError
from kd_core.system.formatting import in_sentence

if TYPE_CHECKING:  # torch comes with it
    from kd_core.deployment.forms import OpenForm

MAX_CHARACTERS = 20_000  # more than any model reads, and what a tokenizer does at once
MAX_WORDS = 60
WARM_UP, FEWEST, REPEATS = 2, 3, 15  # times that a text is asked: not counted; counted, at least and at most
ENOUGH = 0.3  # seconds for a model
BATCH = 32


@dataclass(frozen=True)
class Reading:
    """What a model sees of a text: ``read`` of its ``tokens``, of which it does not know ``unknown``."""

    tokens: int
    read: int
    unknown: int

    @property
    def doubts(self) -> list[str]:
        """What makes its answer doubtful, in sentences."""
        found = []
        if self.read < self.tokens:
            found.append(
                f"Of {self.tokens:,} word pieces the first {self.read:,} are read; what comes after them is "
                "cut off."
            )
        if self.unknown:
            little = ", so its answer says little" if self.unknown > self.read / 2 else ""
            are = "is" if self.unknown == 1 else "are"
            found.append(
                f"{self.unknown:,} of {self.read:,} word pieces {are} not in its vocabulary{little}."
            )
        return found


@dataclass(frozen=True)
class Answer:
    """One model on one text.

    ``milliseconds`` is the median time from the text to the probabilities, alone in its batch.
    """

    who: Role
    probabilities: dict[str, float]
    milliseconds: float
    reading: Reading

    def divided(self, temperature: float) -> Answer:
        """The answer with all logits divided by that: the same label, surer or less sure."""
        logs = np.log(np.maximum(list(self.probabilities.values()), np.finfo(np.float64).tiny))
        shares = softmax(logs, temperature).tolist()
        return replace(self, probabilities=dict(zip(self.probabilities, shares, strict=True)))

    @property
    def label(self) -> str:
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def sure(self) -> float:
        return self.probabilities[self.label]


def open_models(run_id: str) -> dict[Role, OpenForm]:
    """Teacher, distilled student and student alone (first seed) in PyTorch. Raises: RunError.

    Without a teacher that is a file; where nobody learned alone, with the student of hard answers.
    """
    from kd_core.deployment.forms import open_form

    report = Report.read(run_folder.find(run_id))
    return {who: open_form(run_id, who, "pytorch") for who in report.answering}


def temperatures(run_id: str) -> dict[Role, float]:
    """For each model the T for which softmax(logits / T) fits the validation texts best. Raises: RunError."""
    folder = run_folder.find(run_id)
    report = Report.read(folder)
    return {who: temperature_of(folder, report, who) for who in report.answering}


def predict_texts(
    run_id: str, texts: Sequence[str], *, calibrated: bool = False, on_event: OnEvent = ignore
) -> dict[str, Any]:
    """Of each text each model's probabilities, float32, and its ``Reading``. ``calibrated``: by temperature.

    ``students`` is a sentence where a run has several seeds, else "".

    Raises: RunError where the run or its teacher is missing or was changed on disk, DataError.
    """
    texts = [checked(text, f"text {number:,}") for number, text in enumerate(texts, start=1)]
    models = open_models(run_id)
    divisors = temperatures(run_id) if calibrated else dict.fromkeys(models, 1.0)
    answers: list[dict[str, Any]] = [{"text": text, "reading": {}} for text in texts]
    for place, (who, model) in enumerate(models.items()):

        def tell(done: int, who: Role = who, before: int = place * len(texts)) -> None:
            on_event(Progress(None, NAMES[who], before + done, len(models) * len(texts)))

        tell(0)  # the texts are split into pieces first, which takes a while too
        rows = softmax(model.predict(_cut(texts), BATCH, on_rows=tell), divisors[who])
        for answer, row, reading in zip(answers, rows, readings(model, _cut(texts)), strict=True):
            answer[who] = dict(zip(model.labels, row.tolist(), strict=True))
            answer["reading"][who] = asdict(reading)
    students = Report.read(run_folder.find(run_id)).whose_students
    return {"run_id": run_id, "students": students, "predictions": answers}


def readings(model: OpenForm, texts: Sequence[str]) -> list[Reading]:
    """Of each text."""
    special = model.tokenizer.num_special_tokens_to_add()
    found = []
    for text, ids in zip(texts, model.encode(list(texts)), strict=True):
        whole = model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        read = len(ids) - special
        found.append(Reading(len(whole), read, whole[:read].count(model.tokenizer.unk_token_id)))
    return found


def checked(text: str, which: str = "the text") -> str:
    """The text, if it is one that a model can read. Raises: DataError."""
    if not text.replace("\0", "").strip():
        raise DataError(f"There is nothing to classify: {which} is empty. Write a few words.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError(
            f"{which.capitalize()} has half of a surrogate pair, which is no character; its bytes are not "
            "UTF-8. Convert it first, for example with iconv."
        )
    return text


def answers(models: Mapping[Role, OpenForm], text: str) -> list[Answer]:
    """The probabilities of each model, and how long they take: the median of some repeats.

    The models take turns, after some that warm them up, so that what else the machine does holds all of them
    up alike: two of the same architecture take the same time.
    """
    [text] = _cut([text])
    seconds: dict[Role, list[float]] = {who: [] for who in models}
    logits: dict[Role, NDArray[np.float32]] = {}
    rounds, begun = 0, time.perf_counter()
    while rounds < WARM_UP + FEWEST or (
        rounds < WARM_UP + REPEATS and time.perf_counter() - begun < ENOUGH * len(models)
    ):
        for who, model in models.items():
            start = time.perf_counter()
            logits[who] = model.logits(model.encode([text]))
            seconds[who].append(time.perf_counter() - start)
        rounds += 1
    found = []
    for who, model in models.items():
        found.append(
            Answer(
                who=who,
                probabilities=dict(zip(model.labels, softmax(logits[who])[0].tolist(), strict=True)),
                milliseconds=1000 * statistics.median(seconds[who][WARM_UP:]),
                reading=readings(model, [text])[0],
            )
        )
    return found


def words_of(text: str) -> list[tuple[int, int]]:
    """Where the first ``MAX_WORDS`` words begin and end (``data.words``: in Chinese or Thai, characters)."""
    return [match.span() for match in islice(WORD.finditer(text), MAX_WORDS)]


def effects(
    model: OpenForm,
    text: str,
    spans: Sequence[tuple[int, int]],
    on_rows: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """How much each word raises the probability of the model's answer: p(text) - p(text without it).

    Occlusion (Zeiler and Fergus 2014), by leaving the word out: a mask token would mean something to a model
    that was pre-trained with it, and nothing to one that was not. Shape (spans,); 0 beyond what is read.
    """
    end = _end_of_reading(model, text)
    text = text[:end]  # what comes behind must not move up into the place of what is left out
    seen = [span for span in spans if span[0] < end]
    without = [text[:first] + " " + text[last:] for first, last in seen]
    probabilities = softmax(model.predict([text, *without], BATCH, on_rows=on_rows))
    whole = probabilities[0].argmax()
    result = np.zeros(len(spans))
    result[: len(seen)] = probabilities[0, whole] - probabilities[1:, whole]
    return result


def largest_agreement(answers: Mapping[Role, str]) -> list[Role]:
    """The most models that say the same, the teacher's side where there is no majority."""
    return max(([who for who in answers if answers[who] == answer] for answer in answers.values()), key=len)


def agreement(answers: Mapping[Role, str]) -> str:
    """Who says the same: "All three", "Teacher and distilled student", ..., "None"."""
    same = [NAMES[who] for who in largest_agreement(answers)]
    if len(same) == len(answers) > 2:
        return "All three"
    return f"{same[0]} and {in_sentence(same[1])}" if len(same) > 1 else "None"


def agreement_sentence(answers: Mapping[Role, str]) -> str:
    """The same as a sentence: "Teacher and distilled student say sport; the student alone says tech."."""
    same = largest_agreement(answers)
    others = [
        f"the {in_sentence(NAMES[who])} says {answer}" for who, answer in answers.items() if who not in same
    ]
    if len(answers) == 1:  # the teacher is a file, and has given labels alone
        return f"{NAMES[same[0]]}: {answers[same[0]]}."
    if len(same) == 1 and "teacher" not in answers:
        return f"{NAMES[same[0]]}: {answers[same[0]]}; {'; '.join(others)}."
    if len(same) == 1:
        return f"Each says something else: the teacher says {answers[same[0]]}, {', '.join(others)}."
    return "; ".join([f"{agreement(answers)} say {answers[same[0]]}", *others]) + "."


def answers_table(
    labels: Sequence[str],
    texts: Sequence[str],
    logits: Mapping[Role, NDArray[np.floating[Any]]],
    truth: Sequence[str] | None = None,
) -> pd.DataFrame:
    """A row for each text: what each model says, how sure it is (in percent), and who agrees.

    Columns: text, label (where there is ``truth``), then e.g. teacher and teacher_sure, and, of several
    models, agreement.
    """
    names = np.array(labels)
    table: dict[str, Any] = {"text": list(texts)} | ({} if truth is None else {"label": list(truth)})
    for who, outputs in logits.items():
        table |= {who: names[outputs.argmax(axis=1)], f"{who}_sure": 100 * softmax(outputs).max(axis=1)}
    if len(logits) > 1:
        rows = zip(*(table[who] for who in logits), strict=True)
        table["agreement"] = [agreement(dict(zip(logits, row, strict=True))) for row in rows]
    return pd.DataFrame(table)


def _end_of_reading(model: OpenForm, text: str) -> int:
    """The place behind the last character that the model reads."""
    offsets = model.tokenizer(
        text, truncation=True, max_length=model.max_length, return_offsets_mapping=True
    )["offset_mapping"]
    return max((last for _, last in offsets), default=0)


def _cut(texts: Sequence[str]) -> list[str]:
    return [text[:MAX_CHARACTERS] for text in texts]
