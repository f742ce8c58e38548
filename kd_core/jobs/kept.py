"""What the database would have alone of a job that is done, in its folder too: for the day it is gone.

Of a distillation these are its curves; of any other job (a benchmark, an export, a search, ...) all of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kd_core.distillation.events import Evaluated, Step
from kd_core.distillation.run_folder import write_about
from kd_core.errors import RunError
from kd_core.system import paths
from kd_core.system.atomic import new_folder

if TYPE_CHECKING:
    import pandas as pd

    from kd_core.jobs.states import JobKind
    from kd_core.system.control import Fence

CURVES = "curves"  # a folder within that of a run, of whose manifest it is no part
POINTS, EVALUATIONS = "points.parquet", "evaluations.parquet"
JOB = "job.json"


@dataclass(frozen=True)
class KeptJob:
    """A job that is no distillation."""

    kind: JobKind
    created: datetime
    config: dict[str, Any]
    report: dict[str, Any]


def keep_curves(run_id: str, curve: pd.DataFrame, evaluations: pd.DataFrame, fence: Fence) -> None:
    """As ``Store`` has them, in the folder of the run, where it has one. Raises: OSError, RunError."""
    run = paths.runs() / run_id
    if run.is_dir() and not (run / CURVES).is_dir():
        with new_folder(run / CURVES, fence) as folder:
            curve.to_parquet(folder / POINTS, index=False)
            evaluations.to_parquet(folder / EVALUATIONS, index=False)


def keep_job(run_id: str, job: KeptJob, name: str, tags: Sequence[str], fence: Fence) -> None:
    """Raises: OSError, RunError."""
    with new_folder(paths.jobs() / run_id, fence) as folder:
        kept = {**asdict(job), "created": job.created.isoformat()}
        (folder / JOB).write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    write_about(paths.jobs() / run_id, name, tags)


def read_job(run_id: str) -> KeptJob:
    """Raises: RunError."""
    try:
        kept = json.loads((paths.jobs() / run_id / JOB).read_text(encoding="utf-8"))
        created = datetime.fromisoformat(kept["created"])
        return KeptJob(kept["kind"], created, dict(kept["config"]), dict(kept["report"]))
    except OSError as error:
        raise RunError(f"The result of {run_id} is not there: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(f"The result of {run_id} cannot be read; it may be from another version.") from error


def read_curves(run_id: str) -> list[Step | Evaluated] | None:
    """None where the run has none, as those that Python code or an older KD Studio made."""
    folder = paths.runs() / run_id / CURVES
    try:
        return [*_events(folder / POINTS, Step), *_events(folder / EVALUATIONS, Evaluated)]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _events(file: Path, kind: type[Step] | type[Evaluated]) -> list[Step | Evaluated]:
    import pandas as pd

    frame: pd.DataFrame = pd.read_parquet(file)
    if kind is Step:  # of how many, the database does not keep either
        frame["steps"] = frame.groupby(["who", "seed"])["step"].transform("max")
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [kind(**{str(name): value for name, value in row.items()}) for row in rows]
