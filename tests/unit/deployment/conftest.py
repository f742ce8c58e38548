"""Shared fixtures: two exports of the finished run, and runs whose students transformers does not have."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kd_core.distillation.report import Report


@dataclass(frozen=True)
class Exported:
    """``plain`` has the student in all forms; ``calibrated`` has a temperature and a cascade as well."""

    home: Path  # of the run; what was converted and measured stays in its cache
    run: Report
    report: dict[str, Any]  # of the plain one
    events: list[Any]
    plain: Path
    calibrated: Path
    predictions: pd.DataFrame


@pytest.fixture(scope="session")
def exported(finished_run, once) -> Exported:
    """``finished_run``, copied and exported twice. Tests only read it."""
    run = finished_run.report

    def build(folder: Path) -> None:
        from kd_core.deployment import int8_answers
        from kd_core.deployment.export import ExportConfig, export_run

        shutil.copytree(finished_run.home, folder / "home")
        events: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KD_HOME", str(folder / "home"))
            plain = ExportConfig(run=run.run_id, to=str(folder / "plain"), int8=True)
            report = export_run(plain, events.append)
            changes = {"to": str(folder / "calibrated"), "calibrate": True, "agree": 55}
            export_run(plain.model_copy(update=changes))
            int8_answers.measure(run.run_id)
        (folder / "export.pickle").write_bytes(pickle.dumps((report, events)))

    folder = once("exported", build)
    report, events = pickle.loads((folder / "export.pickle").read_bytes())
    predictions = pd.read_parquet(finished_run.folder / "predictions.parquet")
    home, plain, calibrated = (folder / name for name in ("home", "plain", "calibrated"))
    return Exported(home, run, report, events, plain, calibrated, predictions)


@pytest.fixture
def run_id(exported, monkeypatch) -> str:
    """The exported run, in its home."""
    monkeypatch.setenv("KD_HOME", str(exported.home))
    return exported.run.run_id


@pytest.fixture
def copied_home(exported, tmp_path, monkeypatch) -> Path:
    """A copy of the run's home, to be changed."""
    home = shutil.copytree(exported.home, tmp_path / "home")
    monkeypatch.setenv("KD_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def network_run(short_config, once) -> Callable[..., tuple[Path, Report]]:
    """``network_run("cnn")``: the home and the report of a short run with that student."""

    def trained(student: str, **changes: Any) -> tuple[Path, Report]:
        def train(folder: Path) -> None:
            from kd_core import distill

            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("KD_HOME", str(folder / "home"))
                report = distill(short_config.change({"student.model": student} | changes))
            (folder / "report.pickle").write_bytes(pickle.dumps(report))

        folder = once("-".join(["run-of", student, *map(str, changes.values())]), train)
        return folder / "home", pickle.loads((folder / "report.pickle").read_bytes())

    return trained
