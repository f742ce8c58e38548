"""Step 1: the teacher, taught on the pieces of its texts alone where its table of them is large."""

from __future__ import annotations

import copy

import pytest
import torch

from kd_core.config import DistillConfig
from kd_core.distillation import teach as module
from kd_core.distillation.distil import student_recipe
from kd_core.distillation.events import ignore
from kd_core.distillation.roles import student_variants
from kd_core.distillation.run import Run
from kd_core.distillation.teach import teach
from kd_core.models import small_table as tables
from kd_core.models.inference import encode
from kd_core.models.small_table import small_table
from kd_core.system.control import Control

TWO_EPOCHS = {
    "task.max_length": 64,
    "teacher.model": "bert",
    "teacher.epochs": 2,
    "teacher.learning_rate": 1e-3,
    "training.precision": "fp32",
    "training.metric": "accuracy",
}


def taught(model, tokenizer, task, home, monkeypatch, *, large: int, frozen: bool = True):
    """The weights of a copy of ``model``, and the rows of its table while it was trained."""
    rows = []

    def fit(run, recipe, its, *args, **kwargs):
        rows.append(its.get_input_embeddings().num_embeddings)
        return true_fit(run, recipe, its, *args, **kwargs)

    true_fit = module.fit
    with monkeypatch.context() as patch:
        patch.setenv("KD_HOME", str(home))
        patch.setattr(module, "fit", fit)
        patch.setattr(tables, "LARGE", large)
        config = DistillConfig().change(TWO_EPOCHS | {"teacher.freeze_embeddings": frozen})
        run = Run(task, config, home / "work", ignore, Control())
        teacher, _ = teach(run, copy.deepcopy(model), tokenizer)
    return teacher.model.state_dict(), rows[0]


@pytest.mark.parametrize("family", ["bert", "roberta"])  # RoBERTa counts positions from the padding's id
def test_a_small_table_ends_with_the_same_weights(
    family, tiny_teacher, tiny_tokenizer, tiny_task, tmp_path, monkeypatch
):
    model = tiny_teacher(family)
    table = model.get_input_embeddings().num_embeddings
    made = (model, tiny_tokenizer, tiny_task)
    usual, rows = taught(*made, tmp_path / "a", monkeypatch, large=table + 1)
    assert rows == table
    small, rows = taught(*made, tmp_path / "b", monkeypatch, large=table)
    assert rows < table / 2
    assert all(torch.equal(small[name], usual[name]) for name in usual.keys() | small.keys())
    assert any(not torch.equal(usual[name], start) for name, start in model.state_dict().items())
    _, rows = taught(*made, tmp_path / "c", monkeypatch, large=table, frozen=False)
    assert rows == table  # decay moves the rows of all pieces


def test_the_table_is_whole_again_when_a_training_is_stopped(
    tiny_teacher, tiny_tokenizer, tiny_task, monkeypatch
):
    monkeypatch.setattr(tables, "LARGE", 1)
    model = tiny_teacher("bert")
    table = model.get_input_embeddings()
    split = encode(tiny_tokenizer, tiny_task.train, 64)

    def answer(rows):
        with torch.no_grad():
            return model(torch.tensor([rows[0]["input_ids"]])).logits

    stopped = small_table(model, [split])
    [renumbered] = stopped.__enter__()
    assert list(renumbered["label"]) == list(split["label"])
    assert model.get_input_embeddings() is not table
    small = answer(renumbered)
    stopped.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert model.get_input_embeddings() is table
    assert torch.equal(answer(split), small)


@pytest.mark.parametrize(("limit", "dropped"), [(128, True), (129, False)])
def test_of_long_texts_no_attention_is_dropped(
    limit, dropped, tiny_teacher, tiny_tokenizer, tiny_task, kd_home
):
    config = DistillConfig().change(
        TWO_EPOCHS
        | {"task.max_length": limit, "training.steps": 2, "training.evaluate_every": 1}
        | {"training.learning_rate": 1e-3}
    )
    run, recipes = Run(tiny_task, config, kd_home / "work", ignore, Control()), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "fit", lambda _, recipe, *__, **___: recipes.append(recipe) or [])
        teach(run, tiny_teacher("bert"), tiny_tokenizer)
    variant = next(variant for variant in student_variants(config, 0) if variant.who == "student")
    recipes.append(student_recipe(config, variant, 0))
    assert [recipe.attention_dropout for recipe in recipes] == [dropped] * 2
