"""The four steps as one run: what is computed, what is taken from the cache, and what a stop leaves."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kd_core import distill
from kd_core.distillation import distil, pipeline, run_folder
from kd_core.distillation import run as run_module
from kd_core.distillation.events import (
    STAGES,
    Evaluated,
    Finished,
    Note,
    Progress,
    Resolved,
    StageFinished,
    StageStarted,
    Step,
    TrainingStarted,
)
from kd_core.distillation.report import Report
from kd_core.distillation.roles import student_variants
from kd_core.distillation.run import Clock, Run, Trained
from kd_core.distillation.training import TRAINING_VERSION
from kd_core.errors import ConfigError, RunError, Stopped
from kd_core.models.loading import load_teacher
from kd_core.system.atomic import is_whole, seal
from kd_core.system.control import Control
from tests.unit.conftest import FAMILIES
from tests.unit.distillation.training.trained import at_step, same, steps, stopped, student

RUN = "20260131-143000-a1b2"
NETWORKS = ("bilstm", "cnn", "static")  # students that are no transformers


@pytest.fixture
def at_home(finished_run, tmp_path, monkeypatch) -> Path:
    """A ``KD_HOME`` that has what the finished run has left."""
    shutil.copytree(finished_run.home, tmp_path / "home")
    monkeypatch.setenv("KD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    "family",
    [
        "modernbert",
        "bilstm",
        *(pytest.param(family, marks=pytest.mark.slow) for family in FAMILIES if family != "modernbert"),
        *(pytest.param(network, marks=pytest.mark.slow) for network in NETWORKS if network != "bilstm"),
    ],
)
def test_all_four_steps_on_every_family(kd_home, short_config, teacher_folder, family):
    """The weights on disk answer as the predictions and scores say."""
    teacher = "bert" if family in NETWORKS else family
    changes = {"student.model": family} if family in NETWORKS else {}
    report = distill(short_config.change(changes | {"teacher.model": teacher_folder(teacher)}))
    table = pd.read_parquet(Path(report.folder) / "predictions.parquet")
    assert list(table.columns) == ["text", "label", "teacher", "student-0", "alone-0"]
    for name in table.columns[2:]:
        place = Path(report.folder) / "students" / name
        if name == "teacher":
            place = kd_home / "cache" / "teachers" / report.teacher_key
        model = AutoModelForSequenceClassification.from_pretrained(place, use_safetensors=True).eval()
        tokenizer = AutoTokenizer.from_pretrained(place)
        assert [model.config.id2label[i] for i in range(5)] == report.labels
        if name != "teacher":
            assert model.config.model_type == (f"kd_{family}" if family in NETWORKS else family)
        with torch.no_grad():
            rows = [torch.tensor([tokenizer(text)["input_ids"]]) for text in table["text"]]
            logits = torch.cat([model(row).logits for row in rows]).numpy()
        np.testing.assert_allclose(np.stack(table[name]), logits, atol=1e-4)
        found = getattr(report, name.partition("-")[0])
        assert found.accuracy == pytest.approx((logits.argmax(axis=1) == table["label"]).mean())
        assert found.params == sum(p.numel() for p in model.parameters())


def test_events_of_a_run_come_in_order(finished_run):
    report, events = finished_run.report, finished_run.events
    told = [e for e in events if isinstance(e, StageStarted | StageFinished)]
    assert [(type(e), e.stage) for e in told] == [
        (kind, stage) for stage in STAGES for kind in (StageStarted, StageFinished)
    ]
    assert isinstance(events[0], Resolved)
    assert events[0].config == report.config
    assert events[1] == StageStarted("teach")
    assert events[-1] == Finished(report.run_id)
    assert report.seconds == {e.stage: e.seconds for e in told if isinstance(e, StageFinished)}
    started = [(e.who, e.seed, e.steps) for e in events if isinstance(e, TrainingStarted)]
    students = [(who, seed, 6) for seed in (0, 1) for who in ("student", "alone", "labelled_only")]
    assert started == [("teacher", 0, 5), *students]
    for who, seed, count in started:
        own = [(e.step, e.steps) for e in steps(events, who) if e.seed == seed]
        assert own == [(i, count) for i in range(1, count + 1)]
    for event in steps(events, "teacher") + steps(events, "alone"):
        assert (event.soft, event.intermediate, event.loss) == (0.0, 0.0, event.hard)


def test_each_seed_trains_to_the_same_bits_in_any_run(kd_home, tiny_config, finished_run):
    """Also where nothing is cached, where the random state is another one, and where a tracker listens."""
    torch.rand(3)
    report = distill(tiny_config.change({"training.seeds": (1,), "training.report_to": "tensorboard"}))
    assert (report.cached, report.teacher_key) == (
        {"teach": False, "record": False},
        finished_run.report.teacher_key,
    )
    for who in ("student", "alone", "labelled_only"):
        assert same(student(report, f"{who}-1"), student(finished_run.report, f"{who}-1"))
        assert not same(student(report, f"{who}-1"), student(finished_run.report, f"{who}-0"))
    caches = {path.name for path in kd_home.glob("cache/*/*")}
    assert caches <= {path.name for path in finished_run.home.glob("cache/*/*")}
    names = {path.name for path in (Path(report.folder) / "tensorboard").iterdir()}
    assert names == {"teacher", "student-1", "alone-1", "labelled_only-1"}


class Watch:
    """What a run tells, and how often its teacher computes in each stage."""

    def __init__(self) -> None:
        self.events: list = []
        self.passes: Counter[str] = Counter()
        self._stage = "before"

    def on_event(self, event) -> None:
        self.events.append(event)
        if isinstance(event, StageStarted):
            self._stage = event.stage

    def load_teacher(self, *args):
        model, tokenizer = load_teacher(*args)
        model.register_forward_hook(lambda *_: self.passes.update([self._stage]))
        return model, tokenizer


@pytest.mark.parametrize(
    ("changes", "alone_cached", "asked"),
    [
        ({"objective.alpha": 0.25, "objective.temperature": 3.0, "objective.cosine_weight": 2.0}, True, 12),
        ({"student.layers": 1, "training.seeds": (7,)}, False, 0),
    ],
)
def test_another_objective_or_student_needs_no_pass_of_the_teacher(
    at_home, tiny_config, finished_run, monkeypatch, changes, alone_cached, asked
):
    """But for intermediate terms, which ask it once in each of their steps."""
    watch, whole = Watch(), finished_run.report
    monkeypatch.setattr(pipeline, "load_teacher", watch.load_teacher)
    if not alone_cached:  # as an earlier version has left it
        place = at_home / "cache" / "teachers" / whole.teacher_key
        looks = json.loads((place / "history.json").read_text())
        (place / "history.json").write_text(json.dumps([look[:3] for look in looks]))
        (place / "manifest.json").unlink()
        seal(place)
    report = distill(tiny_config.change(changes), watch.on_event)
    # 10 passes warm up for the latency, and 5 count.
    assert [watch.passes[stage] for stage in STAGES] == [0, 0, asked, 15]
    assert report.cached == {"teach": True, "record": True}
    cached = {e.who: e.cached for e in watch.events if isinstance(e, TrainingStarted)}
    assert cached == {"teacher": True, "student": False, "alone": alone_cached, "labelled_only": False}
    looks = [
        [e for e in events if isinstance(e, Evaluated) and e.who == "teacher"]
        for events in (watch.events, finished_run.events)
    ]
    before = looks[1] if alone_cached else [replace(look, score=None) for look in looks[1]]
    assert looks[0] == before, "its curve is told though it is not trained"
    assert report.teacher.accuracy == whole.teacher.accuracy
    if alone_cached:
        assert same(student(report, "alone-0"), student(whole, "alone-0"))
        assert report.models["alone"].seeds[0] == whole.models["alone"].seeds[0]
        assert not same(student(report), student(whole))
    for event in steps(watch.events) if asked else []:
        assert event.intermediate > 0
        total = 0.25 * event.hard + 0.75 * event.soft + event.intermediate
        assert event.loss == pytest.approx(total, rel=1e-5)


def test_added_seeds_train_only_their_own_students(at_home, tiny_config, finished_run):
    events: list = []
    report = distill(tiny_config.change({"training.seeds": (0, 1, 2)}), events.append)
    trained = [f"{e.who}-{e.seed}" for e in events if isinstance(e, TrainingStarted) and not e.cached]
    assert trained == ["student-2", "alone-2", "labelled_only-2"]
    assert sorted(report.student.seeds) == sorted(report.models["alone"].seeds) == [0, 1, 2]
    for name in ("student-0", "labelled_only-1"):
        assert same(student(report, name), student(finished_run.report, name))
    assert f"The students of the seeds before are those of run {finished_run.report.run_id}." in report.notes
    assert (Path(report.folder) / "replay.parquet").is_file()
    assert report.student.seeds[0] == finished_run.report.student.seeds[0]


@pytest.mark.parametrize(
    ("changes", "students", "replay"),
    [
        ({"training.seeds": (1, 0, 2)}, 4, False),  # the replay is of another seed than the first one
        ({"training.seeds": (0, 1, 2)}, 4, True),
        ({"training.seeds": (0, 1, 2), "student.model": "bert"}, 0, False),  # may be another one by now
    ],
)
def test_students_are_taken_over(at_home, finished_run, tmp_path, monkeypatch, changes, students, replay):
    """Those in the cache stay there."""
    monkeypatch.setattr(run_folder, "with_fewer_seeds", lambda *_: finished_run.folder)
    config = pipeline.DistillConfig.from_dict(finished_run.report.config).change(changes)
    distil._take_over(Run(None, config, tmp_path, lambda _: None, Control()))
    assert len(list(tmp_path.glob("students/*/model.safetensors"))) == students
    assert (tmp_path / "replay.parquet").is_file() == replay


def test_students_that_begin_alike_are_built_once(
    kd_home, tiny_task, short_config, tiny_tokenizer, tiny_teacher, monkeypatch
):
    """One from the fine-tuned teacher's layers, one from random weights, one from layers as they were."""
    wide = {"student.hidden": 32, "student.intermediate": 64, "student.init": "teacher_layers"}
    controls = {"plain_start", "untuned_start", "labelled_only"}
    config = short_config.change(
        wide
        | {f"controls.{name}": True for name in controls}
        | {"task.max_length": 64, "training.seeds": (0, 1)}
    )
    build, seeds = distil.build_student, []

    def counted(*arguments):
        seeds.append(arguments[4])
        return build(*arguments)

    monkeypatch.setattr(distil, "build_student", counted)
    teacher = Trained("teacher", 0, tiny_teacher("bert", seed=1), tiny_tokenizer, kd_home)
    run = Run(tiny_task, config, kd_home / "work", lambda _: None, Control())
    layer, first = "bert.encoder.layer.0.attention.self.query.weight", {}
    for seed in (0, 1):
        for variant in student_variants(config, 40):
            model, _ = distil._start(run, variant, seed, teacher)
            first.setdefault(variant.who, model.state_dict()[layer])
    assert set(first) == {"student", "alone", *controls}
    tuned, untuned = (
        teacher.model.state_dict()[layer],
        load_teacher(config.teacher, tiny_task)[0].state_dict()[layer],
    )
    for who, weights in first.items():
        assert torch.equal(weights, tuned) == (who in ("student", "alone", "labelled_only")), who
        assert torch.equal(weights, untuned) == (who == "untuned_start"), who
    assert seeds == [0, 0, 0, 1, 1, 1]


def test_doubts_are_told_once_and_stand_in_the_report(
    kd_home, short_config, tiny_teacher, tmp_path, monkeypatch
):
    monkeypatch.setattr("kd_core.distillation.balance.notes", lambda *_: ["A class is rare."])
    judge = tiny_teacher("bert", 1)
    judge.config.id2label = dict(enumerate(("yes", "no", "perhaps", "never", "always")))
    judge.save_pretrained(tmp_path / "judge")
    AutoTokenizer.from_pretrained(short_config.teacher.model).save_pretrained(tmp_path / "judge")
    events: list = []
    changes = {"student.model": str(tmp_path / "judge"), "task.max_length": 8192, "training.seeds": (0, 1)}
    report = distill(
        short_config.change(changes | {"training.steps": 1, "training.evaluate_every": 1}), events.append
    )
    doubts = [
        "Texts are cut at 66 tokens, not at 8,192: the models have no more positions.",
        "A class is rare.",
        "judge is a classifier of 5 other labels (yes, no, perhaps, never, always). Its head was replaced by "
        "one for the 5 of this task, which starts from nothing.",
    ]
    assert [event.text for event in events if isinstance(event, Note)] == doubts
    begun = events.index(StageStarted("teach"))
    assert [event.text for event in events[:begun] if isinstance(event, Note)] == doubts[:2]
    assert [note for note in report.notes if note in doubts] == doubts


# Stop and resume


def test_a_stopped_training_goes_on_to_the_same_bits(at_home, tiny_config, finished_run, monkeypatch):
    """Though ``auto`` means something else by then."""
    config = tiny_config.change({"training.seeds": (1,)})
    before = stopped(lambda *given: distill(config, *given, run_id=RUN), at_step(4))
    assert [path.name for path in (at_home / "work").iterdir()] == [RUN]
    assert [path.name for path in (at_home / "runs").iterdir()] == [finished_run.report.run_id]
    resolve, events = pipeline.resolve, []

    def other_defaults(*about):
        return resolve(*about).change({"task.max_length": 8, "training.learning_rate": 0.5})

    monkeypatch.setattr(pipeline, "resolve", other_defaults)
    report = distill(config, events.append, run_id=RUN)
    assert [event.step for event in steps(before + events)] == [1, 2, 3, 4, 5, 6]
    assert report.config["task"]["max_length"] == 64
    assert report.run_id == RUN
    assert list((at_home / "work").iterdir()) == []
    for who in ("student", "alone", "labelled_only"):
        assert same(student(report, f"{who}-1"), student(finished_run.report, f"{who}-1"))


def progress(label: str):
    return lambda event: isinstance(event, Progress) and event.label == label


@pytest.mark.slow
def test_a_stop_at_any_place_leaves_nothing_half_done(kd_home, tiny_config, finished_run):
    config = tiny_config.change({"training.seeds": (1,), "controls.shifted": False})
    kept = ("teachers", "knowledge", "vectors", "scores", "alone")
    for reached, count in [
        (at_step(2, "teacher"), 0),
        (at_step(5, "teacher"), 0),  # the evaluation comes then
        (progress("texts"), 1),
        (at_step(2), 3),
        (at_step(2, "alone"), 4),  # the replay needs the teacher's answers
        (progress("scoring the teacher"), 5),
        (progress("measuring latency"), 5),
    ]:
        events = stopped(lambda *given: distill(config, *given, run_id=RUN), reached)
        assert not any(isinstance(event, Finished) for event in events)
        assert not (kd_home / "runs").exists()
        caches = list(kd_home.glob("cache/*/*"))
        assert {path.parent.name for path in caches} == set(kept[:count])
        assert all(map(is_whole, caches)), "and no temporary folders"
        assert [path.name for path in kd_home.glob("work/*")] == [RUN]
        told = next(place for place, event in enumerate(events) if reached(event))
        assert not any(isinstance(event, Step) for event in events[told + 1 :])
    report = distill(config, run_id=RUN)
    for who in ("student", "alone", "labelled_only"):
        assert same(student(report, f"{who}-1"), student(finished_run.report, f"{who}-1"))


def test_on_other_texts_a_stopped_run_begins_anew(kd_home, short_config, tmp_path):
    """What was a training text before may be a test text now."""
    file = tmp_path / "texts.csv"
    file.write_text(Path(short_config.task.name).read_text("utf-8"), "utf-8")
    config = short_config.change({"task.name": str(file)})

    def start(on_event, control) -> None:
        distill(config, on_event, control, run_id=RUN)

    stopped(start, at_step(2, "teacher"))
    same_texts = stopped(start, at_step(3, "teacher"))
    with file.open("a", encoding="utf-8") as opened:
        opened.write("one more match today,sport\n")
    others = stopped(start, at_step(1, "teacher"))
    assert steps(same_texts, "teacher")[0].step == 3
    notes = [[event for event in events if isinstance(event, Note)] for events in (same_texts, others)]
    assert notes == [[], [Note(run_folder.CHANGED)]]


def test_what_another_version_has_trained_is_in_another_place(kd_home, monkeypatch):
    run = Run(None, None, kd_home / "work", lambda _: None, Control())
    first = run.place("teachers", recipe="one")
    assert first == run.place("teachers", recipe="one") != run.place("teachers", recipe="another")
    monkeypatch.setattr(run_module, "TRAINING_VERSION", TRAINING_VERSION + 1)
    assert run.place("teachers", recipe="one") != first
    assert (kd_home / "work" / "caches.txt").read_text().split()[0] == f"teachers/{first.name}"


def test_seconds_are_those_of_all_starts_but_of_no_pause(tmp_path, monkeypatch):
    events, control, hand = [], Control(), SimpleNamespace(now=0.0)
    monkeypatch.setattr("kd_core.system.control.time", SimpleNamespace(monotonic=lambda: hand.now))
    run = Run(None, None, tmp_path, events.append, control)
    with suppress(Stopped), Clock(run).stage("distil"):
        hand.now = 5.0
        raise Stopped
    hand.now = 100.0
    resumed = Clock(run)
    with resumed.stage("distil"):
        control.pause()
        hand.now = 3_700.0
        control.resume()
        hand.now = 3_702.0
    assert resumed.seconds == {"distil": 7.0}
    assert events[1:] == [StageStarted("distil"), StageFinished("distil", 7.0)]


# What a user of the package meets


def test_a_finished_run_is_not_run_again(at_home, tiny_config, finished_run, tmp_path):
    run_id, config = finished_run.report.run_id, tiny_config.change({"training.seeds": (0, 1)})
    events: list = []
    report = distill(config.model_dump(mode="json"), events.append, run_id=run_id)
    assert events == [Finished(run_id)]
    assert report == finished_run.report.model_copy(update={"folder": str(at_home / "runs" / run_id)})
    assert len(repr(report)) < 2_000
    with pytest.raises(RunError, match=r"with objective\.temperature = .*, not 17\.0\. It is done: "):
        distill(config.change({"objective.temperature": 17.0}), run_id=run_id)


def test_an_error_says_which_run_goes_on(kd_home, short_config):
    control = Control()
    control.stop()
    with pytest.raises(Stopped) as caught:
        distill(short_config, control=control)
    assert [path.name for path in (kd_home / "work").iterdir()] == [caught.value.run_id]


@pytest.mark.parametrize(
    ("config", "run_id", "error", "message"),
    [
        ({"objective": {"alpha": 2}}, None, ConfigError, r"^objective\.alpha must be between 0 and 1, got 2"),
        ("run.yaml", None, ConfigError, "a config is a mapping of sections, got str"),
        ({}, 5, RunError, r"^5 is not a run; a run is named like 20260131-143000-a1b2\.$"),
        ({}, "../../thesis", RunError, r"^'\.\./\.\./thesis' is not a run; a run is named like"),
        (
            {},
            None,
            RunError,
            r"^The data folder .* cannot be made: .* Set KD_HOME to a folder that can be written\.$",
        ),
    ],
)
def test_what_cannot_be_run_is_refused(kd_home, config, run_id, error, message):
    kd_home.write_text("a file", encoding="utf-8")
    with pytest.raises(error, match=message):
        distill(config, run_id=run_id)
    with pytest.raises(RunError, match="cannot be read"):
        Report.from_dict([1])
