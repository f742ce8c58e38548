"""Tests of the picture of a ladder."""

from __future__ import annotations

from kd_core.figures.ladder import kept_by_size, kept_in_words
from kd_core.search.ladder import LadderConfig, LadderResult, Rung


def rung(student: str, answer: str, kept: float, at_least: float, size_mb: float, **more) -> Rung:
    scores = {"kept": kept, "at_least": at_least, "size_mb": size_mb}
    return Rung(student=student, run_id="a", answer=answer, **scores, **more)


def test_each_student_has_a_mark_with_its_bound() -> None:
    rungs = (
        rung("tfidf", "no", 0.91, 0.88, 0.5),
        rung("tiny", "likely", 0.99, 0.96, 11.0),
        Rung(student="mini", run_id="b", answer="failed", error="no such student"),
        rung("half", "shown", 1.01, 0.985, 48.0),
    )
    result = LadderResult(config=LadderConfig(keep=98), rungs=rungs)
    figure = kept_by_size(result)
    assert [(round(mark.x[0], 6), mark.y[0]) for mark in figure.data] == [(91, 0), (99, 1), (101, 2)]
    assert [round(mark.error_x.arrayminus[0], 6) for mark in figure.data] == [3, 3, 2.5]
    assert [mark.marker.symbol for mark in figure.data] == ["star", "circle-open", "circle"]
    assert list(figure.layout.yaxis.ticktext) == ["TF-IDF, 0.5 MB", "tiny, 11.0 MB", "half, 48.0 MB"]
    chosen, wanted = figure.layout.shapes
    assert (chosen.y0 + chosen.y1) / 2 == 2
    assert wanted.x0 == wanted.x1 == 98
    assert kept_in_words(result) == (
        "Share of the teacher's accuracy on the validation texts, by size. TF-IDF 91.0 %, at least 88.0 %; "
        "tiny 99.0 %, at least 96.0 %; half 101.0 %, at least 98.5 %."
    )


def test_smallest_student_stands_on_top() -> None:
    rungs = (
        rung("tfidf", "no", 0.91, 0.88, 2.0),
        rung("<a href=x>", "no", 2.0, 0.5, 6.5),
        rung("cnn", "no", 0.92, 0.885, 1.8, int8=True),
    )
    result = LadderResult(config=LadderConfig(), rungs=rungs, metric="f1:<b>")
    figure = kept_by_size(result)
    names = ["cnn, int8, 1.8 MB", "TF-IDF, 2.0 MB", "&lt;a href=x&gt;, 6.5 MB"]
    assert list(figure.layout.yaxis.ticktext) == names
    assert [mark.name for mark in figure.data][-1] == "&lt;a href=x&gt;"
    assert len(figure.layout.shapes) == 1, "nothing is chosen, and no row is shaded"
    left, right = figure.layout.xaxis.range
    assert min(50 - left, right - 200) > 0, "no mark is cut"
    assert figure.layout.xaxis.title.text == "Of the teacher's F1 of &lt;b&gt;"
    assert kept_in_words(result).startswith("Share of the teacher's F1 of <b> on the validation texts")
