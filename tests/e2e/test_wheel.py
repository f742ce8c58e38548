"""The dashboard from an installed wheel: away from the checkout, from any folder."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.dashboard import ROOT, Server, check_first_deep_link, check_wrong_address, settle


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Iterator[Server]:
    """Its server, in an environment that has the dependencies but not the checkout."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, str(wheel)], check=True, timeout=120)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    (tmp_path / "elsewhere").mkdir()
    server = Server(tmp_path / "home", [str(python.with_name("kd")), "app"], cwd=tmp_path / "elsewhere")
    server.start()
    yield server
    server.stop()
    assert "Traceback" not in server.log.read_text()


def test_the_wheel_carries_the_dashboard_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("app.py", "pages/start/home/page.py", "assets/flow.svg", ".streamlit/config.toml"):
        assert f"kd_core/_app/{name}" in names
    assert not any("__pycache__" in name or name.startswith("tests/") for name in names)


def test_an_installed_wheel_opens(
    installed: Server, page: Page, console_errors: Callable[[Page], list[str]]
) -> None:
    check_first_deep_link(installed, page)
    page.goto(installed.url)
    settle(page)
    expect(page).to_have_title("Home")
    expect(page.get_by_role("heading", name="KD Studio")).to_be_visible()
    # The theme travels too: without its settings, the toolbar would offer "Deploy".
    expect(page.get_by_role("button", name="Deploy")).to_have_count(0)
    assert console_errors(page) == []
    check_wrong_address(installed, page)
