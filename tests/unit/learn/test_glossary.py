"""The glossary: complete sentences, found by the words that a reader would type."""

from __future__ import annotations

import pytest

from kd_core.learn.glossary import look_up, search, terms


def test_every_word_of_the_design_has_a_meaning() -> None:
    wanted = (
        "task, transfer set, teacher, student, knowledge, objective, hard loss, soft loss, alpha, temperature"
    )
    wanted += (
        ", student alone, budget, verdict, fidelity, dark knowledge, logits, softmax, entropy, calibration"
    )
    wanted += ", Pareto front, quantisation, KL divergence, distillation, cross-validation, fold, seed"
    wanted += ", word piece, embedding"
    assert set(wanted.split(", ")) <= set(terms())


@pytest.mark.parametrize("name", terms())
def test_a_meaning_is_a_sentence(name: str) -> None:
    term = look_up(name)
    assert term.says.endswith(".")
    assert 20 < len(term.says) < 240


def test_no_name_means_two_things() -> None:
    names = [name.casefold() for term in terms().values() for name in (term.name, *term.also)]
    assert len(names) == len(set(names))


def test_what_is_named_so_comes_first() -> None:
    assert [term.name for term in search("mode")][:2] == ["forward KL", "reverse KL"]
    assert search("ECE")[0].name == "calibration error"
    assert search("KL   reverse")[0].name == "reverse KL"
    assert search("zebra") == []
    assert search("") == list(terms().values())


def test_an_unknown_word_lists_the_known_ones() -> None:
    with pytest.raises(
        KeyError, match=r"there is no term 'temprature' in the glossary; it has 95 % interval, alpha, budget"
    ):
        look_up("temprature")
