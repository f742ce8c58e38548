"""Step 1: the teacher, taught on the pieces of its texts alone where its table of them is large."""

from __future__ import annotations

import copy
from contextlib import suppress

import pytest
import torch

from kd_core.config import DistillConfig
from kd_core.distillation import teach as module
from kd_core.distillation.distil import student_recipe
from kd_core.distillation.events import ignore
from kd_core.distillation.roles import student_variants
from kd_core.distillation.run import Run
from kd_core.models import small_table as tables
from kd_core.models.inference import encode
from kd_core.models.small_table import small_table
from kd_core.system.control import Control

SETTINGS = {
    "task.max_length": 64,
    "teacher.model": "bert",
    "teacher.epochs": 1,
    "teacher.learning_rate": 1e-3,
    "training.precision": "fp32",
    "training.metric": "accuracy",
}


@pytest.mark.parametrize("family", ["bert", "roberta"])  # RoBERTa counts positions from the padding's id
def test_a_small_table_ends_with_the_same_weights(
    family, tiny_teacher, tiny_tokenizer, tiny_task, tmp_path, monkeypatch
):
    model, rows, fit = tiny_teacher(family), [], module.fit
    table = model.get_input_embeddings().num_embeddings

    def taught(home: str, large: int, frozen: bool = True) -> dict[str, torch.Tensor]:
        """The weights of a copy of ``model``."""
        monkeypatch.setenv("KD_HOME", str(tmp_path / home))
        monkeypatch.setattr(tables, "LARGE", large)
        config = DistillConfig().change(SETTINGS | {"teacher.freeze_embeddings": frozen})
        run = Run(tiny_task, config, tmp_path / home / "work", ignore, Control())
        return module.teach(run, copy.deepcopy(model), tiny_tokenizer)[0].model.state_dict()

    def counted(run, recipe, its, *args, **kwargs):
        rows.append(its.get_input_embeddings().num_embeddings)
        return fit(run, recipe, its, *args, **kwargs)

    monkeypatch.setattr(module, "fit", counted)
    usual, small = taught("a", table + 1), taught("b", table)
    assert rows[0] == table > 2 * rows[1]
    assert all(torch.equal(small[name], usual[name]) for name in usual.keys() | small.keys())
    assert any(not torch.equal(usual[name], start) for name, start in model.state_dict().items())
    monkeypatch.setattr(module, "fit", lambda *args, **_: rows.append(args[2].get_input_embeddings()) or [])
    taught("c", table, frozen=False)
    assert rows[2].num_embeddings == table, "decay moves the rows of all pieces"


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

    with suppress(KeyboardInterrupt), small_table(model, [split]) as [renumbered]:
        assert list(renumbered["label"]) == list(split["label"])
        assert model.get_input_embeddings() is not table
        small = answer(renumbered)
        raise KeyboardInterrupt
    assert model.get_input_embeddings() is table
    assert torch.equal(answer(split), small)


@pytest.mark.parametrize(("limit", "dropped"), [(128, True), (129, False)])
def test_of_long_texts_no_attention_is_dropped(
    limit, dropped, tiny_teacher, tiny_tokenizer, tiny_task, kd_home, monkeypatch
):
    training = {"training.steps": 2, "training.evaluate_every": 1, "training.learning_rate": 1e-3}
    config = DistillConfig().change(SETTINGS | training | {"task.max_length": limit})
    recipes: list = []
    monkeypatch.setattr(module, "fit", lambda _, recipe, *__, **___: recipes.append(recipe) or [])
    module.teach(
        Run(tiny_task, config, kd_home / "work", ignore, Control()), tiny_teacher("bert"), tiny_tokenizer
    )
    recipes.append(student_recipe(config, student_variants(config, 0)[0], 0))
    assert [recipe.attention_dropout for recipe in recipes] == [dropped] * 2
