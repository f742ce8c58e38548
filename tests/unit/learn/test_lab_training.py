"""The labs that train, on a tiny task: their cells, and interruptions."""

from __future__ import annotations

import json

import pytest
from safetensors.torch import load_file

from kd_core import job_kinds
from kd_core.distillation.events import Progress
from kd_core.distillation.training import TRAINING_VERSION
from kd_core.errors import Stopped
from kd_core.jobs.runner import Job
from kd_core.jobs.store import Store
from kd_core.learn import lab_training
from kd_core.learn.lab_results import LabConfig, cells_of, soft_over_hard, start_over_random, transfer_table
from kd_core.learn.lab_training import run_lab, transfer_trainings
from kd_core.system import paths
from kd_core.system.control import Control


@pytest.fixture
def config(short_config) -> LabConfig:
    return LabConfig(distil=short_config, transfer=(0, 8, 40), seeds=(0, 1))


def names(report) -> list[tuple[str, int]]:
    return [(cell["name"], cell["seed"]) for cell in report["cells"]]


def test_cells():
    cells = transfer_trainings(LabConfig(transfer=(500, 0, 500), seeds=(3,)))
    assert [(cell.name, cell.seed, cell.variant.who, cell.variant.transfer) for cell in cells] == [
        ("student alone", 3, "alone", 0),
        ("0 transfer texts", 3, "student", 0),
        ("500 transfer texts", 3, "student", 500),
        ("500 hard answers", 3, "hard_answers", 500),
        ("random start", 3, "plain_start", 0),
    ]
    assert cells[0].variant.objective.alpha == 1
    assert cells[3].variant.objective.divergence == "hard_answers"
    assert len(transfer_trainings(LabConfig(transfer=(0,), seeds=(3,)))) == 3, "the labelled texts alone"


def test_a_lab_from_start_to_end(kd_home, config):
    events, kept = [], []
    report = run_lab(
        config.distil, transfer_trainings(config), kd_home / "work", events.append, keep=kept.append
    )
    assert [len(part["cells"]) for part in kept] == list(range(1, 13)), "each cell is kept when it is done"
    assert kept[-1] == report
    assert json.loads(json.dumps(report)) == report
    assert report["test_texts"] == 25
    assert set(report["teacher"]) == {"accuracy"}
    curve = transfer_table(report)
    assert curve["transfer"].to_list() == [0, 0, 8, 40, 40]
    assert curve["who"].to_list() == ["alone", "student", "student", "hard_answers", "student"]
    assert curve["seeds"].to_list() == [2] * 5
    soft = soft_over_hard(report)
    assert soft is not None
    assert soft.seeds == 2
    assert soft.delta == pytest.approx(curve["accuracy"].iloc[4] - curve["accuracy"].iloc[3])
    start, random = start_over_random(report), cells_of(report, who="plain_start")
    assert start is not None
    assert [one["answers"] for one in random] != [one["answers"] for one in cells_of(report, who="alone")]
    mean = sum(cell["accuracy"] for cell in random) / 2
    assert start.delta == pytest.approx(curve["accuracy"].iloc[0] - mean)
    told = [event for event in events if isinstance(event, Progress)]
    assert {event.total for event in told} == {12 * 3}
    assert [event.done for event in told] == sorted(event.done for event in told)
    assert told[-1].done == 12 * 3
    assert {"teaching the teacher", "student alone, seed 0", "8 transfer texts, seed 1"} <= {
        event.label for event in told
    }
    found = {
        name: load_file(kd_home / "work" / name / "students" / "student-0" / "model.safetensors")
        for name in ("0 transfer texts", "8 transfer texts", "40 transfer texts")
    }
    shapes = {str({key: value.shape for key, value in weights.items()}) for weights in found.values()}
    assert len(shapes) == 1, "the same word pieces, whatever the student learns from"
    heads = [weights["classifier.weight"].sum().item() for weights in found.values()]
    assert len(set(heads)) == 3, "but other weights in the end"


@pytest.mark.slow
def test_a_stopped_lab_continues(kd_home, config):
    cells, work = transfer_trainings(config), kd_home / "work"
    control, kept = Control(), []

    def keep(report):
        kept.append(report)
        if len(report["cells"]) == 3:
            control.stop()

    with pytest.raises(Stopped):
        run_lab(config.distil, cells, work, control=control, keep=keep)
    assert names(kept[-1]) == [(cell.name, cell.seed) for cell in cells[:3]]
    rest = []
    report = run_lab(config.distil, cells, work, before=kept[-1], keep=rest.append)
    assert len(rest) == 9, "what was measured is not measured again"
    assert names(report) == [(cell.name, cell.seed) for cell in cells]
    assert report["cells"][:3] == kept[-1]["cells"]
    whole = run_lab(config.distil, cells, kd_home / "other")
    assert whole["cells"] == report["cells"], "the numbers of an undisturbed lab"


def test_another_training_version_is_measured_again(kd_home, config, monkeypatch):
    trainings, kept = transfer_trainings(config)[:2], []
    before = run_lab(config.distil, trainings, kd_home / "work")
    monkeypatch.setattr(lab_training, "TRAINING_VERSION", TRAINING_VERSION + 1)
    after = run_lab(config.distil, trainings, kd_home / "other", before=before, keep=kept.append)
    assert (before["training_version"], after["training_version"]) == (
        TRAINING_VERSION,
        TRAINING_VERSION + 1,
    )
    assert [names(report) for report in kept] == [names(before)[:1], names(before)]


@pytest.mark.slow
def test_a_lab_as_a_job(kd_home, config):
    config = config.model_copy(update={"transfer": (0, 8), "seeds": (0,)})
    store, run_id = Store(), "20260131-143000-a1b2"
    store.create_run(run_id, config.model_dump(mode="json"), kind="lab", name="Lab")
    counts = []

    def look(event):
        if isinstance(event, Progress) and event.label == "8 transfer texts, seed 0":
            counts.append(len(store.report_json(run_id)["cells"]))
            job.control.stop()

    job = Job(store, run_id, job_kinds.HANDLERS["lab"], on_event=look)
    with pytest.raises(Stopped):
        job.run()
    assert set(counts) == {2}, "the two that are done can be seen while the third is trained"
    assert store.run(run_id).status == "stopped"
    assert store.set_status(run_id, "queued", only=("stopped",))
    Job(store, run_id, job_kinds.HANDLERS["lab"]).run()
    assert len(store.report_json(run_id)["cells"]) == 5
    assert store.run(run_id).status == "done"
    assert not (paths.work() / run_id).exists()
    store.close()
