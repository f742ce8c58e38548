"""What counts as a word, and from where on texts and what reads them do not fit.

A word is what stands between spaces. Chinese, Japanese, Thai, Lao, Burmese and Khmer put none between their
words: there it is each character, with the marks that it carries.
"""

from __future__ import annotations

import re
from unicodedata import category

# Characters that nothing is drawn for, by Unicode's property Default_Ignorable_Code_Point: zero-width spaces
# and joiners, marks of direction, soft hyphens, variation selectors.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_CHINESE = "\u3400-\u9fff"
_JAPANESE = "\u3040-\u3098\u309b-\u30ff\uff66-\uff9d"  # katakana of half a width, too
_VOICED = "\u3099\u309a\uff9e\uff9f"  # marks of Japanese
_SOUTHERN = [*map(chr, [*range(0x0E00, 0x0F00), *range(0x1000, 0x10A0), *range(0x1780, 0x1800)])]
_AM = "\u0e33\u0eb3"  # vowels of Thai and Lao that begin as a mark on the letter before


def _southern(kind: str) -> str:
    """The letters ("L") or the marks ("M") of Thai, Lao, Burmese and Khmer; no digits, no punctuation."""
    return "".join(of for of in _SOUTHERN if ("M" if of in _AM else category(of)[0]) == kind)


_LETTER = rf"[{_CHINESE}{_JAPANESE}{_southern('L')}]"
# A sign of Burmese and one of Khmer write the next letter under this one. What nothing is drawn for, such as
# the zero-width space that may stand between their words, is no word of its own.
_CHARACTER = rf"{_LETTER}(?:[\u1039\u17d2]{_LETTER}|[{_VOICED}{_southern('M')}]|{INVISIBLE.pattern})*"
# Vowels of Arabic, Hebrew and Hindi, accents that are characters of their own: what stands on a letter.
_MARKS = "".join(map(chr, filter(lambda c: category(chr(c))[0] == "M", range(0x0300, 0x1D00))))
# Marks alone, such as the pauses in Arabic verses, are no word.
WORD = re.compile(rf"{_CHARACTER}|(?![{_MARKS}]+(?!\S))(?:(?!{_LETTER})\S)+")
# Of a text in a language that puts spaces between its words: those of letters alone.
_NO_SPACES = rf"[{_CHINESE}{_JAPANESE}{_VOICED}{''.join(_SOUTHERN)}]"
OF_LETTERS = re.compile(rf"(?:(?!{_NO_SPACES})[^\W\d_][{_MARKS}]*)+")
MANY_CUT = 0.1  # of the training texts lose their end: worth a word
FOREIGN = 1.6  # pieces a word; a tokenizer of its language has 1.0 to 1.3, another one mostly 1.7 or more
