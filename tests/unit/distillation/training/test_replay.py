"""The replay of a run: what is recorded, that recording changes nothing, and what is read out of it."""

from __future__ import annotations

from functools import partial
from math import exp

import numpy as np
import pandas as pd
import pytest
import torch

from kd_core.distillation.events import Step
from kd_core.distillation.training.replay import FILE, MOMENTS, Replay, ReplayRecorder, moments
from kd_core.distillation.training.trainer import train
from kd_core.errors import RunError
from tests.unit.conftest import tiny_recipe
from tests.unit.distillation.training.trained import at_step, same, stopped, train_it, weights

RECIPE = tiny_recipe(steps=4, evaluate_every=2)


def play(rows: list[list[int]], steps: tuple[int, ...] = (0, 25, 50, 100)) -> Replay:
    """Three classes; ``rows`` are the student's answers by moment, and the teacher always says 0."""
    student = 4.0 * np.eye(3, dtype=np.float32)[np.array(rows)]
    texts = len(rows[0])
    return Replay(
        labels=("a", "b", "c"),
        texts=tuple(f"text {i}" for i in range(texts)),
        truth=np.array([0, 1] * texts)[:texts],
        steps=steps,
        teacher=np.tile(np.array([4, 0, 0], dtype=np.float32), (texts, 1)),
        student=student,
    )


def test_moments():
    found = moments(900)
    assert len(found) == MOMENTS == 40
    assert found[:6] == [0, 1, 2, 5, 9, 15]
    assert found[-2:] == [854, 900]
    assert moments(1) == [0, 1]
    assert moments(9) == list(range(10))


def test_learned_early_late_and_never():
    #            always  since 25  since 50  in the end  never  forgotten  there and back
    answers = [
        [0, 1, 1, 1, 2, 0, 0],
        [0, 0, 1, 1, 2, 0, 0],
        [0, 0, 0, 1, 2, 0, 1],
        [0, 0, 0, 0, 2, 1, 0],
    ]
    found = play(answers)
    assert found.learned_at() == [0, 25, 50, 100, None, None, 100]
    assert found.learned() == ["early", "early", "late", "late", "never", "never", "late"]
    assert found.agrees.mean(axis=1) == pytest.approx([3 / 7, 4 / 7, 4 / 7, 5 / 7])
    assert found.table().loc[4].to_list() == ["text 4", pd.NA, "a", "a", "c", "never"]
    assert found.table().loc[2, "step"] == 50


def test_divergence_is_the_mean_kl():
    found = play([[0, 1], [0, 0], [0, 0], [0, 0]])
    # Logits (4, 0, 0) against (0, 4, 0): the logarithms of two classes differ, by 4 and by -4.
    kl = 4 * (exp(4) - 1) / (exp(4) + 2)
    assert found.divergence() == pytest.approx([kl / 2, 0, 0, 0])


@pytest.fixture
def recorder(splits):
    return lambda: ReplayRecorder(splits["validation"].select(range(4)), RECIPE.steps)


def test_recording_sees_each_step_and_changes_no_bit(trainer, recorder, splits):
    ids, seen, recording = torch.tensor([splits["validation"][0]["input_ids"]]), {}, recorder()

    def logits(model) -> np.ndarray:
        training = model.training
        with torch.no_grad():
            found = model.eval()(ids).logits[0].numpy()
        model.train(training)
        return found

    def look(event):
        if isinstance(event, Step):
            seen[event.step] = logits(looked_at.model)

    looked_at = trainer(RECIPE, dropout=0.2, recorder=recording, on_event=look)
    seen[0] = logits(looked_at.model)
    train(looked_at)
    assert list(recording.logits) == sorted(seen) == [0, 1, 2, 3, 4]
    for step, expected in seen.items():
        assert recording.logits[step][0] == pytest.approx(expected, abs=1e-5)
    assert not np.array_equal(recording.logits[0], recording.logits[4])
    assert same(weights(looked_at), weights(train_it(trainer(RECIPE, dropout=0.2))))


def test_a_resumed_training_has_all_moments(trainer, recorder, tmp_path):
    whole, rest = recorder(), recorder()
    train(trainer(RECIPE, recorder=whole))

    def start(on_event, control):
        train(trainer(RECIPE, recorder=recorder(), control=control, on_event=on_event))

    stopped(start, at_step(2))
    train(trainer(RECIPE, recorder=rest))
    assert rest.complete
    assert rest.logits.keys() == whole.logits.keys()
    assert all(np.array_equal(rest.logits[step], logits) for step, logits in whole.logits.items())
    later = recorder()
    later.load(tmp_path)  # an earlier version's checkpoint has no record
    for step in (3, 4):
        later.record(step, partial(whole.logits.get, step))
    assert (sorted(later.logits), later.complete) == ([3, 4], False)


def test_a_run_keeps_one_of_its_first_student(finished_run):
    files = sorted(path.relative_to(finished_run.folder) for path in finished_run.folder.rglob("replay*"))
    assert [str(file) for file in files] == [FILE], "of one student, and in the run's folder alone"
    found = Replay.read(finished_run.folder, finished_run.report.labels)
    assert found.steps == (0, 1, 2, 3, 4, 5, 6)
    assert (found.student.shape, found.teacher.shape) == ((7, 15, 5), (15, 5))
    assert len(set(found.texts)) == 15
    assert set(found.truth) <= set(range(5))


def test_a_replay_is_read_as_it_was_written(tmp_path):
    kept = play([[0, 1], [0, 1], [1, 0], [0, 0]])
    kept.write(tmp_path)
    read = Replay.read(tmp_path, ["a", "b", "c"])
    assert (read.labels, read.texts, read.steps) == (kept.labels, kept.texts, kept.steps)
    for name in ("truth", "teacher", "student"):
        assert np.array_equal(getattr(read, name), getattr(kept, name)), name


def test_a_missing_or_damaged_replay_says_so(tmp_path):
    with pytest.raises(RunError, match=r"has no replay: .* Start it again to get one\.$"):
        Replay.read(tmp_path, ["a"])
    (tmp_path / FILE).write_bytes(b"PAR1 no more")
    with pytest.raises(RunError, match=r"is damaged: replay\.parquet cannot be read\.$"):
        Replay.read(tmp_path, ["a"])
