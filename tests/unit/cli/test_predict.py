from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from kd_core.deployment import predict as prediction
from kd_core.distillation.events import OnEvent, Progress
from tests.unit.cli.conftest import RUN


@pytest.fixture
def use_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    def predict(run_id: str, texts: list[str], *, calibrated: bool, on_event: OnEvent) -> dict[str, Any]:
        sys.stdout.write("a library's remark\n")
        if len(texts) > 3:
            on_event(Progress(None, "Teacher", len(texts), 2 * len(texts)))
        read = {"tokens": 9, "read": 9, "unknown": 2}
        reading = {"teacher": read, "student": read}
        answers = {"[sport]": 0.25, "business": 0.625, "tech": 0.125}
        predictions = [{"text": t, "teacher": answers, "alone": None, "reading": reading} for t in texts]
        students = "The students are those of seed 3, the first of 2."
        return {"run_id": run_id, "students": students, "predictions": predictions}

    monkeypatch.setattr(prediction, "predict_texts", predict)


@pytest.mark.usefixtures("use_predict")
def test_answers_to_a_text(kd) -> None:
    found = kd("predict", RUN, "Shares [fall]")
    assert (found.lines[0], found.err) == ("Shares [fall]", "a library's remark\n")
    assert "Teacher business 62.5 % [sport] 25.0 %" in found.lines
    assert "Teacher, Distilled student: 2 of 9 word pieces are not in its vocabulary." in found.lines
    assert found.lines[-1] == "The students are those of seed 3, the first of 2."


@pytest.mark.usefixtures("use_predict")
def test_beginning_of_a_long_text_is_shown(kd) -> None:
    assert kd("predict", RUN, "a" * 100_000).lines[0] == "a" * 500 + "… (100,000 characters)"
    found = json.loads(kd("predict", RUN, "a" * 100_000, "--json").out)
    assert len(found["predictions"][0]["text"]) == 100_000


@pytest.mark.usefixtures("use_predict")
def test_text_that_begins_with_a_dash(kd) -> None:
    assert "Before a TEXT that begins with a dash write --." in kd("predict --help").out
    assert kd("predict", RUN, "--", "-5 degrees").lines[0] == "-5 degrees"


@pytest.mark.usefixtures("use_predict")
def test_lines_of_the_standard_input(kd, pipe) -> None:
    pipe("\ufeffUne élection\r\n\n  Zwei\n".encode())
    result = json.loads(kd(f"predict {RUN} --json").out)
    assert result["run_id"] == RUN
    assert [prediction["text"] for prediction in result["predictions"]] == ["Une élection", "Zwei"]
    pipe(b"a text\n" * 1000)
    assert "  Teacher: 1,000 of 2,000\n" in kd(f"predict {RUN} --json").err


SURROGATE = (
    "Text 1 has half of a surrogate pair, which is no character; its bytes are not UTF-8. Convert it first, "
    "for example with iconv."
)
LARGE = (
    "The standard input has 50.0 MB, more than 50 MB. Give a smaller file, for example a sample of its rows."
)
EMPTY = "There is nothing to classify: text 2 is empty. Write a few words."


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"caf\xe9\n", "The standard input is not UTF-8 (byte 3); convert it, for example with iconv."),
        (b" \n\n", "The standard input has no text; write one on each line."),
        (b"x" * 50_000_001, LARGE),
        (b"ok\n\n\n\n\0\n", "There is nothing to classify: line 5 is empty. Write a few words."),
    ],
    ids=["Latin-1", "blank", "large", "zero"],
)
def test_standard_input_without_usable_text(kd, pipe, content: bytes, problem: str) -> None:
    pipe(content)
    assert kd(f"predict {RUN}") == (2, "", f"kd: {problem}\n")


def test_terminal_is_not_waited_for(kd, pipe) -> None:
    pipe(b"", terminal=True)
    problem = 'kd: No text: write it after the run, kd predict RUN "text", or pipe lines.\n'
    assert kd(f"predict {RUN}") == (2, "", problem)


@pytest.mark.parametrize(
    ("texts", "problem"),
    [(["caf\udce9"], SURROGATE), *((["Shares fall", text], EMPTY) for text in ("", " \n\t", "\0"))],
)
def test_arguments_without_usable_text(kd, texts: list[str], problem: str) -> None:
    assert kd("predict", RUN, *texts) == (2, "", f"kd: {problem}\n")
