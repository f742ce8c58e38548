"""Tests of lessons on paper."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from kd_core.cli import main
from kd_core.figures import handout as room
from kd_core.figures.handout import handout
from kd_core.learn.facts import Facts, facts
from kd_core.learn.lessons import lessons


@pytest.mark.parametrize("name", list(lessons()))
def test_sheet_has_the_question_in_front_and_the_answer_behind(name: str) -> None:
    lesson, known = lessons()[name], facts(name)
    page = handout(lesson)
    front, _, back = page.partition('<section class="back">')
    assert lesson.title in front
    assert front.count("<li>") >= len(lesson.options)
    assert ("My answer:" in front) == bool(lesson.number)
    assert "<figure" in back
    assert "Plotly.newPlot" in back
    words = re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert "{" not in words
    assert "| Task |" not in page
    assert "<table>" in page or name != "when-not"
    told = f"{float(known.answer):.1f}".rstrip("0").rstrip(".") if lesson.number else str(known.answer)
    assert told.split(",")[0] in words

    alone = handout(lesson, answers=False)
    for answer in ("In short", "<script", lesson.parts["Summary"][:30]):
        assert answer not in alone


def test_words_of_a_fact_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = next(lesson for lesson in lessons().values() if "{" in lesson.question)
    evil = "<script>alert(1)</script> ![](http://127.0.0.1:9/x) *"
    true = facts(lesson.name)
    words = {name: word if name == "row" else evil for name, word in true.words.items()}
    monkeypatch.setattr(room, "facts", lambda _: Facts(true.answer, words))
    page = handout(lesson, answers=False)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; ![](http://127.0.0.1:9/x) *" in page


def test_command_writes_all_sheets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sheets"
    assert main(["handout", "--questions", "--to", str(folder)]) == 0
    names = [f"{place}-{name}" for place, name in enumerate(lessons(), start=1)]
    assert sorted(file.stem for file in folder.iterdir()) == names
    assert main(["handout", "zebra", "--to", str(folder)]) == 2
    assert "there is no lesson zebra; choose from soft-labels" in capsys.readouterr().err


def test_full_disk_leaves_the_sheet_of_before(tmp_path: Path, monkeypatch, capsys) -> None:
    name = next(iter(lessons()))
    (tmp_path / f"1-{name}.html").write_text("before", encoding="utf-8")

    def half(file: Path, content: str | bytes, **_: object) -> None:
        with file.open("wb") as written:
            written.write(b"<html>")
        raise OSError(errno.ENOSPC, "No space left on device")

    for way in ("write_text", "write_bytes"):
        monkeypatch.setattr(Path, way, half)
    assert main(["handout", name, "--questions", "--to", str(tmp_path)]) == 2
    assert f"cannot write to {tmp_path}: No space left on device" in capsys.readouterr().err
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]
