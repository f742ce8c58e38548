"""``kd predict``: which texts it takes, and what it says of them."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from kd_core.cli import main
from kd_core.deployment import predict as prediction
from kd_core.distillation.events import OnEvent, Progress
from tests.unit.cli.scripted import RUN, pipe

pytestmark = pytest.mark.usefixtures("own_environment")


def use_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    def predict(run_id: str, texts: list[str], *, calibrated: bool, on_event: OnEvent) -> dict[str, Any]:
        sys.stdout.write("a library's remark\n")
        read = {"tokens": 9, "read": 9, "unknown": 2}
        probabilities = {"[sport]": 0.25, "business": 0.625, "tech": 0.125}
        return {
            "run_id": run_id,
            "students": "The students are those of seed 3, the first of 2.",
            "predictions": [
                {
                    "text": t,
                    "teacher": probabilities,
                    "alone": None,
                    "reading": {"teacher": read, "student": read},
                }
                for t in texts
            ],
        }

    monkeypatch.setattr(prediction, "predict_texts", predict)


def test_predict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use_predict(monkeypatch)
    assert main(["predict", RUN, "Shares [fall]"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "Shares [fall]"
    answer = " ".join(captured.out.splitlines()[2].split())
    assert answer == "Teacher business 62.5 % [sport] 25.0 %"
    doubt = "Teacher, Distilled student: 2 of 9 word pieces are not in its vocabulary."
    assert captured.out.splitlines()[3] == doubt
    assert captured.out.splitlines()[-1] == "The students are those of seed 3, the first of 2."
    assert captured.err == "a library's remark\n"


def test_predict_shows_the_beginning_of_a_long_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_predict(monkeypatch)
    assert main(["predict", RUN, "a" * 100_000]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "a" * 500 + "… (100,000 characters)"
    assert main(["predict", RUN, "a" * 100_000, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["predictions"][0]["text"]) == 100_000


def test_predict_a_text_that_begins_with_a_dash(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_predict(monkeypatch)
    assert main(["predict", "--help"]) == 0
    assert "Before a TEXT that begins with a dash write --." in capsys.readouterr().out
    assert main(["predict", RUN, "--", "-5 degrees"]) == 0
    assert capsys.readouterr().out.startswith("-5 degrees\n")


def test_predict_says_how_far_it_is_with_many_texts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def predict(run_id: str, texts: list[str], *, calibrated: bool, on_event: OnEvent) -> dict[str, Any]:
        on_event(Progress(None, "Teacher", len(texts), 2 * len(texts)))
        return {"run_id": run_id, "students": "", "predictions": []}

    monkeypatch.setattr(prediction, "predict_texts", predict)
    pipe(monkeypatch, b"a text\n" * 1000)
    assert main(["predict", RUN, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "  Teacher: 1,000 of 2,000\n"
    assert json.loads(captured.out)["predictions"] == []
    assert main(["predict", RUN, "one text"]) == 0
    assert capsys.readouterr().err == ""


def test_predict_reads_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use_predict(monkeypatch)
    pipe(monkeypatch, "\ufeffUne élection\r\n\n  Zwei\n".encode())
    assert main(["predict", RUN, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["run_id"] == RUN
    assert [prediction["text"] for prediction in result["predictions"]] == ["Une élection", "Zwei"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9\n", "The standard input is not UTF-8 (byte 3); convert it, for example with iconv."),
        (b" \n\n", "The standard input has no text; write one on each line."),
        (
            b"x" * 50_000_001,
            "The standard input has 50.0 MB, more than 50 MB. Give a smaller file, for example a sample of "
            "its rows.",
        ),
    ],
    ids=["Latin-1", "blank", "without an end"],
)
def test_predict_without_usable_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    pipe(monkeypatch, content)
    assert main(["predict", RUN]) == 2
    assert capsys.readouterr().err == f"kd: {message}\n"


def test_predict_does_not_wait_for_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, b"", terminal=True)
    assert main(["predict", RUN]) == 2
    assert (
        capsys.readouterr().err
        == 'kd: No text: write it after the run, kd predict RUN "text", or pipe lines.\n'
    )


def test_predict_refuses_undecodable_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", RUN, "caf\udce9"]) == 2
    assert capsys.readouterr().err == (
        "kd: Text 1 has half of a surrogate pair, which is no character; its bytes are not UTF-8. Convert it "
        "first, for example with iconv.\n"
    )


def test_predict_names_the_line_of_the_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ok\n\n\n\n\0\n")))
    assert main(["predict", RUN]) == 2
    assert "line 5 is empty" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", " \n\t", "\0"])
def test_predict_refuses_an_empty_text(capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert main(["predict", RUN, "Shares fall", text]) == 2
    assert capsys.readouterr().err == (
        "kd: There is nothing to classify: text 2 is empty. Write a few words.\n"
    )
