"""``python -m kd_core.search STUDY WORK``: one more worker, started by ``processes.more_workers``."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from kd_core.errors import Stopped
from kd_core.search import result, run_search
from kd_core.system.helpers import parent_control


def main(study: str, work: Path) -> None:
    control = parent_control()
    config = result(study).config.model_copy(update={"workers": 1})
    with suppress(Stopped):
        run_search(config, study, work, control=control)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
