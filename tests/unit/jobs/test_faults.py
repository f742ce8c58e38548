"""Whichever write fails, and if the process dies there: another one finds all as it should be."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.unit.jobs.faults import DIED, FAULTS, SAID, WORKS

# Of each piece of work so many calls fail in a test; each of them with KD_EVERY_FAULT=1, in some minutes.
MOST = "" if os.environ.get("KD_EVERY_FAULT") else "5"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs Linux and a C compiler")
@pytest.mark.parametrize("fault", FAULTS)
def test_whichever_write_fails_another_start_finds_all_in_order(fault, tmp_path):
    shim, source = str(tmp_path / "faults.so"), str(Path(__file__).with_name("faults.c"))
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl"], check=True)
    env = {**os.environ, "LD_PRELOAD": shim, "OPENBLAS_NUM_THREADS": "1"}
    env.pop("KD_DATABASE_URL", None)
    command = [sys.executable, "-m", "tests.unit.jobs.faults", fault, str(tmp_path), MOST]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {work: of["wrong"] for work, of in found.items() if of["wrong"]} == {}
    assert all(of["calls"] > 10 for of in found.values())
    # None of them was spared: without the shim, all would end as if nothing had been.
    died = [work for work, of in found.items() if str(DIED) in of["ends"]]
    assert died == (list(WORKS) if fault == FAULTS[2] else [])
    assert fault == FAULTS[2] or sum(of["ends"].get(str(SAID), 0) for of in found.values()) > len(WORKS)
