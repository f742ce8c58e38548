"""Tests of the picture of a ladder."""

from __future__ import annotations

from kd_core.figures.ladder import kept_by_size, kept_in_words
from kd_core.search.ladder import LadderConfig, LadderResult, Rung


def test_each_student_has_a_mark_with_its_bound_and_the_smallest_is_on_top() -> None:
    rows = [
        ("tfidf", "no", 0.91, 0.88, 2.0, False),
        ("<a href=x>", "likely", 0.99, 0.96, 11.0, False),
        ("cnn", "no", 0.92, 0.885, 1.8, True),
        ("half", "shown", 1.01, 0.985, 48.0, False),
    ]
    fields = ("student", "answer", "kept", "at_least", "size_mb", "int8")
    rungs = [Rung(run_id="a", **dict(zip(fields, row, strict=True))) for row in rows]
    rungs.append(Rung(student="mini", run_id="b", answer="failed", error="no such student"))
    result = LadderResult(config=LadderConfig(keep=98), rungs=tuple(rungs))
    figure = kept_by_size(result)
    assert {(round(mark.x[0], 6), mark.y[0]) for mark in figure.data} == {(92, 0), (91, 1), (99, 2), (101, 3)}
    assert {round(mark.error_x.arrayminus[0], 6) for mark in figure.data} == {3.5, 3, 2.5}
    assert [mark.marker.symbol for mark in figure.data].count("star") == 1
    names = ["cnn, int8, 1.8 MB", "TF-IDF, 2.0 MB", "&lt;a href=x&gt;, 11.0 MB", "half, 48.0 MB"]
    assert list(figure.layout.yaxis.ticktext) == names
    assert "&lt;a href=x&gt;" in {mark.name for mark in figure.data}
    chosen, wanted = figure.layout.shapes
    assert (chosen.y0 + chosen.y1) / 2 == 3
    assert wanted.x0 == wanted.x1 == 98
    said = kept_in_words(result)
    assert said.startswith("Share of the teacher's accuracy on the validation texts, by size. ")
    assert "half 101.0 %, at least 98.5 %" in said
    by_f1 = result.model_copy(update={"metric": "f1:<b>"})
    assert kept_by_size(by_f1).layout.xaxis.title.text == "Of the teacher's F1 of &lt;b&gt;"
    assert kept_in_words(by_f1).startswith("Share of the teacher's F1 of <b> on the validation texts")
