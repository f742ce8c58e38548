"""Terms that compare inner states: each on each family that has them, and how they leave the models."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from kd_core.config import ObjectiveConfig, StudentConfig
from kd_core.data.task import unlabelled
from kd_core.distillation.training.intermediate import (
    PROJECTION,
    IntermediateTerms,
    without_attention_dropout,
)
from kd_core.errors import ModelError
from kd_core.models.inference import collate, encode
from kd_core.models.loading import new_model
from kd_core.models.students import build_student
from tests.unit.conftest import FAMILIES

TERMS = ("hidden_weight", "cosine_weight", "attention_weight", "relation_weight")
SUPPORTED = [
    (family, term)
    for family in FAMILIES
    for term in TERMS
    if (family, term) != ("modernbert", "relation_weight")
]
TEXTS = ["goal", "the minister wins a vote in parliament", "a big bank", "chip robot laptop today"]


@pytest.fixture
def pair(tiny_teacher, tiny_tokenizer, tiny_task):
    """``pair("bert")``: student, its tokenizer, teacher, its tokenizer. The student knows fewer pieces."""

    def make(family: str = "bert", **settings):
        teacher = tiny_teacher(family)
        config = StudentConfig(**{"model": "custom", "layers": 2, "hidden": 16, "heads": 2} | settings)
        student, tokenizer = build_student(config, teacher, tiny_tokenizer, tiny_task, seed=0)
        return student, tokenizer, teacher, tiny_tokenizer

    return make


def batch_of(tokenizer, model) -> dict[str, torch.Tensor]:
    rows = [{"input_ids": ids} for ids in encode(tokenizer, unlabelled(TEXTS), 64)["input_ids"]]
    return collate(rows, model.config.pad_token_id)


def value_of(terms: IntermediateTerms, student, texts) -> torch.Tensor:
    return terms(student(**texts, **terms.wanted_outputs), texts)


@pytest.mark.parametrize(("family", "term"), SUPPORTED)
def test_a_term_is_finite_and_reaches_the_student_only(pair, family, term):
    student, own, teacher, other = pair(family)
    terms = IntermediateTerms(ObjectiveConfig(**{term: 1.0}), student, own, teacher, other)
    texts = batch_of(own, student)
    value = value_of(terms, student.train(), texts)
    assert torch.isfinite(value)
    assert value > 0
    value.backward()
    gradients = {name: p.grad for name, p in student.named_parameters() if p.grad is not None}
    assert any("embeddings." in name for name in gradients)
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert sum(float(gradient.abs().sum()) for gradient in gradients.values()) > 0
    assert all(p.grad is None for p in teacher.parameters())
    assert not teacher.training
    terms.close()


@pytest.mark.parametrize(("family", "term"), SUPPORTED)
def test_equal_models_give_0_and_the_weight_multiplies(tiny_teacher, tiny_tokenizer, family, term):
    teacher, student = tiny_teacher(family), tiny_teacher(family)
    texts = batch_of(tiny_tokenizer, teacher)

    def value(student, weight: float) -> float:
        goal = ObjectiveConfig(**{term: weight})
        terms = IntermediateTerms(goal, student, tiny_tokenizer, teacher, tiny_tokenizer)
        found = value_of(terms, student.eval(), texts).item()
        terms.close()
        return found

    assert value(student, 1.0) == pytest.approx(0.0, abs=1e-6)
    other = tiny_teacher(family, seed=1)
    assert value(other, 1.0) > 1e-4
    assert value(other, 3.0) == pytest.approx(3 * value(other, 1.0), rel=1e-4)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_padding_and_renumbered_pieces_do_not_matter(pair, family):
    """Each text alone, unpadded, compared by hand with the teacher's states for the teacher's own ids."""
    student, own, teacher, other = pair(family, hidden=32, init="random")
    assert len(own) < len(other), "the student's ids are others"
    goal = ObjectiveConfig(hidden_weight=1.0)
    terms = IntermediateTerms(goal, student, own, teacher, other)
    found = value_of(terms, student.eval(), batch_of(own, student))
    squares = []
    with torch.no_grad():
        for text in TEXTS:
            ids = [torch.tensor([tokenizer(text)["input_ids"]]) for tokenizer in (own, other)]
            ours = student(ids[0], output_hidden_states=True).hidden_states[1:]
            theirs = teacher(ids[1], output_hidden_states=True).hidden_states[1:]
            # 2 layers against 4: the second and the last.
            squares.append(torch.stack([(ours[i] - theirs[k]).square() for i, k in ((0, 1), (1, 3))]))
    by_hand = torch.cat([s.reshape(2, -1) for s in squares], dim=1).mean()
    assert found.item() == pytest.approx(by_hand.item(), rel=1e-4)
    terms.close()


def test_terms_add_up(pair):
    student, own, teacher, other = pair()
    texts = batch_of(own, student)

    def value(**weights: float) -> float:
        with torch.random.fork_rng():
            torch.manual_seed(0)  # of the projections
            terms = IntermediateTerms(ObjectiveConfig(**weights), student.eval(), own, teacher, other)
        found = value_of(terms, student, texts).item()
        terms.close()
        return found

    weights = dict(zip(TERMS, (0.5, 2.0, 3.0, 0.25), strict=True))
    parts = [value(**{name: weight}) for name, weight in weights.items()]
    assert value(**weights) == pytest.approx(sum(parts), rel=1e-4)


# What a family lacks


@pytest.mark.parametrize("term", TERMS)
def test_a_bilstm_has_nothing_to_compare(pair, term):
    student, own, teacher, other = pair(model="bilstm")
    text = {
        "relation_weight": r"^kd_bilstm has no value projection of its own; set relation_weight to 0\.$",
    }.get(term, r"^A kd_bilstm model has no transformer layers to compare; set hidden, cosine, attention and")
    with pytest.raises(ModelError, match=text):
        IntermediateTerms(ObjectiveConfig(**{term: 1.0}), student, own, teacher, other)


def test_modernbert_has_no_value_projection(pair):
    with pytest.raises(
        ModelError, match=r"^modernbert has no value projection of its own; set relation_weight to 0\.$"
    ):
        IntermediateTerms(ObjectiveConfig(relation_weight=1.0), *pair("modernbert"))


def test_other_pieces_cannot_be_compared(pair, tiny_tokenizer):
    from transformers import BertTokenizerFast

    student, _, teacher, other = pair()
    pieces = [*list(tiny_tokenizer.get_vocab())[:3], "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Tor"]
    own = BertTokenizerFast(vocab={piece: i for i, piece in enumerate(dict.fromkeys(pieces))})
    text = (
        rf"^Student and teacher cut texts differently: 1 of the student's {len(own)} pieces .*'Tor' for one\."
    )
    with pytest.raises(ModelError, match=text):
        IntermediateTerms(ObjectiveConfig(hidden_weight=1.0), student, own, teacher, other)


# What is put on the models, and taken off again


def test_projections_bridge_the_widths_and_are_not_saved(pair, tmp_path):
    student, own, teacher, other = pair()
    before = set(student.state_dict())
    terms = IntermediateTerms(ObjectiveConfig(hidden_weight=1.0), student, own, teacher, other)
    projections = getattr(student, PROJECTION)
    assert [tuple(p.weight.shape) for p in projections] == [(32, 16)] * 2
    value_of(terms, student, batch_of(own, student)).backward()
    assert all(p.weight.grad.abs().sum() > 0 for p in projections), "they learn too"
    terms.close()
    assert set(student.state_dict()) == before


def test_equal_widths_need_no_projection(pair):
    student, own, teacher, other = pair(hidden=32)
    terms = IntermediateTerms(ObjectiveConfig(cosine_weight=1.0), student, own, teacher, other)
    assert [type(p) for p in getattr(student, PROJECTION)] == [nn.Identity] * 2
    terms.close()


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_maps_are_distributions_while_training(pair, family):
    """Dropout of attention probabilities is silent, that of embeddings is not; all come back."""
    student, own, teacher, other = pair(family)
    dropouts = {name: m for name, m in student.named_modules() if isinstance(m, nn.Dropout)}
    for module in dropouts.values():
        module.p = 0.25
    terms = IntermediateTerms(ObjectiveConfig(attention_weight=1.0), student, own, teacher, other)
    texts = batch_of(own, student)
    outputs = student.train()(**texts, **terms.wanted_outputs)
    for attention in outputs.attentions:
        torch.testing.assert_close(attention.sum(-1), torch.ones_like(attention.sum(-1)))
    again = student(**texts, **terms.wanted_outputs)
    assert not torch.equal(outputs.attentions[-1], again.attentions[-1]), "dropout before it is at work"
    terms.close()
    assert {module.p for module in dropouts.values()} == {0.25}


def test_no_hook_and_no_slower_attention_stays(pair):
    student, own, teacher, other = pair()
    kinds = [model.config._attn_implementation for model in (student, teacher)]
    assert "eager" not in kinds
    goal = ObjectiveConfig(hidden_weight=1.0, attention_weight=1.0, relation_weight=1.0)
    terms = IntermediateTerms(goal, student, own, teacher, other)
    hooks = sum(len(m._forward_hooks) for model in (student, teacher) for m in model.modules())
    assert hooks == 2
    terms.close()
    assert not any(m._forward_hooks for model in (student, teacher) for m in model.modules())
    assert [model.config._attn_implementation for model in (student, teacher)] == kinds


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "albert", "electra", "deberta-v2"])
def test_only_the_dropout_of_attention_is_left_out(tiny_teacher, family):
    """ALBERT has that of its output beside it, and DeBERTa that of its positions."""
    config = copy.deepcopy(tiny_teacher(family).config)
    rate = "attention_dropout" if family == "distilbert" else "attention_probs_dropout_prob"
    setattr(config, rate, 0.3)
    setattr(config, "dropout" if family == "distilbert" else "hidden_dropout_prob", 0.2)
    model = new_model(config, seed=0)
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    before = [dropout.p for dropout in dropouts]
    with without_attention_dropout(model):
        assert [dropout.p for dropout in dropouts] == [0.0 if p == 0.3 else p for p in before]
    assert [dropout.p for dropout in dropouts] == before
    assert {0.3, 0.2} <= set(before)
