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
    assert [(mark.x[0], round(mark.y[0], 6)) for mark in figure.data] == [(0.5, 91), (11, 99), (48, 101)]
    assert [round(mark.error_y.arrayminus[0], 6) for mark in figure.data] == [3, 3, 2.5]
    assert [mark.marker.symbol for mark in figure.data] == ["star", "circle-open", "circle"]
    assert figure.layout.shapes[0].y0 == 98
    assert sorted(note.text for note in figure.layout.annotations) == ["TF-IDF", "half", "tiny"]
    assert kept_in_words(result) == (
        "Share of the teacher's accuracy on the validation texts, by size. TF-IDF 91.0 %, at least 88.0 %; "
        "tiny 99.0 %, at least 96.0 %; half 101.0 %, at least 98.5 %."
    )
