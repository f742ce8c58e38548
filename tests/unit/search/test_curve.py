from __future__ import annotations

import io
import json
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from kd_core.cli import main
from kd_core.cli.curve_table import show
from kd_core.cli.output import console
from kd_core.distillation.events import Progress
from kd_core.distillation.two_runs import student_over
from kd_core.errors import RunError, Stopped
from kd_core.figures.curve import score_in_words
from kd_core.job_kinds import curve_handler
from kd_core.jobs.index import rebuild
from kd_core.jobs.store import Store
from kd_core.search.curve import CurveConfig, CurveResult, Gain, Part
from kd_core.system.control import Control

JOB = "20260101-000000-aaaa"
CONFIG = CurveConfig(run="r")


def gain(kind: str, delta: float, low: float, high: float) -> Gain:
    return Gain(kind=kind, texts=50, whole=100, delta=delta, low=low, high=high)


def result(*gains: Gain, **facts: Any) -> CurveResult:
    whole = tuple(Part(kind=kind, texts=100) for kind in dict.fromkeys(gain.kind for gain in gains))
    return CurveResult(
        config=CONFIG, test_texts=500, whole=whole, left=(), gains=gains, **{"seeds": 3} | facts
    )


SHOWN = gain("labels", 0.021, 0.004, 0.038)
UNSURE = gain("labels", -0.004, -0.02, 0.012)
WITH = "With 100 labelled texts in the place of 50, the distilled student has "
LUCK = "Each was trained once; more seeds tell how much of that is luck."


@pytest.mark.parametrize(
    ("gains", "facts", "said"),
    [
        ([SHOWN], {}, f"{WITH}+2.1 points (95 % interval +0.4 to +3.8). So more "),
        ([SHOWN], {"metric": "macro_f1"}, f"{WITH}+2.1 points of macro-F1 (95 % interval"),
        ([SHOWN], {"seeds": 1}, f"{LUCK} So more labelled texts may help: as many again about as much, or "),
        # None of two that are shown is said to help more, and one that is not shown does not help.
        ([SHOWN, gain("transfer", 0.03, 0.01, 0.05)], {}, "So more labelled texts and transfer texts may"),
        ([SHOWN, gain("transfer", 0.03, -0.01, 0.07)], {}, "So more labelled texts may help"),
        ([SHOWN, UNSURE], {}, f"{WITH}−0.4 points (95 % interval −2.0 to +1.2). These "),  # the last part
        ([UNSURE], {}, "These 500 test texts cannot tell whether as many again would help; texts without "),
        ([gain("transfer", 0.01, -0.01, 0.03)], {}, "cannot tell whether as many again would help."),
        ([gain("labels", -0.05, -0.09, 0.0)], {}, "So more of them did not help."),
    ],
)
def test_sentence(gains, facts, said) -> None:
    found = result(*gains, **facts).sentence
    assert said in found
    assert (LUCK in found) == (facts.get("seeds") == 1)


def test_scores_in_words() -> None:
    part = Part(kind="labels", texts=50, accuracy={"student": 0.812, "tfidf": 0.7})
    found = result(SHOWN).model_copy(update={"whole": (part,)})
    assert "with 50 distilled student 81.2 %, TF-IDF 70.0 %" in score_in_words(found, "labels")


def test_parts_of_a_run(finished_run) -> None:
    """A run without transfer texts, or with spans of its training texts among them, leaves none out."""
    report = finished_run.report
    found = CurveResult.of(CONFIG, report)
    assert [part.title for part in found.left[1:3]] == ["32 labelled texts", "10 transfer texts"]
    assert found.plan.startswith(
        "Runs this again with 16 and 32 of its 65 labelled texts, and with 10 and 20 of its 40 transfer texts"
    )
    spans = report.config | {"task": report.config["task"] | {"augment": 4}}
    without = CurveResult.of(CONFIG, report.model_copy(update={"config": spans}))
    assert [part.title for part in without.left] == ["16 labelled texts", "32 labelled texts"]
    enough, few = (
        report.model_copy(update={"rows": report.rows | {"train": labels, "transfer": 0}})
        for labels in (20, 18)  # a part has two texts of each class at least
    )
    assert [part.texts for part in CurveResult.of(CONFIG, enough).left] == [10]
    with pytest.raises(RunError, match=r"has 18 labelled texts: too few to leave some out"):
        CurveResult.of(CONFIG, few)


def test_by_macro_f1(finished_run) -> None:
    training = finished_run.report.config["training"] | {"metric": "macro_f1"}
    report = finished_run.report.model_copy(
        update={"config": finished_run.report.config | {"training": training}}
    )
    found = CurveResult.of(CONFIG, report)
    assert (found.metric, found.measure) == ("macro_f1", "macro-F1")
    whole, student = found.whole[0], report.student
    assert (whole.scores["student"], whole.accuracy["student"]) == (student.macro_f1, student.accuracy)
    out = io.StringIO()
    show(console(out), result(SHOWN, metric="macro_f1").model_dump(mode="json"))
    assert out.getvalue().startswith("Macro-F1 on the 500 test texts.\n")


@pytest.fixture(scope="module")
def curved(finished_run, once) -> Path:
    """The ``KD_HOME`` of ``finished_run`` with a curve that was stopped in its second part and resumed."""

    def build(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KD_HOME", str(shutil.copytree(finished_run.home, folder / "home")))
            patch.delenv("KD_DATABASE_URL", raising=False)
            store, control, heard = Store(), Control(), []
            assert rebuild(store).added == [finished_run.report.run_id]
            config = CurveConfig(run=finished_run.report.run_id, shares=(0.5,))
            store.create_run(JOB, config.model_dump(mode="json"), kind="curve")

            def stop_in_the_second(event: Progress) -> None:
                heard.append(event)
                if event.label == "20 transfer texts: training the distilled student":
                    control.stop()

            with pytest.raises(Stopped):
                curve_handler(store.run(JOB), stop_in_the_second, control)
            assert 0.5 <= heard[-1].done / heard[-1].total < 1
            begun = CurveResult.model_validate(store.report_json(JOB))
            assert [part.title for part in begun.parts] == ["32 labelled texts"]
            store.set_status(JOB, "stopped")
            with redirect_stdout(io.StringIO()):
                assert main(["resume", JOB]) == 0
            ended = CurveResult.model_validate(store.report_json(JOB))
            assert [part.run_id for part in ended.parts] == [begun.parts[0].run_id, begun.running]

    return once("curved", build) / "home"


def test_each_part_is_a_run_compared_text_by_text(curved, finished_run, monkeypatch, capsys) -> None:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    monkeypatch.setenv("KD_HOME", str(curved))
    store, run = Store(), finished_run.report.run_id
    found = CurveResult.model_validate(store.report_json(JOB))
    title, whole = store.run(run).title, store.report(run).config
    expected = {"train": 32, "transfer": 40}, {"train": 65, "transfer": 20}
    for part, gained, rows in zip(found.parts, found.gains, expected, strict=True):
        row, report = store.run(part.run_id), store.report(part.run_id)
        assert (row.status, row.name) == ("done", f"{title}: {part.title}")
        assert {split: report.rows[split] for split in rows} == rows
        # "auto" may be another for so few texts, and then more than their number would differ.
        assert report.config["task"]["augment"] == whole["task"]["augment"]
        assert report.config["training"]["metric"] == whole["training"]["metric"]
        assert part.accuracy == {who: model.accuracy for who, model in report.models.items()}
        over = student_over(run, part.run_id)
        assert (gained.kind, gained.texts) == (part.kind, part.texts)
        assert (gained.delta, gained.low, gained.high) == (over.delta, over.low, over.high)
    assert report.cached["teach"]  # fewer transfer texts need no other teacher
    assert main(["show", "last", "--json"]) == 0  # a part of a curve is not what "last" means
    assert json.loads(capsys.readouterr().out)["run"]["id"] == run
    monkeypatch.setattr(sys.modules["kd_core.cli.curve"], "start", lambda *_, **__: store.report_json(JOB))
    for command in (["show", JOB], ["curve", run]):
        assert main(command) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert (
            "Accuracy on the 25 test texts. Labelled texts Teacher Distilled student Student alone" in shown
        )
        assert found.sentence in shown
