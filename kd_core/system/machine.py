"""The machine that work runs on."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

import psutil
import torch

from kd_core.system.container import cores


def describe_machine() -> dict[str, str | int]:
    """What latencies depend on, without anything that names the machine or its user.

    ``processor``, ``cores`` (that this process may use), ``memory_gb``, ``os``, ``python``, ``torch`` and,
    where there is one, ``accelerator``.
    """
    machine: dict[str, str | int] = {
        "processor": _processor(),
        "cores": len(cores()),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "os": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }
    if torch.cuda.is_available():
        machine["accelerator"] = torch.cuda.get_device_name()
    return machine


def _processor() -> str:
    name = ""
    if platform.system() == "Linux":
        model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
        name = model[1] if model else ""
    elif platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        name = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return name or platform.processor() or platform.machine()
