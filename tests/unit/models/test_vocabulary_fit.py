"""How well a vocabulary fits texts: the share with out-of-vocabulary tokens, and pieces per word."""

from __future__ import annotations

from kd_core.data.words import FOREIGN
from kd_core.models import vocabulary
from kd_core.models.vocabulary import pieces_a_word, share_unknown, trim_vocabulary
from tests.unit.models.tokenizer_families import bundled, wordpiece


def test_share_of_texts_with_missing_pieces() -> None:
    old = wordpiece("go", "##al", "##g", "g", "o")
    new, _ = trim_vocabulary(old, ["go"])
    texts = ["go", "goal", "go goal go", "☃"]
    assert share_unknown(old, new, texts, 64) == 0.5
    assert share_unknown(old, old, ["goal"], 64) == share_unknown(old, new, [], 64) == 0


def test_truncated_pieces_do_not_count() -> None:
    old = wordpiece("go", "##al", "##g", "g", "o")
    new, _ = trim_vocabulary(old, ["go"])
    assert [share_unknown(old, new, ["go go goal"], length) for length in (5, 6)] == [0, 1]


def test_pieces_per_word_by_language() -> None:
    english = ["The government agreed on 17 new plans for the economy, didn't it?"]
    assert pieces_a_word(bundled(), english) < 1.2  # the number and the marks are no words
    german = ["Die Regierung hat einen neuen Plan f\u00fcr die Wirtschaft des Landes beschlossen"]
    words, pieces = 12, len(bundled()(german[0], add_special_tokens=False)["input_ids"])
    assert pieces_a_word(bundled(), german) == pieces / words > FOREIGN
    russian = ["Правительство утвердило новый план"]
    assert bundled().unk_token_id not in bundled()(russian[0])["input_ids"]  # all letters are known
    assert pieces_a_word(bundled(), russian) > 2 * FOREIGN


def test_pieces_per_word_without_spaces() -> None:
    assert pieces_a_word(bundled(), ["今天天气很好", "ขอบคุณ", "ﾊﾝｶｸｶﾞ", "12:30 😀😀", ""]) == 1
    assert pieces_a_word(bundled(), []) == 1


def test_pieces_per_word_of_multilingual_vocabularies(monkeypatch) -> None:
    russian = ["Правительство утвердило новый план"]
    monkeypatch.setattr(vocabulary, "MULTILINGUAL", len(bundled()) + 1)
    assert pieces_a_word(bundled(), russian) > 2 * FOREIGN
    monkeypatch.setattr(vocabulary, "MULTILINGUAL", len(bundled()))
    assert pieces_a_word(bundled(), russian) == 1
