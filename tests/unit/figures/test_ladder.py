"""The picture of a ladder."""

from __future__ import annotations

from kd_core.figures.ladder import kept_by_size, kept_in_words
from kd_core.search.ladder import LadderConfig, LadderResult, Rung


def test_each_student_has_a_mark_with_its_bound_and_the_wanted_share_is_a_line() -> None:
    rungs = (
        Rung(student="tfidf", run_id="a", answer="no", kept=0.91, at_least=0.88, size_mb=0.5),
        Rung(student="tiny", run_id="a", answer="likely", kept=0.99, at_least=0.96, size_mb=11.0),
        Rung(student="mini", run_id="b", answer="failed", error="no such student"),
        Rung(student="half", run_id="c", answer="shown", kept=1.01, at_least=0.985, size_mb=48.0),
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


def test_the_smallest_stands_on_top_whatever_was_tried_first() -> None:
    rungs = (
        Rung(student="tfidf", run_id="a", answer="no", kept=0.91, at_least=0.88, size_mb=2.0),
        Rung(student="cnn", run_id="a", answer="no", kept=0.93, at_least=0.89, size_mb=6.5),
        Rung(student="cnn", run_id="a", answer="no", int8=True, kept=0.92, at_least=0.885, size_mb=1.8),
    )
    figure = kept_by_size(LadderResult(config=LadderConfig(), rungs=rungs))
    assert list(figure.layout.yaxis.ticktext) == ["cnn, int8, 1.8 MB", "TF-IDF, 2.0 MB", "cnn, 6.5 MB"]
    assert len(figure.layout.shapes) == 1  # nothing is chosen, and no row is shaded
    assert figure.layout.height > kept_by_size(LadderResult(config=LadderConfig())).layout.height


def test_no_mark_is_cut_by_the_edge_of_a_long_axis() -> None:
    rungs = (Rung(student="tiny", run_id="a", answer="likely", kept=2.0, at_least=0.5, size_mb=0.5),)
    left, right = kept_by_size(LadderResult(config=LadderConfig(), rungs=rungs)).layout.xaxis.range
    assert min(50 - left, right - 200) >= 0.04 * 150


def test_no_name_of_a_student_is_read_as_html() -> None:
    rungs = (Rung(student="<a href=x>", run_id="a", answer="no", kept=0.91, at_least=0.88, size_mb=0.5),)
    (mark,) = kept_by_size(LadderResult(config=LadderConfig(), rungs=rungs)).data
    assert (mark.name, mark.hovertemplate.split(":")[0]) == ("&lt;a href=x&gt;", "&lt;a href=x&gt;")


def test_what_is_kept_is_named() -> None:
    rungs = (Rung(student="tiny", run_id="a", answer="no", kept=0.91, at_least=0.88, size_mb=0.5),)
    result = LadderResult(config=LadderConfig(), rungs=rungs, metric="f1:<b>")
    assert kept_by_size(result).layout.xaxis.title.text == "Of the teacher's F1 of &lt;b&gt;"
    assert kept_in_words(result).startswith("Share of the teacher's F1 of <b> on the validation texts")
    of_before = result.model_copy(update={"metric": "accuracy"})
    assert kept_by_size(of_before).layout.xaxis.title.text == "Of the teacher's accuracy"
