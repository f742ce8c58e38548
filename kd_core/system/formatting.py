"""Numbers as people read them: the same in the dashboard, the command and the reports."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

# Control characters but for tabs and line feeds, and marks that turn the direction of writing.
_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

_FROM_RIGHT = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]+"
_RIGHT_TO_LEFT = re.compile(rf"{_FROM_RIGHT}(?:\s+{_FROM_RIGHT})*")


def right_to_left(text: str) -> bool:
    """Whether some of it is written so, as Arabic and Hebrew are."""
    return _RIGHT_TO_LEFT.search(text) is not None


def isolated(text: str) -> str:
    """``text`` whose words from right to left turn nothing around them; all of it, where most are such.

    A sentence that begins with an Arabic label stays one from left to right.
    """
    there = sum(map(len, _RIGHT_TO_LEFT.findall(text)))
    if 2 * there > sum(map(str.isalpha, text)):
        return f"\u2068{text}\u2069"
    return _RIGHT_TO_LEFT.sub(lambda words: f"\u2068{words[0]}\u2069", text)


def percent(share: float, decimals: int = 1) -> str:
    """0.895 -> "89.5 %"."""
    return f"{100 * share:.{decimals}f} %"


def points(difference: float) -> str:
    """0.048 -> "+4.8 points", with a real minus sign; "0.0 points" where it rounds to nothing."""
    return f"{signed(100 * difference)} points"


def signed(number: float) -> str:
    """4.83 -> "+4.8", -4.83 -> "−4.8", 0.01 -> "0.0"."""
    rounded = round(number, 1)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return f"{sign}{abs(rounded):.1f}"


ABOUT_PLUS_MINUS = "± is half of the 95 % interval, −/+ are its two sides where they differ"


def plus_minus(share: float, low: float | None, high: float | None, least: float = 0.0) -> str:
    """The interval around a share, in points: (0.876, 0.848, 0.904) -> "± 2.8", (1, 0.951, 1) -> "−4.9/+0.0".

    Half of it stands for both sides where that is true to 0.3 points and inside what is possible, from
    ``least`` (-1 of a difference) to 100 %, and tells as much of zero. Where it is not known (None, NaN), "".
    """
    if low is None or high is None or math.isnan(low + high):
        return ""
    half = (high - low) / 2
    same_side = (abs(share) > half) == (low * high > 0)
    if abs(share - low - half) < 0.003 and least + half <= share <= 1 - half and (least == 0 or same_side):
        return f"± {100 * half:.1f}"
    return f"−{100 * (share - low):.1f}/+{100 * (high - share):.1f}"


def with_interval(share: float, low: float | None, high: float | None) -> str:
    """(0.876, 0.848, 0.904) -> "87.6 % ± 2.8"; (1, None, None) -> "100.0 %"."""
    return f"{percent(share)} {plus_minus(share, low, high)}".rstrip()


def interval(low: float, high: float) -> str:
    """An interval of shares, in points: (0.006, 0.067) -> "+0.6 to +6.7"; one from "+0.0" is above zero."""
    return f"{bound(low)} to {bound(high)}"


def bound(share: float) -> str:
    """In points; the sign stays where rounding leaves nothing: 0.0003 -> "+0.0", 0 -> "0.0"."""
    sign = "+" if share > 0 else "−" if share < 0 else ""
    return f"{sign}{abs(100 * share):.1f}"


def ratio(number: float) -> str:
    """7.63 -> "7.6x", 125.3 -> "125x"."""
    return f"{number:.1f}x" if number < 99.95 else f"{number:,.0f}x"


def times(number: float) -> str:
    """The same in a sentence: "7.6 times", "125 times"."""
    return f"{ratio(number).removesuffix('x')} times"


def compared(number: float, better: str, worse: str) -> str:
    """What a ratio means: (7.6, "smaller", "larger") -> "7.6x smaller", 0.5 "2.0x larger", 1 "no smaller"."""
    times = ratio(max(number, 1 / number))
    return f"no {better}" if times == ratio(1) else f"{times} {better if number > 1 else worse}"


def in_sentence(title: str) -> str:
    """ "Distilled student, ONNX" -> "distilled student, ONNX"; "TF-IDF" stays."""
    return title if title[:2].isupper() else title[:1].lower() + title[1:]


def megabytes(size_mb: float | None) -> str:
    """0.039 -> "39 kB", 10.699 -> "10.7 MB", 1234.5 -> "1.2 GB" (1 MB = 1e6 bytes), None -> ""."""
    if size_mb is None:
        return ""
    if 0 < size_mb < 0.0995:
        return f"{1000 * size_mb:.0f} kB"
    return f"{size_mb:.1f} MB" if size_mb < 999.95 else f"{size_mb / 1000:,.1f} GB"


def milliseconds(duration_ms: float | None) -> str:
    """1.687 -> "1.69 ms", 12.12 -> "12.1 ms", None -> ""."""
    if duration_ms is None:
        return ""
    return f"{duration_ms:.2f} ms" if duration_ms < 9.995 else f"{duration_ms:,.1f} ms"


def duration(seconds: float) -> str:
    """0.42 -> "0.4 s", 19.2 -> "19 s", 130 -> "about 2 min", 4800 -> "about 1 h 20 min"."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    parts = [f"{hours:,} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0)
    return f"about {' '.join(parts)}"


def or_auto(value: float | str) -> str:
    """A setting: "4" of 4.0, and "auto" while it is not resolved."""
    return value if isinstance(value, str) else f"{value:g}"


def count(number: int | None) -> str:
    """2,673,669 -> "2.7 M", 12,000 -> "12,000", None -> ""."""
    if number is None:
        return ""
    return f"{number / 1e6:,.1f} M" if number >= 100_000 else f"{number:,}"


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def what_is_timed(batch: int, threads: int, tokenizer: bool) -> str:
    """As a latency's fields have it; version 0.1 timed the forward pass alone."""
    what = "text" if batch == 1 else f"batch of {batch:,} texts"
    what = f"from {what} to answer, tokenizer included" if tokenizer else f"one {what}, without the tokenizer"
    return f"{what}, on {counted(threads, 'thread')}"


def beside_other_work(shares: Mapping[str, float]) -> str:
    """The beginning of a sentence about times; ``shares`` of them went by so, by whose they are."""
    said = ", ".join(f"{percent(share, 0)} ({in_sentence(name)})" for name, share in shares.items())
    return f"While answers were timed, the processor was at other work for {said} of the time"


def capitalised(text: str) -> str:
    """With a capital first; unlike ``str.capitalize``, "measuring PyTorch" keeps its others."""
    return text[:1].upper() + text[1:]


def printable(text: str) -> str:
    """Without what commands a terminal, or turns the order of what follows."""
    return _COMMANDS.sub("\ufffd", text)
