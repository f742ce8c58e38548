"""The replay of a run: what is kept, that keeping it changes nothing, and what is read out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from kd_core.config import DistillConfig
from kd_core.distillation.events import Step
from kd_core.distillation.training.replay import FILE, MOMENTS, Replay, ReplayRecorder, moments
from kd_core.distillation.training.trainer import train
from kd_core.errors import RunError, Stopped
from kd_core.system.control import Control
from tests.unit.conftest import tiny_recipe
from tests.unit.distillation.training.played import play

RECIPE = tiny_recipe(steps=9, evaluate_every=3)


def test_moments():
    found = moments(900)
    assert len(found) == MOMENTS == 40
    assert found[:6] == [0, 1, 2, 5, 9, 15]
    assert found[-2:] == [854, 900]
    assert moments(1) == [0, 1]
    assert moments(9) == list(range(10))


def test_learned_early_late_and_never():
    #            always  since 25  since 50  in the end  never  forgotten  there and back
    found = play(
        [
            [0, 1, 1, 1, 2, 0, 0],
            [0, 0, 1, 1, 2, 0, 0],
            [0, 0, 0, 1, 2, 0, 1],
            [0, 0, 0, 0, 2, 1, 0],
        ]
    )
    assert found.learned_at() == [0, 25, 50, 100, None, None, 100]
    assert found.learned() == ["early", "early", "late", "late", "never", "never", "late"]
    assert found.agrees.mean(axis=1) == pytest.approx([3 / 7, 4 / 7, 4 / 7, 5 / 7])
    table = found.table()
    assert table.loc[4].to_list() == ["text 4", pd.NA, "a", "a", "c", "never"]
    assert table.loc[2, "step"] == 50


def test_divergence_is_the_mean_kl():
    found = play([[0, 1], [0, 0], [0, 0], [0, 0]])
    p, q = torch.softmax(torch.tensor([[4.0, 0, 0]]), -1), torch.softmax(torch.tensor([[0, 4.0, 0]]), -1)
    kl = float((p * (p / q).log()).sum())
    assert found.divergence() == pytest.approx([kl / 2, 0, 0, 0])


def weights(trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def recorder(splits):
    return lambda: ReplayRecorder(splits["validation"].select(range(4)), RECIPE.steps)


def test_weights_are_the_same_bit_for_bit_with_and_without(trainer, recorder):
    recipe = replace(RECIPE, who="student")
    plain = trainer(recipe, dropout=0.2)
    train(plain)
    recording = recorder()
    looked_at = trainer(recipe, dropout=0.2, recorder=recording)
    train(looked_at)
    assert same(weights(plain), weights(looked_at))
    assert list(recording.logits) == list(range(10))
    assert not np.array_equal(recording.logits[0], recording.logits[9])


def test_what_is_seen_is_the_model_of_that_step(trainer, recorder, splits):
    recording = recorder()
    subject = trainer(RECIPE, recorder=recording)
    ids = splits["validation"][0]["input_ids"]
    with torch.no_grad():
        before = subject.model.eval()(torch.tensor([ids])).logits[0].numpy()
    seen = {}

    def look(event):
        if isinstance(event, Step):
            training = subject.model.training
            with torch.no_grad():
                seen[event.step] = subject.model.eval()(torch.tensor([ids])).logits[0].numpy()
            subject.model.train(training)

    subject = trainer(RECIPE, recorder=recording, on_event=look)
    train(subject)
    assert recording.logits[0][0] == pytest.approx(before, abs=1e-5)
    for step, logits in seen.items():
        assert recording.logits[step][0] == pytest.approx(logits, abs=1e-5)
    assert sorted(seen) == list(range(1, 10))


def test_a_resumed_training_has_all_moments(trainer, recorder):
    whole = recorder()
    train(trainer(RECIPE, recorder=whole))
    control = Control()

    def stop(event):
        if isinstance(event, Step) and event.step == 5:
            control.stop()

    with pytest.raises(Stopped):
        train(trainer(RECIPE, recorder=recorder(), control=control, on_event=stop))
    rest = recorder()
    train(trainer(RECIPE, recorder=rest))
    assert rest.complete
    assert rest.logits.keys() == whole.logits.keys()
    for step, logits in whole.logits.items():
        assert np.array_equal(rest.logits[step], logits), step


def test_one_resumed_from_a_checkpoint_without_a_record_is_not_whole(trainer, recorder):
    control = Control()

    def stop(event):
        if isinstance(event, Step) and event.step == 5:
            control.stop()

    with pytest.raises(Stopped):
        train(trainer(RECIPE, control=control, on_event=stop))
    rest = recorder()
    train(trainer(RECIPE, recorder=rest))
    assert min(rest.logits) == 6
    assert not rest.complete


def test_a_run_keeps_one_of_its_first_student(finished_run):
    files = sorted(path.relative_to(finished_run.folder) for path in finished_run.folder.rglob("replay*"))
    assert [str(file) for file in files] == [FILE], "of one student, and in the run's folder alone"
    found = Replay.read(finished_run.folder, finished_run.report.labels)
    assert found.steps == (0, 1, 2, 3, 4, 5, 6)
    assert found.student.shape == (7, 15, 5)
    assert found.teacher.shape == (15, 5)
    assert len(set(found.texts)) == 15
    assert set(found.truth) <= set(range(5))
    config = DistillConfig.from_file(finished_run.folder / "config.yaml")
    assert found.steps[-1] == config.training.steps


def test_it_is_read_as_it_was_written(tmp_path):
    kept = play([[0, 1], [0, 1], [1, 0], [0, 0]])
    kept.write(tmp_path)
    read = Replay.read(tmp_path, ["a", "b", "c"])
    assert (read.labels, read.texts, read.steps) == (kept.labels, kept.texts, kept.steps)
    for name in ("truth", "teacher", "student"):
        assert np.array_equal(getattr(read, name), getattr(kept, name)), name


def test_a_run_without_one_says_so(tmp_path):
    with pytest.raises(RunError, match=r"has no replay: .* Start it again to get one\.$"):
        Replay.read(tmp_path, ["a"])
    (tmp_path / FILE).write_bytes(b"PAR1 no more")
    with pytest.raises(RunError, match=r"is damaged: replay\.parquet cannot be read\.$"):
        Replay.read(tmp_path, ["a"])
