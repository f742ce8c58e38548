"""Who is trained and measured in a run: names, in the order in which they are always listed."""

from __future__ import annotations

from typing import Literal

# In the order in which they are always listed.
NAMES: dict[Role, str] = {
    "teacher": "Teacher",
    "student": "Distilled student",
    "labelled_only": "Distilled on labelled texts",
    "alone": "Student alone",
}

SHORT_NAMES: dict[Role, str] = {
    "teacher": "Teacher",
    "student": "Distilled",
    "labelled_only": "Labelled only",
    "alone": "Alone",
}


# Who is trained or measured. "student" is the distilled one.
Role = Literal["teacher", "alone", "labelled_only", "student"]
