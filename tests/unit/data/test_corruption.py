import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_core.data import corruption
from kd_core.data.corruption import copies_of, corrupted
from kd_core.data.words import WORD

NAMES = ["typos", "dropped words", "upper case"]


def typos(text: str) -> str:
    return corrupted([text], seed=0)["typos"][0]


@given(st.lists(st.text().filter(str.strip), max_size=8), st.integers(0, 2**31))
def test_every_text_has_its_copies_and_none_is_blank(texts, seed):
    copies = corrupted(texts, seed)
    assert list(copies) == NAMES
    for name in NAMES:
        assert len(copies[name]) == len(texts)
        assert all(text.strip() for text in copies[name])
    assert copies == corrupted(texts, seed)


@given(st.lists(st.one_of(st.text(), st.text(alphabet="ab \n\t.é")), max_size=8), st.integers(0, 100))
def test_dropped_words_go_whole_and_the_rest_keeps_its_order(texts, seed):
    for text, copy in zip(texts, corrupted(texts, seed)["dropped words"], strict=True):
        letters, words = iter(text), iter(text.split())
        assert all(letter in letters for letter in copy if not letter.isspace())
        assert not set(text) <= set("ab \n\t.é") or all(word in words for word in copy.split())


@pytest.mark.parametrize(
    ("text", "some", "all_of_them"),
    [
        ("房间很大", {"房间很大", "房间很", "间很大", "房大"}, False),  # no spaces between words
        ("很 大，very good", {"很 大，very good", "大，very good", "很 ，very good", "很 大good"}, False),
        ("น้ำดื่ม", {"น้ำดื่ม", "น้ำดื่", "น้ำม", "ดื่ม", "น้ำ", "ดื่", "ม"}, True),  # a letter goes with its marks
        ("हिन्दी भाषा", {"हिन्दी भाषा", "हिन्दी", "भाषा"}, True),
    ],
)
def test_dropped_words_of_scripts(text, some, all_of_them):
    copies = set(corrupted([text] * 400, seed=0)["dropped words"])
    assert copies == some if all_of_them else copies >= some


@given(st.text(alphabet="0123456789 .,!?-😀🏽‍\n"))
def test_only_letters_get_typos(text):
    assert typos(text) == text


def test_one_letter_in_twelve_has_a_typo_of_a_known_kind():
    words = typos("a " * 12_000).split(" ")[:-1]
    assert len(words) == 12_000
    assert set(words) == {"a", "", "aa", *"qwsz"}  # kept, dropped, doubled, or a key beside A
    assert 900 < sum(word != "a" for word in words) < 1100
    assert set(typos("A" * 5000)) == set("AQWSZ")


def test_letters_are_swapped_inside_words():
    words = typos("日本 " * 6000).split(" ")[:-1]
    assert {"本日", "日", "本", "日日本", "日本本"} <= set(words)
    assert words.count("日本") > 4000
    copy = typos("นก" * 3000 + "ที่")
    assert copy.endswith("ี่")  # marks get none
    assert {"กน", "นน", "กก"} <= {copy[place : place + 2] for place in range(len(copy))}


def test_one_word_in_five_is_dropped_but_never_all(monkeypatch):
    kept = corrupted(["word " * 10_000], seed=0)["dropped words"][0].split()
    assert 7_800 < len(kept) < 8_200
    monkeypatch.setattr(corruption, "DROP_RATE", 1.0)
    assert set(corrupted(["one two"] * 30, seed=0)["dropped words"]) == {"one", "two"}


def test_upper_case_and_seed():
    assert corrupted(["Straße, Noël"], seed=0)["upper case"] == ["STRASSE, NOËL"]
    first, second = (corrupted(["the quick brown fox jumps over the dog"] * 5, seed) for seed in (0, 1))
    assert all(first[name] != second[name] for name in NAMES[:2])
    arabic = ["هذا كتاب جيد", "كتاب آخر عن المدينة"] * 20
    assert list(copies_of(arabic)) == NAMES[:2]  # the script has no capitals
    assert list(copies_of([*arabic, "ok"])) == NAMES


def test_marks_alone_are_no_word():
    verse = "فَأَمْتِعُهُ قَلِيلًا ۖ ثُمَّ أَضْطَرُّهُ"
    assert [word[0] for word in WORD.finditer(verse)] == [word for word in verse.split() if word != "ۖ"]
