"""Cache keys and places."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_core.system import cache


def test_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_HOME", str(tmp_path))
    place = cache.place("teachers", model="tiny", steps=10)
    assert place == tmp_path / "cache" / "teachers" / cache.key(model="tiny", steps=10)
    assert place != cache.place("teachers", model="tiny", steps=11)
    assert place.parent != cache.place("students", model="tiny", steps=10).parent
    assert not place.exists()


def test_key_format() -> None:
    assert re.fullmatch("[0-9a-f]{32}", cache.key(model="é", steps=10))


def test_key_is_stable() -> None:
    # A change of this number invalidates every cached teacher.
    assert cache.key(model="tiny", steps=10) == "ea8bce26b45c801f4f8027f44ed3e434"
    assert cache.key(steps=10, model="tiny") == cache.key(model="tiny", steps=10)
    assert cache.key(sizes={"a": 1, "b": 2}) == cache.key(sizes={"b": 2, "a": 1})


PARTS = {
    "model": "tiny",
    "steps": 10,
    "rate": 1e-4,
    "frozen": True,
    "layers": [0, 2],
    "sizes": {"hidden": 128},
}


@pytest.mark.parametrize(
    "change",
    [
        {"model": "mini"},
        {"steps": 11},
        {"steps": "10"},
        {"steps": 10.0},
        {"rate": 1.0000001e-4},
        {"frozen": False},
        {"frozen": None},
        {"frozen": 1},
        {"layers": [2, 0]},
        {"layers": [0, 2, 2]},
        {"sizes": {"hidden": 129}},
        {"sizes": {"heads": 128}},
        {"new": None},
    ],
)
def test_a_key_changes_with_each_part(change: dict[str, object]) -> None:
    assert cache.key(**PARTS | change) != cache.key(**PARTS)


@pytest.mark.parametrize("name", PARTS)
def test_a_key_changes_without_a_part(name: str) -> None:
    assert cache.key(**{part: value for part, value in PARTS.items() if part != name}) != cache.key(**PARTS)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
parts = st.dictionaries(st.sampled_from("abc"), scalars | st.lists(scalars, max_size=3), max_size=3)


@given(one=parts, other=parts)
def test_keys_are_equal_only_for_equal_parts(one: dict[str, object], other: dict[str, object]) -> None:
    # repr distinguishes 1, 1.0 and True
    same = repr(sorted(one.items())) == repr(sorted(other.items()))
    assert (cache.key(**one) == cache.key(**other)) is same
