"""Corrupted copies of texts: how far does a model's accuracy fall on what it was not trained for?"""

from __future__ import annotations

import random
from collections.abc import Sequence

from kd_core.data.words import WORD

TYPO_RATE = 1 / 12  # of the letters
DROP_RATE = 0.2  # of the words
CORRUPTION_SEED = 0  # of the copies on which runs are judged

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def corrupted(texts: Sequence[str], seed: int) -> dict[str, list[str]]:
    """The texts with ``typos``, with ``dropped words`` and in ``upper case``; a function of texts and seed.

    Typos: one letter in 12 is swapped with the next one, dropped, doubled, or replaced by its neighbour on
    a QWERTY keyboard (Belinkov & Bisk 2018; a to z only). Dropped words: each goes with probability 0.2, one
    stays (random deletion, Wei & Zou 2019); in languages without spaces each character is one. No text
    becomes blank.
    """
    typos, words = random.Random(f"{seed} typos"), random.Random(f"{seed} words")
    return {
        "typos": [_with_typos(text, typos) for text in texts],
        "dropped words": [_with_dropped_words(text, words) for text in texts],
        "upper case": [text.upper() for text in texts],
    }


def copies_of(texts: Sequence[str]) -> dict[str, list[str]]:
    """Those on which runs are judged, without a kind that changes no text: not all scripts have capitals."""
    copies = corrupted(texts, seed=CORRUPTION_SEED)
    return {kind: copied for kind, copied in copies.items() if copied != list(texts)}


def _neighbours() -> dict[str, str]:
    near: dict[str, str] = {}
    for y, row in enumerate(_ROWS):
        for x, letter in enumerate(row):
            places = [(y, x - 1), (y, x + 1), (y - 1, x), (y - 1, x + 1), (y + 1, x - 1), (y + 1, x)]
            near[letter] = "".join(
                _ROWS[b][a] for b, a in places if 0 <= b < len(_ROWS) and 0 <= a < len(_ROWS[b])
            )
    return near


_NEAR = _neighbours()


def _with_typos(text: str, rng: random.Random) -> str:
    out: list[str] = []
    position = 0
    while position < len(text):
        letter, following = text[position], text[position + 1 : position + 2]
        position += 1
        if not letter.isalpha() or rng.random() >= TYPO_RATE:
            out.append(letter)
            continue
        near = _NEAR.get(letter.lower(), "")
        edits = ["drop", "double"] + ["swap"] * following.isalpha() + ["replace"] * bool(near)
        match rng.choice(edits):
            case "double":
                out.append(letter * 2)
            case "swap":
                out.append(following + letter)
                position += 1
            case "replace":
                other = rng.choice(near)
                out.append(other.upper() if letter.isupper() else other)
    result = "".join(out)
    return result if result.strip() else text


def _with_dropped_words(text: str, rng: random.Random) -> str:
    words = list(WORD.finditer(text))
    if not words:
        return text
    kept = [word for word in words if rng.random() >= DROP_RATE]
    spaced = (word[0] + " " * text[word.end() :][:1].isspace() for word in kept or [rng.choice(words)])
    return "".join(spaced).rstrip()
