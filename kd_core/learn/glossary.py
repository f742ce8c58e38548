"""What the words of the subject mean: one source for tooltips and for the glossary page.

Those of ``assets/glossary.yaml``, and the soft losses, whose cards say what they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import yaml

from kd_core.objectives import CARDS
from kd_core.system import paths


@dataclass(frozen=True)
class Term:
    name: str
    says: str
    also: tuple[str, ...] = ()
    source: str = ""


@lru_cache(maxsize=1)
def terms() -> dict[str, Term]:
    """All of them by name, in alphabetical order."""
    file = paths.app_folder() / "assets" / "glossary.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    entries = [
        Term(name, entry["says"], tuple(entry.get("also", ())), entry.get("source", ""))
        for name, entry in content.items()
    ]
    entries += [Term(card.term, card.help, card.also, card.source) for card in CARDS.values()]
    return {term.name: term for term in sorted(entries, key=lambda term: term.name.casefold())}


def look_up(name: str) -> Term:
    """Raises: KeyError, naming all terms, for one that has no entry."""
    if name not in terms():
        raise KeyError(f"there is no term {name!r} in the glossary; it has {', '.join(terms())}")
    return terms()[name]


def search(text: str) -> list[Term]:
    """The terms that hold all of the words, in name, other names or meaning; those named so come first."""
    words = text.casefold().split()
    matches = [
        term
        for term in terms().values()
        if all(word in " ".join((term.name, *term.also, term.says)).casefold() for word in words)
    ]
    return sorted(matches, key=lambda term: not all(word in _names(term) for word in words))


def _names(term: Term) -> str:
    return " ".join((term.name, *term.also)).casefold()
