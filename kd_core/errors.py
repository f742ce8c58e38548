"""What can go wrong, in one small tree. Pages and the command catch ``KDError`` and nothing wider.

KDError
|- ConfigError    a setting, or several that do not go together
|- DataError      a file, its columns or its content
|- ModelError     a teacher or student that cannot be found, loaded or built
|- RunError       a run that is missing, unfinished or changed on disk
|- StoreError     the database cannot be opened, read or written
|  `- DiskFullError  its disk has no room, as far as can be told
|- DivergedError  the loss is no longer a number
`- Stopped        somebody asked the run to stop

A message says what happened, the actual value, and what to do, in one or two sentences.
"""

from collections.abc import Sequence


class KDError(Exception):
    """Base of all errors that are meant for the person at the screen.

    ``run_id``: of the run that ended so, where ``distill`` raises it; with that id it can go on.
    """

    run_id: str | None = None


class ConfigError(KDError):
    """One or more settings are not legal; ``problems`` lists each of them."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


class DataError(KDError):
    """A file or its content cannot be used as a task.

    ``settings``: the fields of ``TaskConfig`` (consents, an encoding), any of which makes it usable as it is.
    """

    def __init__(self, message: str, *, settings: Sequence[str] = ()) -> None:
        self.settings = tuple(settings)
        super().__init__(message)


class ModelError(KDError):
    """A model cannot be found, loaded or built."""


class RunError(KDError):
    """A run cannot be found or read."""


class StoreError(KDError):
    """The database of runs cannot be opened, read or written."""


class DiskFullError(StoreError):
    """The disk of the database is full, or what SQLite says of such a disk."""


class DivergedError(KDError):
    """The training loss became NaN or infinite."""


class Stopped(KDError):
    """The run was stopped on request, through its ``Control``."""
