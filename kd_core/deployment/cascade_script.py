"""The cascade in an export: its threshold, and a short program that uses both models."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kd_core.deployment.cascade import Cascade
from kd_core.deployment.network_code import allowing
from kd_core.distillation.roles import Role

SCRIPT = """\
# pip install transformers torch; python cascade.py "a text"
import sys
from pathlib import Path
from transformers import pipeline
here = Path(__file__).resolve().parent
student = pipeline("text-classification", model=str(here / "{student}"){allow_student})
teacher = pipeline("text-classification", model=str(here / "{teacher}"){allow_teacher})
for text in sys.argv[1:]:
    answer = student(text, truncation=True)[0]
    if answer["score"] < {threshold}:  # not sure enough
        answer = teacher(text, truncation=True)[0]
    print(answer["label"], text)
"""

# Of a teacher that is a file: whoever has written it is asked again.
ASK = """\
# pip install transformers torch; python cascade.py "a text"
import sys
from pathlib import Path
from transformers import pipeline
here = Path(__file__).resolve().parent
student = pipeline("text-classification", model=str(here / "{student}"){allow_student})
for text in sys.argv[1:]:
    answer = student(text, truncation=True)[0]
    sure = answer["score"] >= {threshold}  # otherwise send the text to the teacher
    print(answer["label"] if sure else "ask the teacher:", text)
"""


def script(found: Cascade, student: str, teacher: str | None, *, code: Collection[Role] = ()) -> str:
    """A program that uses both models, given their folders; ``teacher`` None: it is a file of answers.

    ``code``: whose folder has code, as of ``network_code.with_code``.
    """
    return (SCRIPT if teacher else ASK).format(
        student=student,
        teacher=teacher,
        allow_student=allowing("student" in code),
        allow_teacher=allowing("teacher" in code),
        threshold=repr(found.threshold),  # in full: one that is rounded may be lower than what was tested
    )


def facts(found: Cascade, teacher: str | None) -> dict[str, Any]:
    """What ``cascade.json`` of an export says."""
    return {
        "threshold": found.threshold,
        "promised": found.promised,
        "judged_by": found.judge,
        "method": found.method,
        "validation_texts": found.validation_texts,
        "bound": found.bound,
        "test_texts": found.test_texts,
        "answered_by_the_student": found.answered,
        "on_the_test_texts": found.agreement,
        "held": found.held,
        "student": "model",
        "teacher": teacher,
    }
