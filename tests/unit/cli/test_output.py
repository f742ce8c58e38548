"""What is printed of a report, as tables that fit the terminal."""

from __future__ import annotations

import io
import sys

import pytest

from kd_core.cli import main, output
from kd_core.distillation.report import Report
from tests.unit.cli.scripted import REPORT, SAMPLE, FakeReport, finishes, model, use_engine

pytestmark = pytest.mark.usefixtures("own_environment")


def test_what_decides_is_the_first_number_of_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    """Also the F1 of one class, which stood in the verdict alone."""
    training = REPORT["config"]["training"]
    for metric, headings in (
        ("macro_f1", "Macro-F1 Accuracy Parameters"),
        ("f1:tech", "F1 of tech Accuracy Macro-F1 Parameters"),
    ):
        config = REPORT["config"] | {"training": training | {"metric": metric}}
        output.print_report(output.console(sys.stdout), Report.from_dict(REPORT | {"config": config}))
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip()]
        assert lines[1].startswith(headings)
    assert lines[3].startswith("Distilled student 86.7 % 89.5 % ± 1.3 88.5 %")


def test_report_as_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use_engine(monkeypatch, finishes)
    assert main(["distill"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [" ".join(line) for line in lines] == [
        "On 524 test texts. Latency p50 and p95 in ms: one text, without the tokenizer, on 1 thread.",
        "Accuracy Macro-F1 Parameters Size p50 p95",
        "Teacher 90.0 % ± 1.3 89.0 % 22.7 M 90.9 MB 1.23 1.90",
        "Distilled student 89.5 % ± 1.3 88.5 % 3.0 M 12.0 MB 1.23 1.90",
        "Student alone 84.5 % ± 1.3 83.5 % 3.0 M 12.0 MB 1.23 1.90",
        "The distilled student on each class, the rarest first.",
        "Class Test texts Precision Recall F1",
        "tech 83 86.7 % 86.7 % 86.7 %",
        "entertainment 91 91.8 % 85.7 % 88.6 %",
        "politics 101 86.0 % 85.1 % 85.6 %",
        "sports 124 86.0 % 94.4 % 90.0 %",
        "business 125 88.3 % 84.8 % 86.5 %",
        "Accuracy on the test texts, and on texts unlike the labelled ones.",
        "test typos",
        "Teacher 90.0 % 80.0 %",
        "Distilled student 89.5 % 79.5 %",
        "Student alone 84.5 % 74.5 %",
        "Distillation helped: +5.0 points.",
        "Label [bold]x[/bold] :smile: was merged.",
        "Run r1: /data/runs/r1",
    ]


def test_the_report_names_a_class_without_test_texts_and_lists_the_rarest_of_many(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    score = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3}
    scores = SAMPLE["student"]["seeds"]["0"] | {
        "per_class": [{"name": f"class {i}", **score, "support": i} for i in reversed(range(20))]
    }
    use_engine(monkeypatch, lambda *_: FakeReport(REPORT | {"student": model(0.895, seeds={"0": scores})}))
    assert main(["distill"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    first = lines.index("The distilled student on each class, the rarest first; 8 more in the report.")
    assert lines[first + 1] == "Class Test texts Precision Recall F1"
    assert lines[first + 2] == "class 0 0"  # nobody knows how well it is recognised
    assert lines[first + 3] == "class 1 1 50.0 % 25.0 % 33.3 %"
    assert lines[first + 13] == "class 11 11 50.0 % 25.0 % 33.3 %"
    assert lines[first + 14] == ""


def test_report_with_a_labelled_only_student_and_no_shifted_texts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {who: model(0.8, shifted={}) for who in ("teacher", "alone", "student", "labelled_only")}
    use_engine(monkeypatch, lambda *_: FakeReport(REPORT | models))
    assert main(["distill"]) == 0
    out = capsys.readouterr().out
    assert "\nDistilled on labelled texts only  80.0 % ± 1.3" in out
    assert "unlike the labelled" not in out


def test_a_narrow_terminal_cuts_no_number_and_no_name() -> None:
    headings = ("", "Accuracy", "Macro-F1", "Parameters", "Size", "p50", "Note")
    rows = [
        ("Teacher", "91.2 % ± 2.4", "91.0 %", "22.7 M", "90.9 MB", "8.41", None),
        ("Distilled student", "87.6 % −3.2/+2.8", "86.9 % −3.3/+2.9", "640,321", "2.6 MB", "0.45", "[new]"),
    ]

    def shown(width: int) -> list[str]:
        stream = io.StringIO()
        output.console(stream, piped=width).print(output.table(headings, rows, range(1, 6)))
        return stream.getvalue().splitlines()

    assert [line.split()[0] for line in shown(120)] == ["Accuracy", "Teacher", "Distilled"]
    narrow = shown(60)
    assert narrow[:7] == [
        "Teacher",
        "  Accuracy: 91.2 % ± 2.4",
        "  Macro-F1: 91.0 %",
        "  Parameters: 22.7 M",
        "  Size: 90.9 MB",
        "  p50: 8.41",
        "Distilled student",
    ]
    assert narrow[-1] == "  Note: [new]"
    assert "…" not in "".join(narrow)


def test_a_cell_from_right_to_left_takes_no_number_along(capsys: pytest.CaptureFixture[str]) -> None:
    output.console(sys.stdout).print(
        output.table(("Class", "F1"), [("مدنية", "70.1 %"), ("Mecca", "89.8 %")], numbers=(1,))
    )
    shown = capsys.readouterr().out
    assert "مدنية\u200e" in shown, "a mark after which all goes on from left to right"
    assert "Mecca\u200e" not in shown
    assert len({line.rindex("%") for line in shown.replace("\u200e", "").splitlines()[1:]}) == 1
