"""Lessons on paper: what is in front, what behind, and that texts stay texts."""

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
def test_a_lesson_is_a_sheet_with_question_pictures_and_answer(name: str) -> None:
    lesson, known = lessons()[name], facts(name)
    front, _, back = handout(lesson).partition('<section class="back">')
    assert lesson.title in front
    assert front.count("<li>") >= len(lesson.options)
    assert ("My answer:" in front) == bool(lesson.number)
    assert back.count("<figure") >= 1
    assert "Plotly.newPlot" in back
    assert "{" not in re.sub(r"<script.*?</script>|<style.*?</style>", "", front + back, flags=re.DOTALL)
    words = re.sub(r"<script.*?</script>|<[^>]+>", " ", back, flags=re.DOTALL)
    told = f"{float(known.answer):.1f}".rstrip("0").rstrip(".") if lesson.number else str(known.answer)
    assert told.split(",")[0] in words


@pytest.mark.parametrize("name", list(lessons()))
def test_the_front_alone_has_no_answer_and_no_script(name: str) -> None:
    page = handout(lessons()[name], answers=False)
    assert "In short" not in page
    assert "<script" not in page
    assert lessons()[name].parts["Summary"][:30] not in page


def test_what_a_fact_says_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = next(lesson for lesson in lessons().values() if "{" in lesson.question)
    evil = "<script>alert(1)</script> ![](http://127.0.0.1:9/x) *"
    true = facts(lesson.name)
    words = dict.fromkeys(true.words, evil) | {
        name: true.words[name] for name in ("row",) if name in true.words
    }
    monkeypatch.setattr(room, "facts", lambda _: Facts(true.answer, words))
    page = handout(lesson, answers=False)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; ![](http://127.0.0.1:9/x) *" in page


def test_the_command_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sheets"
    assert main(["handout", "--questions", "--to", str(folder)]) == 0
    assert sorted(file.stem for file in folder.iterdir()) == [
        f"{place}-{name}" for place, name in enumerate(lessons(), start=1)
    ]
    assert main(["handout", "zebra", "--to", str(folder)]) == 2
    assert "there is no lesson zebra; choose from soft-labels" in capsys.readouterr().err


def test_a_full_disk_leaves_the_sheet_of_before(tmp_path: Path, monkeypatch, capsys) -> None:
    name = next(iter(lessons()))
    sheet = tmp_path / f"1-{name}.html"
    sheet.write_text("before", encoding="utf-8")

    def half(file: Path, content: str | bytes, **_: object) -> None:
        with file.open("wb") as written:
            written.write(b"<html>")
        raise OSError(errno.ENOSPC, "No space left on device")

    for way in ("write_text", "write_bytes"):
        monkeypatch.setattr(Path, way, half)
    assert main(["handout", name, "--questions", "--to", str(tmp_path)]) == 2
    assert f"cannot write to {tmp_path}: No space left on device" in capsys.readouterr().err
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]


def test_tables_are_tables() -> None:
    page = handout(lessons()["when-not"])
    assert "<table>" in page
    assert "| Task |" not in page
