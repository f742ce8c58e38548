"""The job and the command: ``kd distill --keep`` from its flags to the student that keeps enough."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from kd_core.cli import main
from kd_core.deployment import forms, int8_answers
from kd_core.distillation.events import Progress
from kd_core.distillation.report import Report
from kd_core.distillation.run_folder import VALIDATION
from kd_core.errors import ModelError, Stopped
from kd_core.job_kinds import ladder_handler
from kd_core.jobs.store import Store
from kd_core.search import estimate, ladder
from kd_core.search.ladder import LadderConfig, LadderResult
from kd_core.system.control import Control
from tests import ROOT


def kd(*arguments: str) -> int:
    return main(list(arguments))


@pytest.fixture
def flags(tiny_config, tmp_path, kd_home, monkeypatch) -> list[str]:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    file = tmp_path / "run.yaml"
    file.write_text(tiny_config.to_yaml(), encoding="utf-8")
    taught = ["--teacher-epochs", "30", "--teacher-learning-rate", "0.003"]  # it has half of the texts right
    return ["distill", "--config", str(file), *taught, "--students", "custom,half"]


def test_each_student_is_a_run_judged_on_the_validation_texts(flags, capsys) -> None:
    assert kd(*flags, "--keep", "100", "--no-tfidf", "--no-int8", "--json") == 0
    printed = capsys.readouterr()
    assert "With 15 validation texts an equal student is shown to keep " in printed.err
    result = LadderResult.model_validate(json.loads(printed.out))
    store = Store()
    runs = {row.id: row for row in store.runs(kind="distil")}
    assert [rung.student for rung in result.rungs] == ["custom", "half"]
    for rung in result.rungs:
        row = runs[rung.run_id]
        assert (row.status, row.name) == ("done", f"Keep 100 %: {rung.student}")
        report = Report.read(Path(store.report(row.id).folder))
        answers = pd.read_parquet(Path(report.folder) / VALIDATION)
        right = [
            np.stack(list(answers[name])).argmax(axis=1) == answers["label"]
            for name in ("student-0", "teacher")
        ]
        assert rung.kept == pytest.approx(right[0].sum() / right[1].sum())
        assert (rung.texts, rung.params, rung.accuracy) == (
            15,
            report.student.params,
            report.student.accuracy,
        )
        # One look at the validation texts, at the end: they have chosen nothing.
        assert report.config["training"]["evaluate_every"] == report.config["training"]["steps"] == 6
    assert store.report(result.rungs[1].run_id).cached == {"teach": True, "record": True}
    [job] = store.runs(kind="ladder")
    assert job.status == "done"
    assert kd("show", job.id) == 0
    assert "Shares of the teacher's accuracy that are kept; 100 % is wanted." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("limit", "nearest"),
    [
        (("--within-mb", "0.001"), r"None of these students is within 0.001 MB: the smallest is .+, with "),
        (
            ("--within-ms", "0.001"),
            r"None of these students is within 0.001 ms a text: the quickest is .+, with \d+\.\d\d ms\.",
        ),
    ],
)
def test_the_command_shows_a_row_for_each_and_what_came_out(flags, capsys, limit, nearest) -> None:
    assert kd(*flags, "--keep", "50", *limit, "--students", "custom") == 0
    shown = capsys.readouterr().out
    assert "50 % is wanted" in shown
    assert "TF-IDF" in shown
    assert shown.count("beyond the limits") == 3  # with custom in int8 and in PyTorch
    assert re.search(nearest, shown)


def test_each_is_judged_in_int8_too_by_the_answers_of_that_form(flags, capsys) -> None:
    assert kd(*flags, "--students", "custom", "--keep", "100", "--json") == 0
    result = LadderResult.model_validate(json.loads(capsys.readouterr().out))
    assert [rung.title for rung in result.rungs] == ["TF-IDF", "custom, int8", "custom"]
    small, full = result.rungs[1:]
    form = forms.open_form(small.run_id, "student", "int8")
    answers = pd.read_parquet(Path(Store().report(small.run_id).folder) / VALIDATION)
    truth = answers["label"]
    right = form.predict(answers["text"].to_list()).argmax(axis=1) == truth
    assert small.kept == right.sum() / (np.stack(list(answers["teacher"])).argmax(axis=1) == truth).sum()
    texts, labels = forms.test_split(small.run_id)
    assert small.accuracy == (form.predict(texts).argmax(axis=1) == labels).mean()
    assert small.size_mb == form.size_mb
    assert (small.run_id, small.params) == (full.run_id, full.params)
    assert small.latency_ms > 0
    # The table names the file, and says how to have what was chosen.
    [job] = Store().runs(kind="ladder")
    for taken, way in ((small, "kd export {} --to student.zip --onnx --int8"), (full, "kd show {}")):
        rungs = [
            taken.model_copy(update={"answer": "shown"}) if rung == taken else rung for rung in result.rungs
        ]
        Store().save_report(job.id, result.model_copy(update={"rungs": tuple(rungs)}).model_dump(mode="json"))
        assert kd("show", job.id) == 0
        shown = capsys.readouterr().out
        assert "custom, int8" in shown
        assert f"Run {taken.run_id}: {way.format(taken.run_id)}\n" in shown


def test_by_macro_f1_every_number_is_of_it_and_says_so(flags, capsys) -> None:
    given = ["--students", "custom", "--keep", "60", "--metric", "macro_f1"]
    assert kd(*flags, *given, "--json") == 0
    printed = capsys.readouterr()
    assert "as good for macro-F1 as " in printed.err
    result = LadderResult.model_validate(json.loads(printed.out))
    assert [rung.title for rung in result.rungs] == ["TF-IDF", "custom, int8", "custom"]
    report = Store().report(result.rungs[2].run_id)
    answers = pd.read_parquet(Path(report.folder) / VALIDATION)
    scores = [
        f1_score(answers["label"], np.stack(list(answers[name])).argmax(axis=1), average="macro")
        for name in ("tfidf", "student-0", "teacher")
    ]
    floor, small, full = result.rungs
    assert [floor.kept, full.kept] == pytest.approx([score / scores[2] for score in scores[:2]])
    assert [floor.score, full.score] == [report.models["tfidf"].macro_f1, report.student.macro_f1]
    texts, labels = forms.test_split(small.run_id)
    said = forms.open_form(small.run_id, "student", "int8").predict(texts).argmax(axis=1)
    assert small.score == pytest.approx(f1_score(labels, said, average="macro"))
    [job] = Store().runs(kind="ladder")
    taken = full.model_copy(update={"answer": "shown"})
    shown = result.model_copy(update={"rungs": (floor.model_copy(update={"answer": "no"}), taken)})
    Store().save_report(job.id, shown.model_dump(mode="json"))
    assert kd("show", job.id) == 0
    said = capsys.readouterr().out
    assert "Shares of the teacher's macro-F1 that are kept; 60 % is wanted." in said
    assert "of its macro-F1 on the validation texts" in said
    assert f"which decided nothing: macro-F1 {100 * full.score:.1f} %, the teacher " in said


def test_a_class_that_cannot_be_judged_is_said_at_once(flags, capsys) -> None:
    assert kd(*flags, "--keep", "90", "--metric", "f1:nothing") != 0
    assert "--metric names 'nothing', not a class of this task" in capsys.readouterr().err
    assert Store().runs() == []


def test_after_one_that_is_shown_a_smaller_student_is_tried_and_a_larger_one_is_not(
    flags, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(ladder, "at_least", lambda pairs, confidence: 1.0)  # whatever is tried is shown
    given = ("--student-hidden", "8", "--keep", "90", "--no-tfidf", "--no-int8", "--json")
    assert kd(*flags, "--students", "half,custom", *given) == 0
    result = LadderResult.model_validate(json.loads(capsys.readouterr().out))
    assert [rung.student for rung in result.rungs] == ["half", "custom"]
    assert result.params == {rung.student: rung.params for rung in result.rungs}  # known before the training
    assert result.chosen == result.rungs[1]
    assert kd(*flags, "--students", "custom,half", *given) == 0
    result = LadderResult.model_validate(json.loads(capsys.readouterr().out))
    assert [rung.student for rung in result.rungs] == ["custom"]
    assert set(result.params) == {"custom", "half"}


def test_sizes_that_cannot_be_read_end_it_with_what_is_shown(flags, capsys, monkeypatch) -> None:
    def refuse(config: LadderConfig) -> dict[str, Any]:
        raise ModelError("the teacher is gone")

    monkeypatch.setattr(ladder, "at_least", lambda pairs, confidence: 1.0)
    monkeypatch.setattr(estimate, "read_rungs", refuse)
    assert kd(*flags, "--students", "half,custom", "--keep", "90", "--no-tfidf", "--no-int8", "--json") == 0
    result = LadderResult.model_validate(json.loads(capsys.readouterr().out))
    assert [(rung.student, rung.answer) for rung in result.rungs] == [("half", "shown")]


def test_its_answers_in_int8_are_a_part_of_the_progress_and_can_be_stopped(flags, tiny_config) -> None:
    store, control = Store(), Control()
    config = LadderConfig(distill=tiny_config.change({"controls.tfidf": False}), students=("custom",))
    store.create_run("20260101-000000-aaaa", config.model_dump(mode="json"), kind="ladder")
    heard: list[Progress] = []

    def stop_in_int8(event) -> None:
        heard.append(event)
        if event.label == "student custom: asking the student in int8":
            control.stop()

    with pytest.raises(Stopped):
        ladder_handler(store.run("20260101-000000-aaaa"), stop_in_int8, control)
    assert heard[-1].label == "student custom: asking the student in int8"
    assert 0.8 <= heard[-1].done / heard[-1].total < 1
    ladder_handler(store.run("20260101-000000-aaaa"), heard.append, Control())
    assert heard[-1].done == heard[-1].total
    assert [row.status for row in store.runs(kind="distil")] == ["done"]  # it was not trained again


def test_a_student_that_cannot_be_converted_is_judged_as_it_is(flags, capsys, monkeypatch) -> None:
    def refuse(run_id: str, *_) -> None:
        raise ModelError("no such operator")

    monkeypatch.setattr(int8_answers, "measure", refuse)
    assert kd(*flags, "--students", "custom", "--keep", "100", "--no-tfidf", "--json") == 0
    result = LadderResult.model_validate(json.loads(capsys.readouterr().out))
    assert [(rung.title, rung.error) for rung in result.rungs] == [
        ("custom, int8", "no such operator"),
        ("custom", ""),
    ]
    assert result.rungs[1].answer != "failed"


def test_a_student_that_the_teacher_cannot_have_is_said_and_the_next_one_tried(flags, capsys) -> None:
    assert kd(*flags, "--keep", "100", "--student-init", "teacher_layers") == 0
    shown = capsys.readouterr().out
    assert "--student-init teacher_layers copies whole layers of the teacher" in " ".join(shown.split())
    assert Store().runs(kind="distil", status=("done",))[0].name == "Keep 100 %: half"


def test_a_ladder_that_was_stopped_goes_on_with_the_run_that_it_had_begun(flags, capsys, tiny_config) -> None:
    store, control = Store(), Control()
    config = LadderConfig(
        distill=tiny_config.change({"controls.tfidf": False}), students=("custom", "half"), keep=100
    )
    store.create_run("20260101-000000-aaaa", config.model_dump(mode="json"), kind="ladder")
    row = store.run("20260101-000000-aaaa")

    def stop_early(event) -> None:
        if event.label.startswith("student custom: training the distilled student"):
            control.stop()

    with pytest.raises(Stopped):
        ladder_handler(row, stop_early, control)
    begun = LadderResult.model_validate(store.report_json(row.id)).running
    assert [(run.id, run.status) for run in store.runs(kind="distil")] == [(begun, "stopped")]
    store.set_status(row.id, "stopped")
    assert kd("resume", row.id, "--json") == 0
    result = LadderResult.model_validate(json.loads(capsys.readouterr().out))
    assert result.rungs[0].run_id == begun
    assert store.run(begun).status == "done"


def test_a_mistake_is_one_line_with_the_flag(flags, capsys) -> None:
    assert kd(*flags, "--keep", "120") != 0
    assert "--keep must be between 50 and 100, got '120'" in capsys.readouterr().err


def test_several_processes_are_refused_for_they_do_one_run(flags, capsys, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert kd(*flags, "--keep", "98") != 0
    assert "start it without accelerate" in capsys.readouterr().err
    assert Store().runs() == []


def test_a_teacher_that_is_a_file_has_nothing_to_keep(capsys, kd_home, monkeypatch) -> None:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    file = str(ROOT / "assets" / "samples" / "answers-some-gold.csv")
    assert kd("distill", "--knowledge", file, "--keep", "90") != 0
    said = capsys.readouterr().err
    assert f"kd: this run learns from a file of answers ({file}), which has no accuracy to keep" in said
    assert "leave out --keep, or --knowledge" in said
