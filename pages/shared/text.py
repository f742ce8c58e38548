"""User text on its way into Markdown (labels, captions, badges) or a Plotly label."""

from __future__ import annotations

import re

from kd_core.jobs.store import RunRow
from kd_core.learn import glossary

# Emoji and icon names, links, addresses and arrows are found when all else is done: an invisible word joiner
# keeps them apart.
_JOINER = "\u2060"
_FOUND_LAST = re.compile(
    r":(?=[\w/+-]+:)|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=\S)(?=@\S)|(?<=[-<>])(?=[-=>])", re.IGNORECASE
)
# Markup anywhere, and what makes a heading, a list or a line at the start.
_MARKUP = re.compile(r"[\\`*_{}\[\]~$<>&|]|:(?=[^\W\d])|^[#+=-]|^\d(?=\d*[.)]\s)")


def escape(text: object) -> str:
    """The text as one line that Markdown and Plotly show as it is: both print character references."""
    line = " ".join(str(text).split())
    parted = _FOUND_LAST.sub(lambda found: found.group() + _JOINER, line)
    return _MARKUP.sub(lambda found: f"&#{ord(found.group())};", parted)


def term(name: str) -> str:
    """What a word of the glossary means, for ``help=``. Raises: KeyError for one that is not in it."""
    return escape(glossary.look_up(name).says)


def run_line(run: RunRow) -> str:
    """A run as an option of a list of runs, which shows plain text: its name, what it did, when."""
    did = f"{run.task}: {run.teacher} → {run.student}"
    named = [run.name] if run.name else []
    return " · ".join([*named, did, f"{run.created.astimezone():%d %b %Y %H:%M}"])
