"""What counts as a word, and from where on texts and what reads them do not fit.

A word is what stands between spaces, and in Chinese and Japanese each character.
"""

from __future__ import annotations

import re

_CHARACTER = r"[\u3040-\u30ff\u3400-\u9fff]"
# Characters that nothing is drawn for, by Unicode's property Default_Ignorable_Code_Point: zero-width spaces
# and joiners, marks of direction, soft hyphens, variation selectors.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
WORD = re.compile(rf"{_CHARACTER}|(?:(?!{_CHARACTER})\S)+")
# Of a text in a language that puts spaces between its words: those of letters alone.
_NO_SPACES = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"  # Thai, Lao, Burmese, Khmer
OF_LETTERS = re.compile(rf"(?:(?!{_CHARACTER}|{_NO_SPACES})[^\W\d_])+")
MANY_CUT = 0.1  # of the training texts lose their end: worth a word
FOREIGN = 1.6  # pieces a word; a tokenizer of its language has 1.0 to 1.3, another one mostly 1.7 or more
