"""What pages compute while another thread is importing torch, which is then half there."""

from __future__ import annotations

import subprocess
import sys


def test_reports_and_charts_do_not_look_into_torch() -> None:
    """As a process of its own: scipy remembers what it has seen."""
    code = """
import sys, types
from importlib.util import find_spec
spec = find_spec("torch")
sys.modules["torch"] = types.ModuleType("torch")  # as it is at the first line of its import
sys.modules["torch"].__spec__ = spec
import numpy as np
from kd_core.distillation.comparison import verdict
from kd_core.distillation.metrics import log_softmax, softmax, wilson
from kd_core.search.kept import Pairs, at_least
assert softmax([[1.0, 2.0]]).sum() == 1.0 and log_softmax([[0.0, 0.0]])[0, 0] == -np.log(2)
verdict(np.array([[True, False, True]]), np.array([[False, False, True]]))
verdict(np.eye(3, dtype=bool), np.zeros((3, 3), dtype=bool))  # several seeds
wilson(0.5, 100), at_least(Pairs(90, 2, 2, 6))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
