"""The server's first request, and its end in the middle of a training."""

from __future__ import annotations

import base64
import signal
import socket
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
def test_the_very_first_request_may_be_a_deep_link(
    server: Server, page: Page, console_errors: Callable[[Page], list[str]]
) -> None:
    check_first_deep_link(server, page)
    assert console_errors(page) == []
    check_wrong_address(server, page)


@pytest.mark.parametrize(("origin", "status"), [("", 101), ("http://evil.example", 403), ("null", 403)])
def test_a_page_of_another_site_gets_no_connection(server: Server, origin: str, status: int) -> None:
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
    """Somebody who has asked for a large file and fell asleep: uvicorn waits for them without end."""
    largest = max((STATIC / "js").iterdir(), key=lambda file: file.stat().st_size)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(f"GET /static/js/{largest.name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of a student whose training nothing disturbs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_HOME", str(tmp_path_factory.mktemp("undisturbed")))
        return weights(Path(distill(CONFIG).folder))


def weights(run: Path) -> bytes:
    return (run / "students" / "student-0" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("server", "how", "status"),
    [(STREAMLIT, signal.SIGTERM, 128 + signal.SIGTERM), (KD, signal.SIGINT, 1)],
    ids=["SIGTERM while somebody is still connected", "SIGINT"],
    indirect=["server"],
)
def test_a_server_that_is_ended_leaves_its_training_to_be_resumed(
    server: Server,
    page: Page,
    visit: Callable[..., None],
    undisturbed: bytes,
    monkeypatch: pytest.MonkeyPatch,
    how: signal.Signals,
    status: int,
) -> None:
    monkeypatch.setenv("KD_HOME", str(server.home))  # whose id says that the run's files lie there
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
