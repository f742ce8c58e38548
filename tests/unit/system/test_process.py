"""Owners of runs: the name of a process, and whether it still runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import psutil
import pytest

from kd_core.system.process import alive, fate, owner
from tests.unit.system.processes import ended, until


def test_alive():
    host, pid, _ = owner().rsplit(":", 2)
    assert (host, int(pid)) == (socket.gethostname(), os.getpid())
    assert fate(owner()) is True
    assert fate(ended()) is False
    assert fate("another machine:1:2.0") is None, "its heartbeat decides"
    assert alive("another machine:1:2.0")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_zombie_counts_as_ended():
    """Zombies stay in the process list of a container without an init process."""
    code = "from kd_core.system.process import owner; print(owner(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as process:
        name = process.stdout.readline().strip()
        assert fate(name) is True
        process.kill()
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        assert fate(name) is False


def test_a_process_is_identified_by_its_start_time():
    host, pid, time = socket.gethostname(), os.getpid(), psutil.Process().create_time()
    assert fate(f"{host}:{pid}:{time:.1f}") is True
    assert fate(f"{host}:{pid}:{time - 100:.1f}") is False, "another process had that number"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_identity_does_not_depend_on_clock_and_host_name(monkeypatch):
    mine = owner()
    _, pid, started = mine.rsplit(":", 2)
    ticks, _, realm = started.partition("@")
    monkeypatch.setattr(psutil, "boot_time", lambda: 0.0)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: 0.0)  # the clock was set
    assert fate(mine) is True
    assert fate(f"new name of the host:{pid}:{started}") is True
    assert fate(f"host:{pid}:{int(ticks) - 1}@{realm}") is False, "another process had that number"
    assert fate(f"host:{2**22 + 1}:{started}") is False
    boot, _, namespace = realm.partition("/")
    for other in (f"{boot}/{namespace}0", f"0{boot}/{namespace}"):  # another container, another boot
        assert fate(f"{socket.gethostname()}:{pid}:{ticks}@{other}") is None


@pytest.mark.parametrize("name", ["", "nobody", "a:b:c", "host:1:2:x", ":::", "a:-1:0", "a:1:nan"])
def test_invalid_owners(name, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: name.rsplit(":", 2)[0])
    assert not alive(name)


def test_owners_on_linux_are_unknown_elsewhere(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    name = "linuxbox:4242:123456@3b3e9d1c-0000-0000-0000-000000000000/4026531836"
    assert fate(name) is None, "its heartbeat decides"
    assert alive(name)
