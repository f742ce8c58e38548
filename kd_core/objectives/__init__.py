"""The soft losses, a file each: what people know of it (a card, for flags and pages) and what it computes.

A file here is an objective; there is no list to enter it in. Nothing in this room needs torch or numpy: an
objective computes with the module that its outputs come with.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from kd_core.errors import ConfigError
from kd_core.objectives._card import Card, Outputs

__all__ = ["CARDS", "Card", "Outputs", "find"]

# By name, in the order of choices: as the cards say, then by name. The first is the default.
CARDS: dict[str, Card] = {
    card.name: card
    for card in sorted(
        (
            import_module(f"{__name__}.{file.name}").CARD
            for file in iter_modules(__path__)
            if not file.name.startswith("_")
        ),
        key=lambda card: (card.order, card.name),
    )
}


def find(name: str) -> Card:
    """Raises: ConfigError for an unknown name, with the known ones."""
    if name not in CARDS:
        raise ConfigError(f"objective.divergence must be one of {', '.join(CARDS)}, got {name!r}")
    return CARDS[name]
