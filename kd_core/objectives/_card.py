"""What an objective consists of, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Array = Any  # a torch tensor in training, a numpy array in the labs


@dataclass(frozen=True)
class Outputs:
    """What both models say of B texts, all (B, C): z are logits, p the softened distributions softmax(z / T).

    ``xp`` is the module that computes with them, torch or numpy. Logits and ``target`` may be missing where
    only distributions are compared.
    """

    xp: Any
    log_s: Array  # log p of the student
    log_t: Array  # and of the teacher
    z_s: Array = None
    z_t: Array = None
    target: Array = None  # true at the label, or at the teacher's first class where there is no label

    @cached_property
    def p_s(self) -> Array:
        return self.xp.exp(self.log_s)

    @cached_property
    def p_t(self) -> Array:
        return self.xp.exp(self.log_t)


@dataclass(frozen=True, kw_only=True)
class Card:
    """An objective. Its loss is the sum of its ``terms`` over the classes, the mean over the texts.

    ``terms`` (B, C) are each class's share, without T². ``gradient`` (B, C) is theirs, summed, by the
    student's z / T (by z where there is no temperature), in closed form: the labs show it. Both are given
    ``Outputs`` and, by name, the ``settings`` that are the objective's own.
    """

    name: str
    title: str
    term: str  # its name in a sentence, and in the glossary
    formula: str  # LaTeX, with one " = "
    help: str  # one or two sentences: tooltips and the glossary
    source: str
    terms: Callable[..., Array]
    gradient: Callable[..., Array]
    loss: Callable[..., Array] | None = None  # the mean over texts, where training does not sum the terms
    order: int = 100
    also: tuple[str, ...] = ()  # other names there
    notation: str = ""  # the formula in plain text
    literature: str = ""  # who uses it
    has_temperature: bool = True
    settings: tuple[str, ...] = ()  # fields of ObjectiveConfig that belong to it
    parts: Mapping[str, Callable[[Outputs], Array]] = field(default_factory=dict)  # each weighed by a setting

    @property
    def of_distributions(self) -> bool:
        """Whether it compares two softened distributions, and nothing else matters to it."""
        return self.has_temperature and not self.settings


def through_softmax(outputs: Outputs, slope: Array) -> Array:
    """The gradient by z_s / T of a loss whose derivative by p_s is ``slope``; it adds up to 0."""
    return outputs.p_s * (slope - (outputs.p_s * slope).sum(axis=-1, keepdims=True))
