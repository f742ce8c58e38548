"""The example texts of the labs: bundled ones and those of a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kd_core.distillation.metrics import softmax
from kd_core.errors import RunError
from kd_core.learn.examples import Examples, of_run, shipped
from tests import SAMPLES

RUN = "20260131-143000-a1b2"
SAMPLE = SAMPLES / "report.json"


@pytest.fixture
def three() -> Examples:
    logits = np.log([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.2, 0.2, 0.6]])
    return Examples(("a", "b", "c"), ("x", "y", "z"), np.array([0, 2, 0]), {"teacher": logits})


def test_undecided_text_and_entropies(three: Examples) -> None:
    assert three.undecided == 0, "of the second and the third the teacher is wrong"
    assert three.entropies()[0] == pytest.approx(0.8018, abs=1e-4)


def test_disagreements_by_confidence(three: Examples) -> None:
    assert three.disagreements().tolist() == [2, 1]


def test_similarity(three: Examples) -> None:
    """The text of x that the teacher gets right leaves 0.2 to y and 0.1 to z; the others are its errors."""
    found = three.similarity(1.0)
    assert three.right_of(0).tolist() == [0]
    assert found[0, 1:] == pytest.approx([2 / 3, 1 / 3])
    assert np.isnan(found[1:]).all()
    assert three.similarity_of_samples(0, draws=5) == pytest.approx(np.tile([0, 2 / 3, 1 / 3], (5, 1)))
    assert np.isnan(np.diag(found)).all()


def test_bundled_examples() -> None:
    known = shipped()
    row = known.undecided
    assert known.texts[row] == "Corbett attacks 'dumbed-down TV'"
    assert softmax(known.logits["teacher"][row])[[1, 2]] == pytest.approx([0.605, 0.379], abs=5e-4)
    assert len(known.disagreements()) == 20
    assert known.texts[known.disagreements()[0]] == "Howard hits back at mongrel jibe"


def test_examples_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_HOME", str(tmp_path))
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    report = json.loads(SAMPLE.read_text("utf-8"))
    (folder / "report.json").write_text(json.dumps(report), "utf-8")
    with pytest.raises(RunError, match=f"The predictions of {RUN} are missing or damaged"):
        of_run(RUN)
    rows = {who: [[1.0, 2, 3, 4, 5], [5.0, 4, 3, 2, 1]] for who in ("teacher", "student-0", "alone-0")}
    pd.DataFrame({"text": ["a", "b"], "label": [0, 4], **rows}).to_parquet(folder / "predictions.parquet")
    found = of_run(RUN)
    assert found.texts == ("a", "b")
    assert found.labels == tuple(report["labels"])
    assert found.logits["alone"].tolist() == rows["alone-0"]
    with pytest.raises(RunError, match="There is no run 20260131-143000-ffff"):
        of_run("20260131-143000-ffff")


def test_examples_need_no_torch() -> None:
    code = "import sys; from kd_core.learn.examples import shipped; shipped(); "
    code += "assert not {'torch', 'datasets', 'transformers'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", code], check=True)
