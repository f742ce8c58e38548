"""The losses a student can minimise, as pure functions of tensors.

B rows, C classes, T the temperature. The soft loss is one of ``kd_core.objectives``, summed over classes
and averaged over rows ("batchmean").
Intermediate terms see L positions of h heads or width d, and a mask (B, L): 1 token, 0 padding; what
padded positions hold, NaN included, reaches neither the value nor the gradient. All is computed in
float32 at least, also under autocast. The teacher is not detached here: run it without gradient.
"""

from __future__ import annotations

from math import gcd

import torch
from torch import Tensor
from torch.nn import functional as F

from kd_core.errors import ModelError
from kd_core.objectives import Outputs, find

UNLABELLED = -100


def hard_loss(student_logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy with the labels: -w[label] log softmax(student_logits)[label], mean over labelled rows.

    Shapes: student_logits (B, C), labels (B,), weights (C,), or None for 1 -> scalar. The mean divides by the
    number of rows, not by their weights: so batches average to the weighted loss of all texts. Rows labelled
    -100 count for nothing; if there is no other row, the loss is exactly 0 and its gradient too.
    Source: Hinton et al. 2015, section 2 (the objective with the correct labels, at T = 1).
    """
    total = F.cross_entropy(
        _full_precision(student_logits), labels, weights, ignore_index=UNLABELLED, reduction="sum"
    )
    return total / (labels != UNLABELLED).sum().clamp(min=1)


def soft_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    divergence: str,
    temperature: float,
    t_squared: bool = True,
    labels: Tensor | None = None,
    **own: float,
) -> Tensor:
    """The objective of that name between the softened outputs, times T² (unless it has no temperature).

    Shapes: logits (B, C), labels (B,) -> scalar. T² undoes the 1/T² by which softening shrinks the gradient
    where T is high against the logits; ``t_squared=False`` leaves it out. ``own`` are the objective's own
    settings. The target that some objectives tell apart is the label, or the teacher's most probable class
    where that is -100.
    Raises: ConfigError for an unknown objective; ModelError where the shapes differ.
    Source: Hinton et al. 2015, section 2 (T²) and equations 1 to 4.
    """
    card = find(divergence)
    _check_shapes(student_logits, teacher_logits, "logits", "both need the same texts and the same classes")
    z_s, z_t = _full_precision(student_logits), _full_precision(teacher_logits)
    log_s, log_t = (F.log_softmax(z / temperature, dim=-1) for z in (z_s, z_t))
    target = log_t.argmax(-1)
    if labels is not None:
        target = torch.where(labels == UNLABELLED, target, labels)
    outputs = Outputs(torch, log_s, log_t, z_s, z_t, F.one_hot(target, log_t.shape[-1]).bool())
    loss: Tensor = card.loss(outputs, **own) if card.loss else card.terms(outputs, **own).sum() / len(log_t)
    return loss * temperature**2 if t_squared and card.has_temperature else loss


def objective(hard: Tensor, soft: Tensor, alpha: float) -> Tensor:
    """alpha * hard + (1 - alpha) * soft: alpha weighs the labels.

    Shapes: scalars -> scalar. At 1 and 0 it is the one loss itself, bit for bit, whatever the other is
    (0 * inf would be NaN).
    Source: Hinton et al. 2015, section 2 (the weighted average of two objectives).
    """
    if alpha == 1:
        return hard
    if alpha == 0:
        return soft
    return alpha * hard + (1 - alpha) * soft


def hidden_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of hidden states, over the real tokens and the width.

    Shapes: student (B, L, d), projected to the teacher's width, teacher (B, L, d), mask (B, L) -> scalar.
    Raises: ModelError where the shapes differ.
    Source: Jiao et al. 2020 (TinyBERT), equations 8 and 9.
    """
    student, teacher = _real_tokens(student, teacher, mask)
    return (student - teacher).square().mean()


def cosine_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """1 - cos(student, teacher) of hidden states, mean over the real tokens; between 0 and 2.

    Shapes: student (B, L, d), projected to the teacher's width, teacher (B, L, d), mask (B, L) -> scalar.
    Raises: ModelError where the shapes differ.
    Source: Sanh et al. 2019 (DistilBERT), section 2, the cosine embedding loss.
    """
    student, teacher = _real_tokens(student, teacher, mask)
    return (1 - F.cosine_similarity(student, teacher, dim=-1)).mean()


def attention_loss(student_probs: Tensor, teacher_probs: Tensor, mask: Tensor) -> Tensor:
    """KL(teacher || student) of attention distributions, mean over heads and real query tokens.

    Shapes: student_probs (B, h, L, L), teacher_probs (B, h', L, L), rows of probabilities over the keys,
    mask (B, L) -> scalar. Where h and h' differ, each model's heads are averaged first.
    Source: Wang et al. 2020 (MiniLM), section 3.1.
    """
    student_probs, teacher_probs = _full_precision(student_probs), _full_precision(teacher_probs)
    if student_probs.shape[1] != teacher_probs.shape[1]:
        student_probs, teacher_probs = student_probs.mean(1, True), teacher_probs.mean(1, True)
    real = mask.bool()
    student_probs = _real_queries(student_probs.masked_fill(~real[:, None, None], 0), real)
    teacher_probs = _real_queries(teacher_probs.masked_fill(~real[:, None, None], 0), real)
    # The floor keeps log and its gradient finite where the softmax underflowed or dropout put a zero.
    log_ratio = teacher_probs.clamp(min=1e-30).log() - student_probs.clamp(min=1e-30).log()
    return (teacher_probs * log_ratio).sum(-1).mean()


def relation_loss(student_values: Tensor, teacher_values: Tensor, mask: Tensor) -> Tensor:
    """KL(teacher || student) of value relations softmax(V V^T / sqrt(dh)), mean over heads and real tokens.

    Shapes: student_values (B, h, L, dh), teacher_values (B, h', L, dh'), mask (B, L) -> scalar; the
    widths may differ. Where h and h' differ, the concatenated values of each model are cut into
    gcd(h, h') relation heads, and dh is the width of those.
    Source: Wang et al. 2020 (MiniLM), section 3.2; Wang et al. 2021 (MiniLMv2), section 3.1, for the cut.
    """
    heads = gcd(student_values.shape[1], teacher_values.shape[1])
    log_s = _value_relation(student_values, heads, mask.bool())
    log_t = _value_relation(teacher_values, heads, mask.bool())
    return _kl(log_t.flatten(0, 1), log_s.flatten(0, 1))


def layer_map(student_layers: int, teacher_layers: int) -> list[int]:
    """For each student layer the teacher layer it is compared with: ceil((i + 1) * teacher / student) - 1.

    Counted from 0, evenly spaced, last to last: 2 of 6 gives [2, 5]. A deeper student repeats layers.
    Source: Jiao et al. 2020 (TinyBERT), section 3.1, the uniform mapping; Sun et al. 2019 (PKD-Skip).
    """
    return [-(-(i + 1) * teacher_layers // student_layers) - 1 for i in range(student_layers)]


def _full_precision(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _check_shapes(student: Tensor, teacher: Tensor, outputs: str, remedy: str) -> None:
    """Broadcasting would turn a mismatch into a plausible number."""
    if student.shape != teacher.shape:
        shapes = f"{tuple(student.shape)} and the teacher's {tuple(teacher.shape)}"
        raise ModelError(f"the student's {outputs} have shape {shapes}; {remedy}")


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) over the last dimension, mean over the first; torch takes the two the other way round."""
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def _real_tokens(student: Tensor, teacher: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The N real tokens of both, (N, d). A product with the mask would let NaN into the gradient."""
    _check_shapes(student, teacher, "hidden states", "project the student's to the teacher's width")
    real = mask.bool()
    return _full_precision(student)[real], _full_precision(teacher)[real]


def _real_queries(by_head: Tensor, real: Tensor) -> Tensor:
    """(B, h, L, L) -> (N, h, L): the rows of the N real query tokens."""
    return by_head.transpose(1, 2)[real]


def _value_relation(values: Tensor, heads: int, real: Tensor) -> Tensor:
    """Log of the relation, (N, heads, L); the keys that are padding have probability 0."""
    values = _full_precision(values).masked_fill(~real[:, None, :, None], 0)
    batch, _, length, _ = values.shape
    values = values.transpose(1, 2).reshape(batch, length, heads, -1).transpose(1, 2)
    with torch.autocast(values.device.type, enabled=False):  # it would multiply in bfloat16
        scores = values @ values.transpose(-1, -2) / values.shape[-1] ** 0.5
    # Not -inf: the difference of two infinite logarithms is NaN.
    scores = scores.masked_fill(~real[:, None, None], torch.finfo(scores.dtype).min)
    return _real_queries(F.log_softmax(scores, dim=-1), real)
