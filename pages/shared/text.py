"""User text on its way into Markdown (labels, captions, badges) or a Plotly label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import streamlit as st

from kd_core.distillation import sentences
from kd_core.errors import KDError
from kd_core.jobs.store import RunRow
from kd_core.learn import glossary
from kd_core.system.formatting import isolated

# Emoji and icon names, links, addresses and arrows are recognised last, after the character references: an
# invisible word joiner breaks them up.
_JOINER = "\u2060"
_LATE_MARKUP = re.compile(
    r":(?=[\w/+-]+:)|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=\S)(?=@\S)|(?<=[-<>])(?=[-=>])", re.IGNORECASE
)
# Markup anywhere, and what makes a heading, a list or a line at the start.
_MARKUP = re.compile(r"[\\`*_{}\[\]~$<>&|]|:(?=[^\W\d])|^[#+=-]|^\d(?=\d*[.)]\s)")


def escape(text: object) -> str:
    """The text as one line that Markdown and Plotly show as it is: both print character references."""
    line = " ".join(str(text).split())
    parted = _LATE_MARKUP.sub(lambda match: match.group() + _JOINER, line)
    return _MARKUP.sub(lambda match: f"&#{ord(match.group())};", isolated(parted))


# A number and its unit stay on one line, and so do the ends of an interval and what it is called, and T = 4.
_UNIT = re.compile(
    r"(?<=\d) (?=%|(?:points?|nats|ms|M|MB|times|seeds?)\b)|(?<=%) (?=interval\b|[±−])|(?<=±) (?=\d)"
    r"|(?<=\d) (?=x \d)|(?<=\d x) (?=\d)"
    r"|(?<=\bT) (?== \d)|(?<=\bT =) (?=\d)|(?<=\balpha) (?== \d)|(?<=\balpha =) (?=\d)"
    r"|(?<=\d\.\d) (?=to [+−]?\d)|(?<=\d\.\d to) (?=[+−]?\d)|(?<=\d %) (?=to \d)|(?<=% to) (?=\d)"
)
_NEXT_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def prose(words: str) -> None:
    """Markdown to read: no line breaks between a number and what it counts."""
    st.markdown(unbroken(words))


def unbroken(words: str) -> str:
    return _UNIT.sub("\u00a0", words)


# What a verdict advises is a command; on a page it is what does the same there.
FIND_SMALLEST = "Find the smallest student that keeps enough"
_CONTROL = f"*{FIND_SMALLEST}* on Distill looks for it"


def verdict_words(words: str) -> bool:
    """A run's verdict: its first sentence stands out, and what else there is to say is read after it.

    Returns whether it advises to find the smallest student that is large enough.
    """
    first, *rest = _NEXT_SENTENCE.split(words, maxsplit=1)
    result, colon, advice = first.partition("): ")  # "worse than TF-IDF (…): try a larger student"
    prose(f"**{escape(result + colon.strip())}** {_advice(advice)}".rstrip())
    for more in rest:
        prose(_advice(more))
    return sentences.FIND_SMALLEST in words


def _advice(words: str) -> str:
    return escape(words).replace(escape(sentences.FIND_SMALLEST), _CONTROL)


# The engine names the flags of the command; here there are controls instead.
_WORDS = (
    (r" \(--(?:(?:drop|label)-empty|smoothing|(?:plain|untuned)-start)\)", ""),
    (r"with --(?:drop-\w+|merge-\w+|normalise)", "with the switch below"),
    (r"with --gold none", "by choosing none"),
    (r"; --answers says otherwise", ""),
    (r"--answers (\w+)", r"the kind \1"),
    (r"--answers", "the kind of answers"),
    (r"--answer-columns", "the columns of answers"),
    (r"another with --(text|label)-column", r"another \1 column"),
    (r"--(text|label)-column", r"the \1 column"),
    (r"--(test|transfer)-file", r"the \1 file"),
    (r"^--knowledge", "The file of answers"),
    (r"^--delimiter", "The separator"),
    (r"--delimiter", "the separator"),
    (r"^--encoding", "The encoding"),
    (r"--encoding", "encoding"),
    (r"try --class-weights balanced", "set the class weights to balanced on Distill"),
)


def plain_words(said: KDError | str) -> str:
    """An error or a note, with the page's words for the command's flags."""
    text = str(said)
    for pattern, words in _WORDS:
        text = re.sub(pattern, words, text)
    return text


def term(name: str) -> str:
    """What a word of the glossary means, for ``help=``. Raises: KeyError for one that is not in it."""
    return escape(glossary.look_up(name).says)


def run_line(run: RunRow) -> str:
    """A run as an option of a list of runs, which shows plain text: its name, what it did, when."""
    named = [run.name] if run.name else []
    return " · ".join([*named, run.models, f"{run.created.astimezone():%d %b %Y %H:%M}"])


def told_apart(titles: Mapping[str, str]) -> dict[str, str]:
    """Titles of runs by their ids: with the end of the id where runs share one."""
    often = Counter(titles.values())
    return {
        run_id: f"{title} ({run_id[-4:]})" if often[title] > 1 else title for run_id, title in titles.items()
    }
