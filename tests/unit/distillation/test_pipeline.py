"""The four steps as one run: on every family, what is cached, what is the same, and what is left behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from kd_core import distill
from kd_core.distillation import distil, pipeline, record, teach, validate
from kd_core.distillation.events import (
    STAGES,
    Evaluated,
    Finished,
    Note,
    Resolved,
    StageFinished,
    StageStarted,
    TrainingStarted,
)
from kd_core.distillation.report import Report
from kd_core.distillation.training import trainer
from kd_core.distillation.training.fit import fit
from kd_core.errors import ConfigError, RunError, Stopped
from kd_core.models import inference
from kd_core.system.control import Control
from tests.unit.conftest import FAMILIES
from tests.unit.distillation.left import steps, student


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# Item by item what a run promises


NETWORKS = ("bilstm", "cnn", "static")  # students that are no transformers


@pytest.mark.parametrize("family", [*FAMILIES, *NETWORKS])
def test_all_four_steps_on_every_family(kd_home, short_config, teacher_folder, family):
    changes = {"student.model" if family in NETWORKS else "teacher.model": family}
    if family not in NETWORKS:
        changes["teacher.model"] = teacher_folder(family)
    report = distill(short_config.change(changes))
    table = pd.read_parquet(Path(report.folder) / "predictions.parquet")
    assert list(table.columns) == ["text", "label", "teacher", "student-0", "alone-0"]
    places = {
        "teacher": kd_home / "cache" / "teachers" / report.teacher_key,
        "student-0": Path(report.folder) / "students" / "student-0",
        "alone-0": Path(report.folder) / "students" / "alone-0",
    }
    for name, place in places.items():
        model = AutoModelForSequenceClassification.from_pretrained(place, use_safetensors=True).eval()
        tokenizer = AutoTokenizer.from_pretrained(place)
        assert [model.config.id2label[i] for i in range(5)] == report.labels
        if name != "teacher":
            expected = f"kd_{family}" if family in NETWORKS else family
            assert model.config.model_type == expected
        with torch.no_grad():
            rows = [torch.tensor([tokenizer(text)["input_ids"]]) for text in table["text"]]
            logits = torch.cat([model(row).logits for row in rows]).numpy()
        np.testing.assert_allclose(np.stack(table[name]), logits, atol=1e-4)
        accuracy = float((logits.argmax(axis=1) == table["label"]).mean())
        who = name.partition("-")[0]
        assert getattr(report, who).accuracy == pytest.approx(accuracy)
        assert getattr(report, who).params == sum(p.numel() for p in model.parameters())


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

    def count(self, *_) -> None:
        self.passes[self._stage] += 1

    def looks(self, who) -> list[Evaluated]:
        return [event for event in self.events if isinstance(event, Evaluated) and event.who == who]

    @property
    def cached(self) -> dict[str, bool]:
        """Of stages 1 and 2, and of each training."""
        stages = {e.stage: e.cached for e in self.events if isinstance(e, StageFinished)}
        trainings = {e.who: e.cached for e in self.events if isinstance(e, TrainingStarted)}
        return {"teach": stages["teach"], "record": stages["record"]} | trainings


@pytest.fixture
def watched(kd_home, monkeypatch):
    """``watched(config)``: a run in this test's ``KD_HOME``, as (report, ``Watch``)."""
    load_teacher = pipeline.load_teacher

    def run(config):
        watch = Watch()

        def load_and_watch(*args):
            model, tokenizer = load_teacher(*args)
            model.register_forward_hook(watch.count)
            return model, tokenizer

        monkeypatch.setattr(pipeline, "load_teacher", load_and_watch)
        return distill(config, watch.on_event), watch

    return run


def test_another_objective_or_student_spends_no_pass_of_the_teacher(watched, tiny_config):
    fresh, watch = watched(tiny_config)
    looks = {who: watch.looks(who) for who in ("teacher", "alone")}
    assert all(looks.values())
    assert watch.cached == dict.fromkeys(
        ("teach", "record", "teacher", "student", "alone", "labelled_only"), False
    )
    # 65 texts in batches of 64 by the probe, and of 16 by the training, one look at validation; 65 training
    # and 40 transfer texts in batches of 64; the 15 texts of the replay.
    assert [watch.passes[stage] for stage in ("teach", "record", "distil")] == [8, 3, 1]

    for changes, alone_cached in [
        ({"objective.temperature": 1.0}, True),
        ({"objective.alpha": 0.9, "objective.divergence": "dkd"}, True),
        ({"student.layers": 1}, False),
        ({"training.seeds": (7,)}, False),
    ]:
        report, watch = watched(tiny_config.change(changes))
        # What is left is the latency: 10 passes to warm up and 5 that count.
        assert [watch.passes[stage] for stage in STAGES] == [0, 0, 0, 15]
        assert watch.cached == {
            "teach": True,
            "record": True,
            "teacher": True,
            "student": False,
            "alone": alone_cached,
            "labelled_only": False,
        }
        assert report.cached == {"teach": True, "record": True}
        assert watch.looks("teacher") == looks["teacher"]  # its curve is told though it is not trained
        assert report.teacher.accuracy == fresh.teacher.accuracy
        if alone_cached:
            assert watch.looks("alone") == looks["alone"]
            assert same(student(report, "alone-0"), student(fresh, "alone-0"))
            assert report.models["alone"].seeds == fresh.models["alone"].seeds
            assert not same(student(report), student(fresh))


def test_an_intermediate_term_asks_the_teacher_once_a_step(watched, short_config):
    watched(short_config)
    _, watch = watched(short_config.change({"objective.hidden_weight": 1.0}))
    assert [watch.passes[stage] for stage in ("teach", "record", "distil")] == [0, 0, 3]
    assert [step.intermediate > 0 for step in steps(watch.events)] == [True] * 3


@pytest.mark.parametrize("before", [False, True])
def test_looks_of_a_model_from_the_cache_have_its_scores(watched, short_config, monkeypatch, before):
    """A folder of before has three numbers of each look."""
    config = short_config.change({"training.metric": "macro_f1"})
    if before:
        monkeypatch.setattr(teach, "fit", lambda *args, **kw: [look[:3] for look in fit(*args, **kw)])
    looks = watched(config)[1].looks("teacher")
    assert all(look.score is not None and look.score != look.accuracy for look in looks)
    expected = [replace(look, score=None) for look in looks] if before else looks
    assert watched(config)[1].looks("teacher") == expected


@pytest.mark.parametrize("transfer", [True, False], ids=["transfer", "labelled texts only"])
def test_student_alone_is_a_distillation_at_alpha_1(kd_home, short_config, transfer):
    changes = {"objective.alpha": 1.0} | ({} if transfer else {"task.transfer_texts": 0})
    report = distill(short_config.change(changes))
    assert report.rows["transfer"] == (40 if transfer else 0)
    assert same(student(report), student(report, "alone-0"))
    assert (report.verdict.kind, report.verdict.delta) == ("no_difference", 0.0)


def test_same_seed_same_bits_another_seed_others(tmp_path, monkeypatch, short_config):
    """Dropout is on, and each run starts from an empty ``KD_HOME`` and another random state."""
    reports = []
    for place, seed in (("one", 0), ("two", 0), ("three", 1)):
        monkeypatch.setenv("KD_HOME", str(tmp_path / place))
        torch.rand(len(place))
        reports.append(
            distill(short_config.change({"training.seeds": (seed,), "controls.labelled_only": True}))
        )
    one, two, three = reports
    assert one.cached == two.cached == {"teach": False, "record": False}
    assert one.teacher_key == two.teacher_key
    for who in ("student", "alone", "labelled_only"):
        assert same(student(one, f"{who}-0"), student(two, f"{who}-0"))
        assert not same(student(one, f"{who}-0"), student(three, f"{who}-1"))


def test_each_seed_trains_as_if_it_were_alone(kd_home, short_config, finished_run, tiny_config):
    report = distill(tiny_config.change({"training.seeds": (1,)}))
    for who in ("student", "alone", "labelled_only"):
        assert same(student(report, f"{who}-1"), student(finished_run.report, f"{who}-1"))


def test_the_students_of_a_seed_that_begin_alike_are_built_once(kd_home, short_config, monkeypatch):
    build, seeds = distil.build_student, []

    def counted(*arguments):
        seeds.append(arguments[4])
        return build(*arguments)

    monkeypatch.setattr(distil, "build_student", counted)
    plain = {"controls.plain_start": True, "controls.labelled_only": True}
    report = distill(short_config.change({"training.seeds": (0, 1), "student.init": "projected", **plain}))
    assert set(report.models) == {"teacher", "student", "alone", "labelled_only", "plain_start"}
    assert seeds == [0, 0, 1, 1], "one from the teacher's vectors, one from random weights"


KEYS = {
    "alone": ["e7549241ceed94f871fba6dd9ec6dece"],
    "knowledge": ["5aa63440f042c7169d3699e5a700f27f"],
    "scores": [
        "29f38836a47f611440b79307c2953fd8",
        "4eca5c0d686554060dea5a512bbf714e",
        "8cd36067fd363a2053d3f1b79d54bc62",
    ],
    "teachers": ["1421a522b99dd927cd688ea7701a66d1"],
}


def test_a_run_finds_what_version_0_1_has_cached(kd_home, short_config, monkeypatch):
    """These are the keys of that version, but for the weights, which depend on the machine."""
    for module in (teach, record, distil, validate):
        monkeypatch.setattr(module, "model_hash", lambda model, _: f"hidden {model.config.hidden_size}")
    report = distill(
        short_config.change({"student.init": "projected", "teacher.probe": False, "teacher.weights": "best"})
    )
    used = (Path(report.folder) / "caches.txt").read_text().split()
    known = {f"{kind}/{key}" for kind, keys in KEYS.items() for key in keys}
    assert known <= set(used)
    # That version kept no answers to the validation texts: the teacher's, and those of the student alone.
    assert [key.split("/")[0] for key in set(used) - known] == ["scores", "scores"]


# Events


def test_stages_come_in_order_and_the_run_finishes_last(finished_run):
    told = [e for e in finished_run.events if isinstance(e, StageStarted | StageFinished)]
    assert [(type(e), e.stage) for e in told] == [
        (kind, stage) for stage in STAGES for kind in (StageStarted, StageFinished)
    ]
    said, first = finished_run.events[:2]
    assert isinstance(said, Resolved)
    assert said.config == finished_run.report.config
    assert first == StageStarted("teach")
    assert finished_run.events[-1] == Finished(finished_run.report.run_id)
    seconds = {e.stage: e.seconds for e in told if isinstance(e, StageFinished)}
    assert finished_run.report.seconds == seconds


def test_all_students_of_a_run_get_the_same_steps(finished_run):
    started = [(e.who, e.seed, e.steps) for e in finished_run.events if isinstance(e, TrainingStarted)]
    assert started == [
        ("teacher", 0, 5),
        *((who, seed, 6) for seed in (0, 1) for who in ("student", "alone", "labelled_only")),
    ]
    for who, seed, count in started:
        own = [e for e in steps(finished_run.events, who) if e.seed == seed]
        assert [(e.step, e.steps) for e in own] == [(i, count) for i in range(1, count + 1)]


def test_the_total_is_the_objective_of_its_parts(kd_home, tiny_config):
    goal = {"objective.alpha": 0.25, "objective.cosine_weight": 2.0, "objective.temperature": 3.0}
    events: list = []
    distill(tiny_config.change(goal), events.append)
    for who in ("student", "labelled_only"):
        assert len(steps(events, who)) == 6
        for e in steps(events, who):
            assert e.intermediate > 0
            assert e.loss == pytest.approx(0.25 * e.hard + 0.75 * e.soft + e.intermediate, rel=1e-5)
    for who in ("teacher", "alone"):
        assert {(e.soft, e.intermediate) for e in steps(events, who)} == {(0.0, 0.0)}
        assert all(e.loss == e.hard for e in steps(events, who))


def test_labelled_batches_of_all_students_are_the_same(kd_home, tiny_config, monkeypatch):
    drawn: dict[str, list[list[list[int]]]] = {}

    def on_event(event) -> None:
        if isinstance(event, TrainingStarted):
            drawn[event.who] = []

    def collate(rows, pad_token_id):
        drawn[list(drawn)[-1]].append([row["input_ids"] for row in rows])
        return inference.collate(rows, pad_token_id)

    monkeypatch.setattr(trainer, "collate", collate)
    distill(tiny_config.change({"training.steps": 3}), on_event)
    assert [len(rows) for rows in drawn["student"]] == [16] * 3
    assert [rows[:8] for rows in drawn["student"]] == drawn["alone"] == drawn["labelled_only"]


def test_a_start_before_fine_tuning_and_one_after_it(kd_home, short_config, teacher_folder):
    """With steps too small to matter, each student still is where it started."""
    report = distill(
        short_config.change(
            {
                "student.hidden": 32,
                "student.intermediate": 64,
                "student.layers": 1,
                "student.init": "teacher_layers",
                "teacher.learning_rate": 1e-2,
                "training.learning_rate": 1e-8,
                "controls.untuned_start": True,
            }
        )
    )
    layer = "bert.encoder.layer.{}.attention.self.query.weight"
    before = load_file(Path(teacher_folder("bert")) / "model.safetensors")
    after = load_file(kd_home / "cache" / "teachers" / report.teacher_key / "model.safetensors")
    copied = 0  # of two
    assert not torch.allclose(before[layer.format(copied)], after[layer.format(copied)], atol=1e-3)
    for name, teacher in (("alone-0", after), ("student-0", after), ("untuned_start-0", before)):
        weights = student(report, name)[layer.format(0)]
        assert torch.allclose(weights, teacher[layer.format(copied)], atol=1e-5), name


def test_what_is_doubtful_is_told_once_and_stands_in_the_report(
    kd_home, short_config, tiny_teacher, tmp_path, monkeypatch
):
    monkeypatch.setattr("kd_core.distillation.balance.notes", lambda *_: ["A class is rare."])
    student = tiny_teacher("bert", 1)
    student.config.id2label = {0: "yes", 1: "no", 2: "perhaps", 3: "never", 4: "always"}
    student.save_pretrained(tmp_path / "judge")
    tokenizer = AutoTokenizer.from_pretrained(short_config.teacher.model, trust_remote_code=False)
    tokenizer.save_pretrained(tmp_path / "judge")
    events: list[object] = []
    config = short_config.change(
        {"student.model": str(tmp_path / "judge"), "task.max_length": 8192, "training.seeds": (0, 1)}
    )
    report = distill(config, events.append)
    doubts = [
        "Texts are cut at 66 tokens, not at 8,192: the models have no more positions.",
        "A class is rare.",
        "judge is a classifier of 5 other labels (yes, no, perhaps, never, always). Its head was replaced by "
        "one for the 5 of this task, which starts from nothing.",
    ]
    assert [event.text for event in events if isinstance(event, Note)] == doubts
    begun = next(place for place, event in enumerate(events) if isinstance(event, StageStarted))
    assert [event.text for event in events[:begun] if isinstance(event, Note)] == doubts[:2]
    assert [note for note in report.notes if note in doubts] == doubts


def test_a_plain_dict_is_a_config_too(monkeypatch, kd_home, short_config):
    heard = []

    def four_steps(config, *_):
        heard.append(config)
        raise Stopped("so far")

    monkeypatch.setattr(pipeline, "_four_steps", four_steps)
    with pytest.raises(Stopped, match="so far"):
        distill(short_config.model_dump(mode="json"))
    assert heard == [short_config]
    with pytest.raises(ConfigError, match=r"^objective\.alpha must be between 0 and 1, got 2"):
        distill({"objective": {"alpha": 2}})
    with pytest.raises(ConfigError, match="a config is a mapping of sections, got str"):
        distill("run.yaml")


def test_what_a_user_of_the_package_meets(tmp_path, monkeypatch, kd_home, short_config):
    control = Control()
    control.stop()
    with pytest.raises(Stopped) as stopped:
        distill(short_config, control=control)
    report = distill(short_config, run_id=stopped.value.run_id)
    assert report.run_id == stopped.value.run_id
    assert len(repr(report)) < 2_000
    assert distill(short_config, run_id=report.run_id) == report, "it is done"
    hotter = short_config.change({"objective.temperature": 17.0})
    with pytest.raises(RunError, match=r"with objective\.temperature = .*, not 17\.0\. It is done: "):
        distill(hotter, run_id=report.run_id)

    moved = kd_home.rename(tmp_path / "moved")
    assert Report.read(str(moved / "runs" / report.run_id)).folder == str(moved / "runs" / report.run_id)
    with pytest.raises(RunError, match="a run is named like"):
        distill(short_config, run_id=5)
    with pytest.raises(RunError, match=r"cannot be read"):
        Report.from_dict([1])
    kd_home.write_text("a file", encoding="utf-8")
    with pytest.raises(RunError, match=r"The data folder .* cannot be made: It is a file"):
        distill(short_config)
