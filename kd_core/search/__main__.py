"""``python -m kd_core.search STUDY WORK``: one more worker, started by ``processes.more_workers``."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from pathlib import Path

from kd_core.errors import Stopped
from kd_core.search import result, run_search
from kd_core.system.control import Control


def _obey(control: Control) -> None:
    """Our input ends when the process that started us does."""
    for line in sys.stdin:
        (control.pause if line.strip() == "pause" else control.resume)()
    control.stop()


def main(study: str, work: Path) -> None:
    control = Control()
    threading.Thread(target=_obey, args=(control,), daemon=True).start()
    config = result(study).config.model_copy(update={"workers": 1})
    with suppress(Stopped):
        run_search(config, study, work, control=control)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
