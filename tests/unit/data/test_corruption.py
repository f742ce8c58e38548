from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_core.data import corruption
from kd_core.data.corruption import copies_of, corrupted
from kd_core.data.words import WORD

NAMES = ["typos", "dropped words", "upper case"]


@given(st.lists(st.text().filter(str.strip), max_size=8), st.integers(0, 2**31))
def test_every_text_has_its_copy_and_none_is_blank(texts, seed):
    copies = corrupted(texts, seed)
    assert list(copies) == NAMES
    for name in NAMES:
        assert len(copies[name]) == len(texts)
        assert all(text.strip() for text in copies[name])
    assert copies == corrupted(texts, seed)


@given(st.lists(st.text(), max_size=8), st.integers(0, 100))
def test_dropped_words_keep_the_order_of_the_rest(texts, seed):
    for text, copy in zip(texts, corrupted(texts, seed)["dropped words"], strict=True):
        letters = iter(text)
        assert all(letter in letters for letter in copy if not letter.isspace())


@given(st.lists(st.text(alphabet="ab \n\t.é"), max_size=8), st.integers(0, 100))
def test_words_go_as_a_whole(texts, seed):
    for text, copy in zip(texts, corrupted(texts, seed)["dropped words"], strict=True):
        words = iter(text.split())
        assert all(word in words for word in copy.split())


def test_where_words_have_no_spaces_characters_are_dropped():
    copies = corrupted(["房间很大"] * 400 + ["很 大，very good"] * 400, seed=0)["dropped words"]
    assert {"房间很大", "房间很", "间很大", "房大"} <= set(copies[:400])
    assert 0.75 < sum(map(len, copies[:400])) / 1600 < 0.85
    assert {"很 大，very good", "大，very good", "很 ，very good", "很 大good"} <= set(copies[400:])


def test_a_character_goes_with_its_marks_and_hindi_by_words():
    thai, hindi = (
        set(corrupted([text] * 200, seed=0)["dropped words"]) for text in ("น้ำดื่ม", "हिन्दी भाषा बोली")
    )
    assert thai == {"น้ำดื่ม", "น้ำดื่", "น้ำม", "ดื่ม", "น้ำ", "ดื่", "ม"}
    words = ["हिन्दी", "भाषा", "बोली"]
    kept = [chosen for size in (1, 2, 3) for chosen in combinations(words, size)]
    assert hindi == set(map(" ".join, kept))


@given(st.text(alphabet="0123456789 .,!?-😀🏽‍\n"))
def test_only_letters_get_typos(text):
    assert corrupted([text], seed=0)["typos"] == [text]


@pytest.mark.parametrize("text", ["", " \n", "😀", "股市", "ß", "été à Noël", "\ud83d"])
def test_any_script(text):
    copies = corrupted([text] * 50, seed=1)
    assert all(bool(copy.strip()) == bool(text.strip()) for name in NAMES for copy in copies[name])


def test_one_letter_in_twelve_has_a_typo_of_a_known_kind():
    words = corrupted(["a " * 12_000], seed=0)["typos"][0].split(" ")[:-1]
    assert len(words) == 12_000
    assert set(words) == {"a", "", "aa", *"qwsz"}  # kept, dropped, doubled, or a key beside A
    assert 900 < sum(word != "a" for word in words) < 1100


def test_letters_are_swapped_inside_words():
    words = corrupted(["日本 " * 6000], seed=0)["typos"][0].split(" ")[:-1]
    assert {"本日", "日", "本", "日日本", "日本本"} <= set(words)
    assert words.count("日本") > 4000


def test_typos_of_thai_are_in_its_letters():
    text = "นก" * 3000 + "ที่"
    copy = corrupted([text], seed=0)["typos"][0]
    assert copy[-2:] == text[-2:]
    assert {"กน", "นน", "กก"} <= {copy[place : place + 2] for place in range(len(copy))}


def test_replaced_letters_keep_their_case():
    text = corrupted(["A" * 5000], seed=0)["typos"][0]
    assert set(text) == set("AQWSZ")


def test_one_word_in_five_is_dropped():
    kept = corrupted(["word " * 10_000], seed=0)["dropped words"][0].split()
    assert 7_800 < len(kept) < 8_200


def test_the_last_word_stays(monkeypatch):
    monkeypatch.setattr(corruption, "DROP_RATE", 1.0)
    assert set(corrupted(["one two"] * 30, seed=0)["dropped words"]) == {"one", "two"}


def test_upper_case():
    assert corrupted(["Straße, Noël"], seed=0)["upper case"] == ["STRASSE, NOËL"]


def test_the_seed_matters():
    texts = ["the quick brown fox jumps over the lazy dog"] * 5
    first, second = corrupted(texts, 0), corrupted(texts, 1)
    assert first["typos"] != second["typos"]
    assert first["dropped words"] != second["dropped words"]


def test_a_script_without_capitals_has_no_copy_in_upper_case():
    arabic = ["هذا كتاب جيد", "كتاب آخر عن المدينة"] * 20
    assert list(copies_of(arabic)) == ["typos", "dropped words"]
    assert list(copies_of([*arabic, "ok"])) == NAMES


def test_marks_alone_are_no_word():
    verse = "فَأَمْتِعُهُ قَلِيلًا ۖ ثُمَّ أَضْطَرُّهُ"
    assert [word[0] for word in WORD.finditer(verse)] == [word for word in verse.split() if word != "ۖ"]
