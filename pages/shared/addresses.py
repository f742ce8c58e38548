"""Every page's script, once: for links, for switching and for the navigation.

Relative to ``pages/main.py``.
"""

from __future__ import annotations

HOME = "start/home/page.py"
DATA = "build/data/page.py"
DISTILL = "build/distill/page.py"
SEARCH = "build/search/page.py"
RUNS = "review/runs/page.py"
REPORT = "review/report/page.py"
TRADEOFFS = "review/tradeoffs/page.py"
CAPACITY = "review/capacity/page.py"
LABS = "learn/labs/page.py"
LESSONS = "learn/labs/lessons/page.py"
QUIZ = "learn/labs/quiz/page.py"
RACE = "learn/race/page.py"
GLOSSARY = "learn/glossary/page.py"
PRESENT = "room/present/page.py"  # in a classroom only
PLAYGROUND = "use/playground/page.py"
EXPORT = "use/export/page.py"


def lab(name: str) -> str:
    """The script of a lab, by its name in ``catalogue.LABS``."""
    return f"learn/labs/scripts/{name}.py"
