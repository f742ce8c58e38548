"""What counts as a word: what stands between spaces, and in Chinese and Japanese each character."""

from __future__ import annotations

import re

_CHARACTER = r"[\u3040-\u30ff\u3400-\u9fff]"
WORD = re.compile(rf"{_CHARACTER}|(?:(?!{_CHARACTER})\S)+")
