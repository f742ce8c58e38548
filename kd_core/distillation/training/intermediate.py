"""Terms of the objective that compare inner states of student and teacher; they need the teacher online.

Which family supports which term: ``hidden`` and ``cosine`` any transformer; ``attention`` those with an eager
attention; ``relation`` those with a value projection of their own (BERT, DistilBERT, RoBERTa, ALBERT,
ELECTRA, DeBERTa-v2; not ModernBERT, whose query, key and value share one matrix). ``bilstm``,
``cnn`` and ``static`` have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kd_core.config import ObjectiveConfig
from kd_core.distillation.training import losses
from kd_core.errors import ModelError
from kd_core.models.size import NETWORKS

# The name of the value projection in each family's attention.
VALUE_NAMES = ("value", "v_lin", "value_proj")
# That of its attention's dropout; beside it ALBERT and DeBERTa have another one.
DROPOUT_NAMES = ("dropout", "attention_dropout")

# The projections are part of the student while it learns, so that checkpoints and the optimizer hold them.
PROJECTION = "distillation_projection"


class IntermediateTerms:
    """Callable: weighted sum of the terms for one batch.

    Raises: ModelError where a family lacks what a term compares, or where the tokenizers differ.
    """

    def __init__(
        self,
        objective: ObjectiveConfig,
        student: PreTrainedModel,
        student_tokenizer: PreTrainedTokenizerFast,
        teacher: PreTrainedModel,
        teacher_tokenizer: PreTrainedTokenizerFast,
    ) -> None:
        self._objective, self._student, self._teacher = objective, student, teacher
        self._opened = ExitStack()
        self._attention_kinds: list[tuple[PreTrainedModel, str]] = []
        self._teacher_ids = _teacher_ids(student_tokenizer, teacher_tokenizer).to(teacher.device)
        teacher.eval()
        self.wanted_outputs: dict[str, bool] = {}
        if objective.hidden_weight or objective.cosine_weight or objective.attention_weight:
            self._layers = losses.layer_map(_layers(student), _layers(teacher))
        if objective.hidden_weight or objective.cosine_weight:
            self.wanted_outputs["output_hidden_states"] = True
            self._add_projections()
        if objective.attention_weight:
            self.wanted_outputs["output_attentions"] = True
            for model in (student, teacher):
                self._attention_kinds.append((model, model.config._attn_implementation))
                _use_eager_attention(model)
            # Attention maps come after dropout, which would make the compared rows sum to anything but 1.
            self._opened.enter_context(without_attention_dropout(student))
        self._values: dict[str, Tensor] = {}
        self._hooks = []
        if objective.relation_weight:
            for who, model in (("student", student), ("teacher", teacher)):
                self._hooks.append(_last_value_projection(model).register_forward_hook(self._keep(who)))

    def __call__(self, student_outputs: Any, texts: dict[str, Tensor]) -> Tensor:
        """``student_outputs`` of ``texts`` (input_ids and attention_mask, both (B, T)) -> scalar."""
        objective, mask = self._objective, texts["attention_mask"]
        with torch.no_grad():
            teacher_outputs = self._teacher(
                input_ids=self._teacher_ids[texts["input_ids"]], attention_mask=mask, **self.wanted_outputs
            )
        total: Tensor = student_outputs.logits.new_zeros(())
        if objective.hidden_weight or objective.cosine_weight:
            states, teacher_states = student_outputs.hidden_states[1:], teacher_outputs.hidden_states[1:]
            projections = getattr(self._student, PROJECTION)
            for projection, state, layer in zip(projections, states, self._layers, strict=True):
                own, other = projection(state), teacher_states[layer]
                if objective.hidden_weight:
                    total = total + objective.hidden_weight * losses.hidden_loss(own, other, mask)
                if objective.cosine_weight:
                    total = total + objective.cosine_weight * losses.cosine_loss(own, other, mask)
            total = total / len(states)
        if objective.attention_weight:
            pairs = [
                (own, teacher_outputs.attentions[layer])
                for own, layer in zip(student_outputs.attentions, self._layers, strict=True)
            ]
            by_layer = [losses.attention_loss(own, other, mask) for own, other in pairs]
            total = total + objective.attention_weight * torch.stack(by_layer).mean()
        if objective.relation_weight:
            own, other = self._heads(self._student, "student"), self._heads(self._teacher, "teacher")
            total = total + objective.relation_weight * losses.relation_loss(own, other, mask)
        return total

    def close(self) -> None:
        """Take everything off the models that was put there for training."""
        for hook in self._hooks:
            hook.remove()
        self._opened.close()
        for model, kind in self._attention_kinds:
            model.set_attn_implementation(kind)
        if hasattr(self._student, PROJECTION):
            delattr(self._student, PROJECTION)

    def _add_projections(self) -> None:
        own, other = self._student.config.hidden_size, self._teacher.config.hidden_size
        projections = [
            nn.Linear(own, other, bias=False) if own != other else nn.Identity() for _ in self._layers
        ]
        self._student.add_module(PROJECTION, nn.ModuleList(projections).to(self._student.device))

    def _keep(self, who: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            self._values[who] = output

        return hook

    def _heads(self, model: PreTrainedModel, who: str) -> Tensor:
        """(B, T, d) of the last value projection -> (B, heads, T, d / heads)."""
        values, heads = self._values[who], model.config.num_attention_heads
        return values.view(*values.shape[:2], heads, -1).transpose(1, 2)


@contextmanager
def without_attention_dropout(model: nn.Module) -> Iterator[None]:
    """While the block runs, a model that is trained drops no attention; its other dropout stays."""
    found = [
        child
        for module in model.modules()
        if any(hasattr(module, name) for name in VALUE_NAMES)
        for name, child in module.named_children()
        if name in DROPOUT_NAMES and isinstance(child, nn.Dropout)
    ]
    rates = [dropout.p for dropout in found]
    for dropout in found:
        dropout.p = 0.0
    try:
        yield
    finally:
        for dropout, rate in zip(found, rates, strict=True):
            dropout.p = rate


def _layers(model: PreTrainedModel) -> int:
    layers = getattr(model.config, "num_hidden_layers", 0)
    if not layers or model.config.model_type in NETWORKS:
        raise ModelError(
            f"A {model.config.model_type} model has no transformer layers to compare; set hidden, cosine, "
            "attention and relation weights to 0."
        )
    return int(layers)


def _use_eager_attention(model: PreTrainedModel) -> None:
    """Attention maps exist only where they are computed one by one."""
    try:
        model.set_attn_implementation("eager")
    except ValueError as error:
        raise ModelError(
            f"{model.config.model_type} does not give its attention maps; set attention_weight to 0."
        ) from error


def _last_value_projection(model: PreTrainedModel) -> nn.Module:
    projections = [
        module
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in VALUE_NAMES and isinstance(module, nn.Linear)
    ]
    if not projections:
        raise ModelError(
            f"{model.config.model_type} has no value projection of its own; set relation_weight to 0."
        )
    return projections[-1]


def _teacher_ids(student: PreTrainedTokenizerFast, teacher: PreTrainedTokenizerFast) -> Tensor:
    """The teacher's id of each of the student's pieces, (student vocabulary,)."""
    ids = teacher.get_vocab()
    pieces = student.convert_ids_to_tokens(list(range(len(student))))
    missing = [piece for piece in pieces if piece not in ids]
    if missing:
        raise ModelError(
            f"Student and teacher cut texts differently: {len(missing):,} of the student's {len(pieces):,} "
            f"pieces are unknown to the teacher, {missing[0]!r} for one. Inner states cannot be compared "
            "token by token; set the hidden, cosine, attention and relation weights to 0, or choose a "
            "student with the teacher's tokenizer."
        )
    return torch.tensor([ids[piece] for piece in pieces])
