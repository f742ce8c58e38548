"""One question at a time to a room: each browser answers once, and only the presenter sees how it goes.

In memory, and gone with the process. What is right leaves the server when it is revealed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from threading import Lock

from pages.shared.room.browsers import SEATS, is_presenter


@dataclass(frozen=True)
class Question:
    """``right``: what is revealed; none where there is nothing right or wrong about it.

    ``because`` (Markdown) and ``link`` (a page and its label) are revealed with it: why, and where to see it.
    """

    words: str
    options: tuple[str, ...]
    right: tuple[str, ...] = ()
    because: str = ""
    link: tuple[str, str] | None = None


class Votes:
    """Of all sessions of this server. Opening, revealing and closing are the presenter's."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answers: dict[str, str] = {}  # by browser
        self.question: Question | None = None
        self.number = 0  # of the question, so that the same one can be asked again
        self.revealed = False

    def open(self, question: Question) -> None:
        """Raises: PermissionError."""
        self._set(question, revealed=False)

    def reveal(self) -> None:
        """No more answers, and what is right. Raises: PermissionError."""
        _presenter_only()
        self.revealed = True

    def close(self) -> None:
        """Raises: PermissionError."""
        self._set(None, revealed=False)

    def _set(self, question: Question | None, *, revealed: bool) -> None:
        _presenter_only()
        with self._lock:
            self.question, self.revealed, self._answers = question, revealed, {}
            self.number += 1

    def answer(self, browser: str, question: Question, option: str) -> bool:
        """Whether the answer counts: the first of its browser, to the question that is open."""
        with self._lock:
            counts = (
                question == self.question
                and not self.revealed
                and option in question.options
                and browser not in self._answers
                and len(self._answers) < SEATS
            )
            if counts:
                self._answers[browser] = option
            return counts

    def answer_of(self, browser: str) -> str | None:
        return self._answers.get(browser)

    def voters(self) -> set[str]:
        """The browsers that have answered; some may have left since."""
        with self._lock:
            return set(self._answers)

    def tally(self) -> dict[str, int]:
        """How many chose each option of the open question."""
        with self._lock:
            counts = Counter(self._answers.values())
            return {option: counts[option] for option in self.question.options} if self.question else {}


VOTES = Votes()


def _presenter_only() -> None:
    if not is_presenter():
        raise PermissionError("Only the presenter opens and reveals questions.")
