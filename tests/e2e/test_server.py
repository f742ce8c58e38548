"""The server itself: first requests, foreign origins, its end during a training, and the installed wheel."""

from __future__ import annotations

import base64
import signal
import socket
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import pytest
import streamlit
from playwright.sync_api import Page, expect

from kd_core import distill
from kd_core.config import DistillConfig
from kd_core.jobs.store import Store
from tests import ROOT
from tests.e2e.dashboard import (
    KD,
    STREAMLIT,
    Server,
    check_first_deep_link,
    check_wrong_address,
    settle,
    wait_for_points,
)

MINUTE = 60_000
STATIC = Path(streamlit.__file__).parent / "static" / "static"
RUN = "20260131-143000-a1b2"
CONFIG = DistillConfig.from_dict(
    {
        "task": {"name": str(ROOT / "assets" / "samples" / "support-messages.csv")},
        "teacher": {"model": "scratch", "layers": 2, "hidden": 32, "heads": 2, "epochs": 2},
        "student": {"model": "custom", "layers": 2, "hidden": 16, "heads": 2},
        "training": {"steps": 600, "precision": "fp32"},
        "controls": {"labelled_only": False, "shifted": False, "latency_repeats": 5},
    }
)


@pytest.mark.parametrize("server", [STREAMLIT, KD], ids=["streamlit run", "kd app"], indirect=True)
def test_the_first_request_may_be_a_deep_link(
    server: Server, page: Page, console_errors: Callable[[Page], list[str]]
) -> None:
    check_first_deep_link(server, page)
    assert console_errors(page) == []
    check_wrong_address(server, page)


@pytest.mark.parametrize(("origin", "status"), [("", 101), ("http://evil.example", 403), ("null", 403)])
def test_another_sites_page_gets_no_connection(server: Server, origin: str, status: int) -> None:
    asked = {
        "Host": f"127.0.0.1:{server.port}",
        "Origin": origin or server.url,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
    }
    lines = ["GET /_stcore/stream HTTP/1.1", *(f"{name}: {value}" for name, value in asked.items()), "", ""]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(100).split()[1] == str(status).encode()


@contextmanager
def stalled_download(server: Server) -> Iterator[None]:
    """Request a large file and read nothing more: uvicorn waits for such a client without end."""
    largest = max((STATIC / "js").iterdir(), key=lambda file: file.stat().st_size)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(f"GET /static/js/{largest.name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights after an uninterrupted training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_HOME", str(tmp_path_factory.mktemp("undisturbed")))
        return weights(Path(distill(CONFIG).folder))


def weights(run: Path) -> bytes:
    return (run / "students" / "student-0" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("server", "how", "status"),
    [(STREAMLIT, signal.SIGTERM, 128 + signal.SIGTERM), (KD, signal.SIGINT, 1)],
    ids=["SIGTERM with a stalled client", "SIGINT"],
    indirect=["server"],
)
def test_a_stopped_server_leaves_a_resumable_run(
    server: Server,
    page: Page,
    visit: Callable[..., None],
    undisturbed: bytes,
    monkeypatch: pytest.MonkeyPatch,
    how: signal.Signals,
    status: int,
) -> None:
    monkeypatch.setenv("KD_HOME", str(server.home))  # locates the run's files
    with closing(Store(f"sqlite:///{server.home / 'kd.sqlite'}")) as store:
        store.create_run(RUN, CONFIG.model_dump(mode="json"))
        visit(page, f"/distill?run={RUN}")
        wait_for_points(server.home, RUN)
        with stalled_download(server) if how == signal.SIGTERM else nullcontext():
            assert server.stop(how) == status
        assert store.run(RUN).status == "interrupted"
        assert list((server.home / "work" / RUN).rglob("checkpoint-*")) != []

        server.start()
        visit(page, f"/distill?run={RUN}")
        page.get_by_role("button", name="Resume from the last checkpoint").click()
        expect(page.get_by_role("link", name="Open the report")).to_be_visible(timeout=5 * MINUTE)
        assert store.run(RUN).status == "done"
    assert weights(server.home / "runs" / RUN) == undisturbed


def test_a_dashboard_below_a_proxys_path(page: Page, server: Server) -> None:
    server.stop()
    server.url += "/tools/kd"
    server.start("--server.baseUrlPath", "tools/kd")
    page.goto(f"{server.url}/temperature?hide=question")
    settle(page)
    expect(page.locator(".kd-chart .main-svg").first).to_be_visible()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Iterator[Server]:
    """The wheel's server, in an environment with the dependencies but without the checkout."""
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
    # Without the packaged settings, the toolbar would offer "Deploy".
    expect(page.get_by_role("button", name="Deploy")).to_have_count(0)
    assert console_errors(page) == []
    check_wrong_address(installed, page)
