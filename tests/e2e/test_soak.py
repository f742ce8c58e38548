"""Random things happen to a dashboard, and all is in order then; an hour is ``python -m tests.e2e.soak``."""

from __future__ import annotations

import os
import subprocess
import sys

from tests import ROOT


def test_whatever_happens_all_is_in_order_then() -> None:
    command = [sys.executable, "-m", "tests.e2e.soak", "--seed", os.environ.get("KD_SOAK_SEED", "1")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All is as it should be." in done.stdout
