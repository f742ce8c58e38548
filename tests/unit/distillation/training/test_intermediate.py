"""Terms that compare inner states, on each family that has them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from transformers import BertTokenizerFast

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
SUPPORTED = [(f, t) for f in FAMILIES for t in TERMS if (f, t) != ("modernbert", "relation_weight")]
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


def value_of(models, texts, **weights: float) -> torch.Tensor:
    """The terms' value for a batch; the models are as before then."""
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of the projections
        terms = IntermediateTerms(ObjectiveConfig(**weights), *models)
    found = terms(models[0](**texts, **terms.wanted_outputs), texts)
    terms.close()
    return found


@pytest.mark.parametrize(("family", "term"), SUPPORTED)
def test_a_term_reaches_the_student_only(pair, family, term):
    models = student, own, teacher, _ = pair(family)
    value = value_of((student.train(), *models[1:]), batch_of(own, student), **{term: 1.0})
    assert torch.isfinite(value)
    assert value > 0
    value.backward()
    gradients = {name: p.grad for name, p in student.named_parameters() if p.grad is not None}
    assert any("embeddings." in name for name in gradients)
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert sum(float(gradient.abs().sum()) for gradient in gradients.values()) > 0
    assert all(p.grad is None for p in teacher.parameters())
    assert not teacher.training


@pytest.mark.parametrize(("family", "term"), SUPPORTED)
def test_equal_models_give_0_and_the_weight_multiplies(tiny_teacher, tiny_tokenizer, family, term):
    teacher = tiny_teacher(family)
    texts = batch_of(tiny_tokenizer, teacher)

    def value(seed: int, weight: float) -> float:
        models = (tiny_teacher(family, seed).eval(), tiny_tokenizer, teacher, tiny_tokenizer)
        return value_of(models, texts, **{term: weight}).item()

    assert value(0, 1.0) == pytest.approx(0.0, abs=1e-6)
    assert value(1, 1.0) > 1e-4
    assert value(1, 3.0) == pytest.approx(3 * value(1, 1.0), rel=1e-4)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_terms_by_hand_from_each_text_alone(pair, family):
    """Without padding, with the teacher's own ids, and with its second and last of four layers."""
    models = student, own, teacher, other = pair(family, hidden=32, init="random")
    assert len(own) < len(other), "the student's ids are others"
    by_hand: dict[str, list[torch.Tensor]] = {term: [] for term in TERMS[:3]}
    for model in (student, teacher):
        model.eval().set_attn_implementation("eager")
    for text in TEXTS:
        with torch.no_grad():
            ours, theirs = (
                model(
                    torch.tensor([tokenizer(text)["input_ids"]]),
                    output_hidden_states=True,
                    output_attentions=True,
                )
                for model, tokenizer in ((student, own), (teacher, other))
            )
        for i, k in ((0, 1), (1, 3)):
            a, b = ours.hidden_states[1 + i], theirs.hidden_states[1 + k]
            s, t = ours.attentions[i], theirs.attentions[k]
            by_hand["hidden_weight"].append((a - b).square().mean(-1)[0])
            by_hand["cosine_weight"].append(1 - torch.cosine_similarity(a, b, dim=-1)[0])
            by_hand["attention_weight"].append((t * (t / s).log()).sum(-1).mean(1)[0])
    for term, values in by_hand.items():
        found = value_of(models, batch_of(own, student), **{term: 1.0})
        assert found.item() == pytest.approx(torch.cat(values).mean().item(), rel=1e-4), term


def test_relation_by_hand_is_that_of_the_last_layers_values(pair):
    models = student, own, teacher, other = pair(hidden=32)
    text, relations = TEXTS[2], []
    for model, tokenizer in ((student.eval(), own), (teacher.eval(), other)):
        states: list[torch.Tensor] = []
        layer = model.bert.encoder.layer[-1].attention.self.value
        hook = layer.register_forward_hook(lambda *call, states=states: states.append(call[2]))
        with torch.no_grad():
            model(torch.tensor([tokenizer(text)["input_ids"]]))
        hook.remove()
        heads = states[0].view(-1, 2, 16).transpose(0, 1)
        relations.append((heads @ heads.transpose(-1, -2) / 4).softmax(-1))
    s, t = relations
    one = {name: tensor[2:3, : s.shape[-1]] for name, tensor in batch_of(own, student).items()}
    found = value_of(models, one, relation_weight=1.0)
    assert found.item() == pytest.approx((t * (t / s).log()).sum(-1).mean().item(), rel=1e-4)


def test_terms_add_up(pair):
    models = student, own, *_ = pair()
    student.eval()
    texts = batch_of(own, student)
    weights = dict(zip(TERMS, (0.5, 2.0, 3.0, 0.25), strict=True))
    parts = [value_of(models, texts, **{name: weight}).item() for name, weight in weights.items()]
    assert value_of(models, texts, **weights).item() == pytest.approx(sum(parts), rel=1e-4)


NO_LAYERS = "^A kd_bilstm model has no transformer layers to compare; set hidden, cosine, attention and relat"
NO_VALUES = r" has no value projection of its own; set relation_weight to 0\.$"


@pytest.mark.parametrize(
    ("settings", "term", "message"),
    [
        *(({"model": "bilstm"}, term, NO_LAYERS) for term in TERMS[:3]),
        ({"model": "bilstm"}, "relation_weight", "^kd_bilstm" + NO_VALUES),
        ({"family": "modernbert"}, "relation_weight", "^modernbert" + NO_VALUES),
    ],
)
def test_what_a_family_lacks_is_refused(pair, settings, term, message):
    with pytest.raises(ModelError, match=message):
        IntermediateTerms(ObjectiveConfig(**{term: 1.0}), *pair(**settings))


def test_a_model_without_attention_maps_is_refused(pair, monkeypatch):
    student, *others = pair()
    monkeypatch.setattr(student, "set_attn_implementation", int)  # raises ValueError, as transformers does
    with pytest.raises(
        ModelError, match=r"^bert does not give its attention maps; set attention_weight to 0"
    ):
        IntermediateTerms(ObjectiveConfig(attention_weight=1.0), student, *others)


def test_pieces_that_the_teacher_does_not_know_are_refused(pair):
    student, _, teacher, other = pair()
    pieces = [*list(other.get_vocab())[:3], "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Tor"]
    own = BertTokenizerFast(vocab={piece: i for i, piece in enumerate(dict.fromkeys(pieces))})
    text = (
        rf"^Student and teacher cut texts differently: 1 of the student's {len(own)} pieces .*'Tor' for one\."
    )
    with pytest.raises(ModelError, match=text):
        IntermediateTerms(ObjectiveConfig(hidden_weight=1.0), student, own, teacher, other)


def test_projections_bridge_the_widths_and_are_taken_off_again(pair):
    models = student, own, *_ = pair()
    before = set(student.state_dict())
    terms = IntermediateTerms(ObjectiveConfig(hidden_weight=1.0), *models)
    projections = getattr(student, PROJECTION)
    assert [tuple(p.weight.shape) for p in projections] == [(32, 16)] * 2
    assert [p.bias for p in projections] == [None] * 2
    texts = batch_of(own, student)
    terms(student(**texts, **terms.wanted_outputs), texts).backward()
    assert all(p.weight.grad.abs().sum() > 0 for p in projections), "they learn too"
    terms.close()
    assert set(student.state_dict()) == before

    student, *others = pair(hidden=32)
    terms = IntermediateTerms(ObjectiveConfig(cosine_weight=1.0), student, *others)
    assert [type(p) for p in getattr(student, PROJECTION)] == [nn.Identity] * 2, "equal widths need none"
    terms.close()


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_maps_are_distributions_while_training(pair, family):
    """Dropout of attention probabilities is off, that of embeddings is on, and all rates come back."""
    models = student, own, *_ = pair(family)
    dropouts = [module for module in student.modules() if isinstance(module, nn.Dropout)]
    for module in dropouts:
        module.p = 0.25
    terms = IntermediateTerms(ObjectiveConfig(attention_weight=1.0), *models)
    texts = batch_of(own, student)
    maps, again = (student.train()(**texts, **terms.wanted_outputs).attentions for _ in range(2))
    for attention in maps:
        torch.testing.assert_close(attention.sum(-1), torch.ones_like(attention.sum(-1)))
    assert not torch.equal(maps[-1], again[-1]), "dropout before it is at work"
    terms.close()
    assert {module.p for module in dropouts} == {0.25}


def test_no_hook_and_no_slower_attention_stays(pair):
    models = student, _, teacher, _ = pair()
    kinds = [model.config._attn_implementation for model in (student, teacher)]
    assert "eager" not in kinds
    terms = IntermediateTerms(ObjectiveConfig(**dict.fromkeys(TERMS, 1.0)), *models)
    hooks = [len(m._forward_hooks) for model in (student, teacher) for m in model.modules()]
    assert sum(hooks) == 2
    terms.close()
    assert not any(m._forward_hooks for model in (student, teacher) for m in model.modules())
    assert [model.config._attn_implementation for model in (student, teacher)] == kinds


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "modernbert"])
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
