"""The glossary: complete, unambiguous and searchable."""

from __future__ import annotations

import pytest

from kd_core.learn.glossary import look_up, search, terms


def test_important_terms_are_defined() -> None:
    wanted = (
        "task, transfer set, teacher, student, knowledge, objective, hard loss, soft loss, alpha, temperature"
    )
    wanted += (
        ", student alone, budget, verdict, fidelity, dark knowledge, logits, softmax, entropy, calibration"
    )
    wanted += ", Pareto front, quantisation, KL divergence, distillation, cross-validation, fold, seed"
    wanted += ", word piece, embedding"
    assert set(wanted.split(", ")) <= set(terms())


def test_definitions_are_short_sentences() -> None:
    for name in terms():
        term = look_up(name)
        assert term.says.endswith("."), name
        assert 20 < len(term.says) < 240, name


def test_names_are_unique() -> None:
    names = [name.casefold() for term in terms().values() for name in (term.name, *term.also)]
    assert len(names) == len(set(names))


def test_search_order() -> None:
    assert [term.name for term in search("mode")][:2] == ["forward KL", "reverse KL"]
    assert search("ECE")[0].name == "calibration error"
    assert search("KL   reverse")[0].name == "reverse KL"
    assert search("zebra") == []
    assert search("") == list(terms().values())


def test_an_unknown_term_lists_the_known_ones() -> None:
    with pytest.raises(
        KeyError, match=r"there is no term 'temprature' in the glossary; it has 95 % interval, alpha, budget"
    ):
        look_up("temprature")
