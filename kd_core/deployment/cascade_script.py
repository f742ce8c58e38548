"""The cascade in an export: its threshold, and a short program that uses both models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kd_core.deployment.cascade import Cascade
from kd_core.models.presets import other_network

SCRIPT = """\
# pip install transformers torch; python cascade.py "a text"
import sys
from transformers import pipeline

student = pipeline("text-classification", model="{student}")
teacher = pipeline("text-classification", model="{teacher}")
for text in sys.argv[1:]:
    answer = student(text, truncation=True)[0]
    if answer["score"] < {threshold}:  # not sure enough
        answer = teacher(text, truncation=True)[0]
    print(answer["label"], text)
"""

# Of a model that transformers does not have: it learns of it from KD Studio.
OTHER = """\
# pip install kd-studio; python cascade.py "a text"
import sys
import kd_core.models.loading  # has what transformers lacks
"""

# Of a teacher that is a file: whoever has written it is asked again.
ASK = """\
# pip install transformers torch; python cascade.py "a text"
import sys
from transformers import pipeline

student = pipeline("text-classification", model="{student}")
for text in sys.argv[1:]:
    answer = student(text, truncation=True)[0]
    sure = answer["score"] >= {threshold}  # otherwise send the text to the teacher
    print(answer["label"] if sure else "ask the teacher:", text)
"""


def script(found: Cascade, student: str, teacher: str | None, *, ours: bool = False) -> str:
    """A program that uses both models, given their folders; ``teacher`` None: it is a file of answers.

    ``ours``: as of ``has_ours``.
    """
    program = SCRIPT if teacher else ASK
    if ours:
        program = OTHER + program.partition("import sys\n")[2]
    # In full: one that is rounded may be lower than the one that was tested.
    return program.format(student=student, teacher=teacher, threshold=repr(found.threshold))


def has_ours(config: Mapping[str, Any]) -> bool:
    """Whether student or teacher of a resolved config is a model that transformers does not have."""
    pooled = config["teacher"].get("pooling") == "mean" and not config["task"].get("knowledge")
    return pooled or bool(other_network(config["student"]["model"]))


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
