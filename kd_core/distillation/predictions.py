"""What a run's models have said about its test and validation texts, read from its folder. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kd_core.distillation.report import Report
from kd_core.distillation.roles import FLOOR, Role
from kd_core.distillation.run_folder import VALIDATION
from kd_core.errors import RunError

if TYPE_CHECKING:
    import pandas as pd


def read_predictions(folder: Path, file: str, *columns: str) -> pd.DataFrame:
    """Those columns, or all, of ``file``: ``run_folder.PREDICTIONS`` or ``VALIDATION``. Raises: RunError."""
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(folder / file, columns=list(columns) or None)
    except (OSError, ValueError, pa.ArrowException) as error:
        lacks = f", or lacks one of {', '.join(columns)}" if columns else ""
        before = "; KD Studio 0.1 kept none of the validation texts" if file == VALIDATION else ""
        raise RunError(
            f"The predictions of {folder.name} are missing or damaged: {file} cannot be read{lacks}{before}. "
            "Run it again."
        ) from error


def kept_as(report: Report, who: Role) -> str:
    """The name of a model's column, and of its folder if it has one: with several seeds, of the first."""
    return who if who in ("teacher", FLOOR) else f"{who}-{report.config['training']['seeds'][0]}"


def logits(rows: pd.DataFrame, name: str) -> NDArray[np.floating[Any]]:
    """(texts, classes) of a column."""
    return np.stack(rows[name].to_list())
