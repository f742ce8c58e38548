"""The losses a student can minimise, as pure functions of tensors.

B rows, C classes, T the temperature; p_t and p_s are the teacher's and the student's softened
distributions, softmax(logits / T). Divergences sum over classes and average over rows ("batchmean").
Intermediate terms see L positions of h heads or width d, and a mask (B, L): 1 token, 0 padding; what
padded positions hold, NaN included, reaches neither the value nor the gradient. All is computed in
float32 at least, also under autocast. The teacher is not detached here: run it without gradient.
"""

from __future__ import annotations

from math import gcd, log
from typing import get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from kd_core.config import Divergence
from kd_core.errors import ConfigError, ModelError

UNLABELLED = -100
_SAME_CLASSES = "both need the same texts and the same classes"


def hard_loss(student_logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the labels: -log softmax(student_logits)[label], mean over the labelled rows.

    Shapes: student_logits (B, C), labels (B,) -> scalar. Rows labelled -100 count for nothing; if there
    is no other row, the loss is exactly 0 and its gradient too.
    Source: Hinton et al. 2015, section 2 (the objective with the correct labels, at T = 1).
    """
    total = F.cross_entropy(_full_precision(student_logits), labels, ignore_index=UNLABELLED, reduction="sum")
    return total / (labels != UNLABELLED).sum().clamp(min=1)


def soft_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    divergence: Divergence,
    temperature: float,
    t_squared: bool = True,
    labels: Tensor | None = None,
    dkd_target_weight: float = 1.0,
    dkd_other_weight: float = 8.0,
) -> Tensor:
    """The named divergence between the softened outputs, times T² (but for ``logit_mse``, which has no T).

    Shapes: logits (B, C), labels (B,) -> scalar. T² undoes the 1/T² by which softening shrinks the
    gradient; ``t_squared=False`` leaves it out. Labels and weights matter to ``dkd`` only.
    Raises: ConfigError for an unknown divergence; ModelError where the shapes differ.
    Source: Hinton et al. 2015, section 2 (T²) and equations 1 to 4.
    """
    match divergence:
        case "forward_kl":
            loss = forward_kl(student_logits, teacher_logits, temperature)
        case "reverse_kl":
            loss = reverse_kl(student_logits, teacher_logits, temperature)
        case "js":
            loss = js(student_logits, teacher_logits, temperature)
        case "soft_cross_entropy":
            loss = soft_cross_entropy(student_logits, teacher_logits, temperature)
        case "reverse_cross_entropy":
            loss = reverse_cross_entropy(student_logits, teacher_logits, temperature)
        case "logit_mse":
            return logit_mse(student_logits, teacher_logits)
        case "dkd":
            loss = dkd(
                student_logits,
                teacher_logits,
                temperature,
                labels=labels,
                target_weight=dkd_target_weight,
                other_weight=dkd_other_weight,
            )
        case _:
            options = ", ".join(get_args(Divergence))
            raise ConfigError(f"objective.divergence must be one of {options}, got {divergence!r}")
    return loss * temperature**2 if t_squared else loss


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


def forward_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(teacher || student) = sum p_t (log p_t - log p_s), mean over rows, without T².

    Shapes: logits (B, C) -> scalar >= 0. Raises: ModelError where the shapes differ.
    Source: Hinton et al. 2015, section 2, whose cross-entropy is this plus the teacher's entropy.
    """
    log_s, log_t = _log_probabilities(student_logits, teacher_logits, temperature)
    return _kl(log_t, log_s)


def reverse_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(student || teacher) = sum p_s (log p_s - log p_t), mean over rows, without T².

    Shapes: logits (B, C) -> scalar >= 0. Raises: ModelError where the shapes differ.
    Source: Gu et al. 2024 (MiniLLM), section 2, per row of classes instead of per sequence.
    """
    log_s, log_t = _log_probabilities(student_logits, teacher_logits, temperature)
    return _kl(log_s, log_t)


def js(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Jensen-Shannon: (KL(p_t || m) + KL(p_s || m)) / 2, m = (p_t + p_s) / 2, mean over rows, without T².

    Shapes: logits (B, C) -> scalar in [0, log 2], the same with student and teacher exchanged.
    Raises: ModelError where the shapes differ.
    Source: Lin 1991, Divergence measures based on the Shannon entropy, with weights of 1/2.
    """
    log_s, log_t = _log_probabilities(student_logits, teacher_logits, temperature)
    log_m = torch.logaddexp(log_s, log_t) - log(2)
    return (_kl(log_t, log_m) + _kl(log_s, log_m)) / 2


def soft_cross_entropy(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """H(teacher, student) = -sum p_t log p_s, mean over rows, without T².

    Shapes: logits (B, C) -> scalar, at least the teacher's entropy; the gradient is ``forward_kl``'s.
    Raises: ModelError where the shapes differ.
    Source: Hinton et al. 2015, section 2 (cross-entropy with the soft targets).
    """
    log_s, log_t = _log_probabilities(student_logits, teacher_logits, temperature)
    return -(log_t.exp() * log_s).sum(-1).mean()


def reverse_cross_entropy(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """H(student, teacher) = -sum p_s log p_t, mean over rows, without T².

    Shapes: logits (B, C) -> scalar. It is ``reverse_kl`` plus the student's entropy, so its minimum is
    not p_s = p_t but all of p_s on the teacher's most probable class.
    Raises: ModelError where the shapes differ.
    Source: Wang et al. 2019 (Symmetric cross entropy), section 3, the labels there being the teacher here.
    """
    log_s, log_t = _log_probabilities(student_logits, teacher_logits, temperature)
    return -(log_s.exp() * log_t).sum(-1).mean()


def logit_mse(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Squared distance of the logits: sum over classes of (z_s - z_t)², mean over rows. It has no T.

    Shapes: logits (B, C) -> scalar >= 0. Unlike the divergences it also asks for the same offset.
    Raises: ModelError where the shapes differ.
    Source: Ba & Caruana 2014, equation 1, without its 1/2; Kim et al. 2021, the MSE loss.
    """
    _check_shapes(student_logits, teacher_logits, "logits", _SAME_CLASSES)
    difference = _full_precision(student_logits) - _full_precision(teacher_logits)
    return difference.square().sum(-1).mean()


def dkd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    temperature: float = 1.0,
    *,
    labels: Tensor | None = None,
    target_weight: float = 1.0,
    other_weight: float = 8.0,
) -> Tensor:
    """Decoupled distillation: target_weight * TCKD + other_weight * NCKD, mean over rows, without T².

    TCKD is KL(teacher || student) between target class and the rest, NCKD the one among the other
    classes, renormalised; KL = TCKD + (1 - p_t[target]) NCKD. With two classes NCKD is 0.
    Shapes: logits (B, C), C >= 2, labels (B,) -> scalar >= 0. The target is the label, or the teacher's
    most probable class where the label is -100 or labels are not given.
    Raises: ModelError where the shapes differ.
    Source: Zhao et al. 2022, equations 6 and 7.
    """
    log_s, log_t = _log_probabilities(student_logits, teacher_logits, temperature)
    target = log_t.argmax(-1)
    if labels is not None:
        target = torch.where(labels == UNLABELLED, target, labels)
    is_target = F.one_hot(target, log_t.shape[-1]).bool()
    binary_s, others_s = _decouple(log_s, is_target)
    binary_t, others_t = _decouple(log_t, is_target)
    return target_weight * _kl(binary_t, binary_s) + other_weight * _kl(others_t, others_s)


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


def _check_shapes(student: Tensor, teacher: Tensor, what: str, remedy: str) -> None:
    """Broadcasting would turn a mismatch into a plausible number."""
    if student.shape != teacher.shape:
        shapes = f"{tuple(student.shape)} and the teacher's {tuple(teacher.shape)}"
        raise ModelError(f"the student's {what} have shape {shapes}; {remedy}")


def _log_probabilities(student: Tensor, teacher: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    _check_shapes(student, teacher, "logits", _SAME_CLASSES)
    return (
        F.log_softmax(_full_precision(student) / temperature, dim=-1),
        F.log_softmax(_full_precision(teacher) / temperature, dim=-1),
    )


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) over the last dimension, mean over the first; torch takes the two the other way round."""
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def _decouple(log_probs: Tensor, is_target: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities (B, 2) of target and rest, and (B, C - 1) among the rest."""
    # Summing the rest is exact where 1 - p_target would round to 0.
    rest = log_probs[~is_target].view(len(log_probs), -1)
    binary = torch.stack([log_probs[is_target], rest.logsumexp(-1)], dim=-1)
    return binary, F.log_softmax(rest, dim=-1)


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
