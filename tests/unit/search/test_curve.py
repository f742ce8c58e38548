"""What more texts would bring: the runs with fewer of them, and what is said of them."""

from __future__ import annotations

import io
import json

import pytest

from kd_core.cli import main
from kd_core.cli.curve_table import show
from kd_core.cli.output import console
from kd_core.distillation.events import Progress
from kd_core.distillation.report import Report
from kd_core.distillation.two_runs import student_over
from kd_core.errors import RunError, Stopped
from kd_core.figures.curve import score_in_words
from kd_core.job_kinds import curve_handler
from kd_core.jobs.store import Store
from kd_core.search.curve import CurveConfig, CurveResult, Gain, Part
from kd_core.system.control import Control

JOB = "20260101-000000-aaaa"


def result(*gains: Gain, seeds: int = 3) -> CurveResult:
    kinds = dict.fromkeys(gain.kind for gain in gains)
    whole = tuple(Part(kind=kind, texts=100) for kind in kinds)
    config = CurveConfig(run="r")
    return CurveResult(config=config, test_texts=500, seeds=seeds, whole=whole, left=(), gains=gains)


def gain(kind: str, texts: int, delta: float, low: float, high: float) -> Gain:
    return Gain(kind=kind, texts=texts, whole=100, delta=delta, low=low, high=high)


# What is said


def test_scores_in_words_spell_tf_idf_as_always() -> None:
    of_labels = Part(kind="labels", texts=50, accuracy={"student": 0.812, "tfidf": 0.7})
    found = result(gain("labels", 50, 0.021, 0.004, 0.038))
    found = found.model_copy(update={"whole": (*found.whole, of_labels)})
    assert "with 50 distilled student 81.2 %, TF-IDF 70.0 %" in score_in_words(found, "labels")


def test_the_texts_that_help_are_named_and_none_is_said_to_help_more() -> None:
    labels = gain("labels", 25, 0.05, 0.02, 0.08), gain("labels", 50, 0.021, 0.004, 0.038)
    assert result(*labels).sentence == (
        "With 100 labelled texts in the place of 50, the distilled student has +2.1 points (95 % interval "
        "+0.4 to +3.8). So more labelled texts may help: as many again about as much, or less."
    )
    transfer = gain("transfer", 50, 0.031, 0.011, 0.051)
    assert "So more labelled texts and transfer texts may help: " in result(*labels, transfer).sentence
    # One that is not shown is not the one that helps, be it the larger.
    unsure = gain("transfer", 50, 0.031, -0.011, 0.071)
    assert "So more labelled texts may help: " in result(*labels, unsure).sentence


def test_with_one_seed_it_is_said_what_that_leaves_open() -> None:
    once = "Each was trained once; more seeds tell how much of that is luck."
    labels = gain("labels", 50, 0.021, 0.004, 0.038)
    assert once in result(labels, seeds=1).sentence
    assert once not in result(labels, seeds=2).sentence


def test_what_cannot_be_shown_is_no_promise() -> None:
    labels, transfer = gain("labels", 50, -0.004, -0.02, 0.012), gain("transfer", 50, 0.01, -0.01, 0.03)
    assert result(labels).sentence == (
        "With 100 labelled texts in the place of 50, the distilled student has −0.4 points (95 % interval "
        "−2.0 to +1.2). These 500 test texts cannot tell whether as many again would help; texts without "
        "labels for the teacher to answer, or a larger student, are what to try first."
    )
    assert result(labels, transfer).sentence.endswith("cannot tell whether as many again would help.")
    worse = gain("labels", 50, -0.05, -0.09, -0.01)
    assert result(worse).sentence.endswith("−9.0 to −1.0). So more of them did not help.")


def test_by_f1_the_points_are_of_it(finished_run) -> None:
    report = by_macro_f1(finished_run.report)
    found = CurveResult.of(CurveConfig(run="r"), report)
    assert (found.metric, found.measure) == ("macro_f1", "macro-F1")
    whole, student = found.whole[0], report.student
    assert (whole.scores["student"], whole.accuracy["student"]) == (student.macro_f1, student.accuracy)
    told = result(gain("labels", 50, 0.021, 0.004, 0.038)).model_copy(update={"metric": "macro_f1"})
    assert "the distilled student has +2.1 points of macro-F1 (95 % interval +0.4 to +3.8)." in told.sentence


def test_a_result_of_before_is_of_accuracy(finished_run) -> None:
    found = CurveResult.of(CurveConfig(run="r"), finished_run.report)
    stored = found.model_dump(mode="json", exclude={"metric": True})
    for part in (*stored["whole"], *stored["left"]):
        part.pop("score")
    read = CurveResult.model_validate(stored)
    assert (read.measure, read.whole[0].scores) == ("accuracy", found.whole[0].accuracy)


def by_macro_f1(report: Report) -> Report:
    training = report.config["training"] | {"metric": "macro_f1"}
    return report.model_copy(update={"config": report.config | {"training": training}})


# The job and the command


@pytest.fixture
def run(tiny_config, tmp_path, kd_home, monkeypatch, capsys) -> str:
    """A finished run with 65 labelled and 40 transfer texts."""
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    file = tmp_path / "run.yaml"
    file.write_text(tiny_config.to_yaml(), encoding="utf-8")
    assert main(["distill", "--config", str(file), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["run_id"]


def test_each_part_is_a_run_compared_text_by_text(run: str, capsys) -> None:
    assert main(["curve", run, "--json"]) == 0
    found = CurveResult.model_validate(json.loads(capsys.readouterr().out))
    store = Store()
    whole_run = store.run(run)
    assert [(part.kind, part.texts) for part in found.parts] == [
        ("labels", 16),
        ("labels", 32),
        ("transfer", 10),
        ("transfer", 20),
    ]
    for part, gained in zip(found.parts, found.gains, strict=True):
        row, report = store.run(part.run_id), store.report(part.run_id)
        assert (row.status, row.name) == ("done", f"{whole_run.title}: {part.title}")
        expected = {"train": 65, "transfer": 40} | {
            {"labels": "train", "transfer": "transfer"}[part.kind]: part.texts
        }
        assert {split: report.rows[split] for split in expected} == expected
        whole = store.report(run).config
        assert all(
            report.config[section][name] == whole[section][name]
            for section, name in (("task", "augment"), ("training", "metric"))
        ), "auto may be another for so many texts, and then more than their number would differ"
        assert part.accuracy == {who: model.accuracy for who, model in report.models.items()}
        over = student_over(run, part.run_id)
        assert (gained.kind, gained.texts, gained.delta) == (part.kind, part.texts, over.delta)
        assert (gained.low, gained.high) == (over.low, over.high)
    # Fewer transfer texts need no other teacher.
    assert store.report(found.parts[-1].run_id).cached["teach"]
    assert main(["show", "last", "--json"]) == 0  # kd export last is not to take one with fewer texts
    assert json.loads(capsys.readouterr().out)["run"]["id"] == run
    assert main(["show", store.runs(kind="curve")[0].id]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Accuracy on the 25 test texts. Labelled texts Teacher Distilled student Student alone" in shown
    assert found.sentence in shown


def test_by_macro_f1_each_part_is_judged_so(tiny_config, tmp_path, kd_home, monkeypatch, capsys) -> None:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    file = tmp_path / "run.yaml"
    file.write_text(tiny_config.change({"training.metric": "macro_f1"}).to_yaml(), encoding="utf-8")
    assert main(["distill", "--config", str(file), "--json"]) == 0
    run = json.loads(capsys.readouterr().out)["run_id"]
    store = Store()
    config = CurveConfig(run=run, shares=(0.5,))
    store.create_run(JOB, config.model_dump(mode="json"), kind="curve")
    found = CurveResult.model_validate(curve_handler(store.run(JOB), lambda event: None, Control()))
    for part, gained in zip(found.parts, found.gains, strict=True):
        report = store.report(part.run_id)
        assert report.config["training"]["metric"] == "macro_f1"
        assert part.scores == {who: model.macro_f1 for who, model in report.models.items()}
        assert gained.delta == pytest.approx(store.report(run).student.macro_f1 - report.student.macro_f1)
    out = io.StringIO()
    show(console(out), found.model_dump(mode="json"))
    assert out.getvalue().startswith("Macro-F1 on the 25 test texts.\n")


def test_one_that_was_stopped_goes_on_with_the_part_that_it_had_begun(run: str, capsys) -> None:
    store, control = Store(), Control()
    config = CurveConfig(run=run, shares=(0.5,))
    store.create_run(JOB, config.model_dump(mode="json"), kind="curve")
    heard: list[Progress] = []

    def stop_in_the_second(event: Progress) -> None:
        heard.append(event)
        if event.label == "20 transfer texts: training the distilled student":
            control.stop()

    with pytest.raises(Stopped):
        curve_handler(store.run(JOB), stop_in_the_second, control)
    begun = CurveResult.model_validate(store.report_json(JOB))
    assert [part.title for part in begun.parts] == ["32 labelled texts"]
    assert 0.5 <= heard[-1].done / heard[-1].total < 1
    store.set_status(JOB, "stopped")
    assert main(["resume", JOB, "--json"]) == 0
    found = CurveResult.model_validate(json.loads(capsys.readouterr().out))
    assert [part.run_id for part in found.parts] == [begun.parts[0].run_id, begun.running]


def test_a_run_without_texts_to_spare_says_so(finished_run) -> None:
    few = finished_run.report.model_copy(
        update={"rows": finished_run.report.rows | {"train": 9, "transfer": 0}}
    )
    with pytest.raises(RunError, match=r"has 9 labelled texts: too few to leave some out"):
        CurveResult.of(CurveConfig(run="r"), few)
    plan = CurveResult.of(CurveConfig(run="r"), finished_run.report).plan
    assert plan.startswith(
        "Runs this again with 16 and 32 of its 65 labelled texts, and with 10 and 20 of its 40 transfer texts"
    )


def test_spans_of_the_training_texts_are_no_transfer_texts_to_leave_out(finished_run) -> None:
    config = finished_run.report.config
    spans = {"config": config | {"task": config["task"] | {"augment": 4}}}
    found = CurveResult.of(CurveConfig(run="r"), finished_run.report.model_copy(update=spans))
    assert [(part.kind, part.texts) for part in found.left] == [("labels", 16), ("labels", 32)]
