"""Security rules: no code from data, no foreign paths or requests, limits, and a local server."""

from __future__ import annotations

import ast
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kd_core.config import TaskConfig
from kd_core.data import decode, load_task, read, uploads
from kd_core.data.uploads import Upload
from kd_core.errors import DataError, KDError, ModelError, RunError, StoreError
from tests import ROOT

SOURCES = sorted(
    [
        ROOT / "app.py",
        ROOT / "classroom.py",
        *(ROOT / "kd_core").rglob("*.py"),
        *(ROOT / "pages").rglob("*.py"),
    ]
)
FILMS = "text,label\n" + "".join(f"Good film {i},pos\nBad film {i},neg\n" for i in range(10))


@cache
def trees() -> list[tuple[str, ast.Module]]:
    return [(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))) for path in SOURCES]


@cache
def calls(tree: ast.Module) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def imported(tree: ast.Module, package: str) -> set[str]:
    """Return the names that a module imports from a package."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.startswith(package)}
    return found


@cache
def dicts(tree: ast.Module) -> dict[str, dict[str, ast.expr]]:
    """Return the dict literals of a module by their variables' names."""
    return {
        node.targets[0].id: {
            key.value: value
            for key, value in zip(node.value.keys, node.value.values, strict=True)
            if isinstance(key, ast.Constant)
        }
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Dict)
    }


def options(tree: ast.Module, call: ast.Call) -> dict[str, ast.expr]:
    """Return the keywords of a call, including ``**name`` if the module defines that dict literally."""
    found: dict[str, ast.expr] = {}
    for keyword in call.keywords:
        if keyword.arg:
            found[keyword.arg] = keyword.value
        elif isinstance(keyword.value, ast.Name):
            found |= dicts(tree).get(keyword.value.id, {})
    return found


def is_literally(value: ast.expr | None, expected: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is expected


# No code comes with a model or a file


def test_nothing_executes_data():
    modules = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    functions = {"torch.load", "pd.read_pickle", "yaml.load", "eval", "exec", "os.system"}
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not modules & {alias.name.partition(".")[0] for alias in node.names}, name
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in modules, name
        for function, call in calls(tree):
            given = options(tree, call)
            assert function not in functions, f"{name}: {function}"
            for unsafe in ("allow_pickle", "shell", "trust_remote_code"):
                assert unsafe not in given or is_literally(given[unsafe], False), f"{name}: {function}"
            assert not is_literally(given.get("weights_only"), False), f"{name}: {function}"


def test_models_are_loaded_from_safetensors_without_remote_code():
    seen = 0
    for name, tree in trees():
        for function, call in calls(tree):
            if not function.endswith(".from_pretrained"):
                continue
            seen += 1
            given, where = options(tree, call), f"{name}:{call.lineno}"
            assert is_literally(given.get("trust_remote_code"), False), where
            if "Model" in function:
                assert is_literally(given.get("use_safetensors"), True), where
    assert seen >= 5  # the scan finds calls


def test_other_weight_formats_are_refused(tmp_path, tiny_task, teacher_folder):
    from kd_core.config import TeacherConfig
    from kd_core.models.loading import load_teacher

    folder = tmp_path / "teacher"
    shutil.copytree(teacher_folder("bert"), folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_teacher(TeacherConfig(model=str(folder)), tiny_task)


def test_no_telemetry_and_no_conversion_by_the_hub():
    code = (
        "import os, kd_core.data, kd_core.models;"
        "print(os.environ['HF_HUB_DISABLE_TELEMETRY'], os.environ['DISABLE_SAFETENSORS_CONVERSION'])"
    )
    unset = ("HF_HUB_DISABLE_TELEMETRY", "DISABLE_SAFETENSORS_CONVERSION")
    clean = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]


# Names and paths


@pytest.mark.parametrize(
    "place",
    [
        "https://127.0.0.1:9/a.csv",
        "http://127.0.0.1:9/a.parquet",
        "file:///etc/passwd",
        "s3://bucket/a.csv",
        "//server/share/a.csv",
        r"\\server\share\a.csv",
        "hub:https://127.0.0.1:9/a",
        r"hub:\\server\share",
    ],
)
@pytest.mark.parametrize("field", ["name", "test_file", "transfer_file"])
def test_a_file_field_fetches_nothing(tmp_path, place, field):
    own = tmp_path / "films.csv"
    own.write_text(FILMS)
    with pytest.raises(DataError, match=r"must be a file on this machine|here is no file|none of the kinds"):
        load_task(TaskConfig(**{"name": str(own), field: place}))


@pytest.mark.parametrize("name", ["../../../outside.csv", r"..\..\outside.csv", "/outside.csv", "~/a.csv"])
def test_an_upload_stays_in_its_folder(kd_home, tmp_path, name):
    saved = uploads.save({"name": Upload(name, FILMS.encode())}, TaskConfig())
    assert Path(saved.config.name).resolve().is_relative_to(kd_home.resolve() / "data" / saved.id)
    assert list(tmp_path.iterdir()) == [kd_home]


def test_links_out_of_the_data_folder_are_not_followed(kd_home, tmp_path):
    saved = uploads.save({"name": Upload("films.csv", FILMS.encode())}, TaskConfig())
    secret = tmp_path / "secret.csv"
    secret.write_text(FILMS)
    Path(saved.config.name).unlink()
    Path(saved.config.name).symlink_to(secret)
    assert uploads.saved() == []
    with pytest.raises(DataError, match="There is no uploaded task"):
        uploads.delete(saved.id)
    with pytest.raises(DataError, match="There is no uploaded task"):
        uploads.delete("../../" + tmp_path.name)
    assert secret.exists()


@pytest.mark.parametrize(
    "run_id", ["../secrets", "", ".", "/etc", "20260131-143000-a1b2/..", "x" * 300, "a\0b"]
)
def test_run_ids(kd_home, run_id):
    from kd_core.distillation import run_folder

    with pytest.raises(RunError, match="is not a run; a run is named like 20260131-143000-a1b2"):
        run_folder.find(run_id)


@pytest.mark.parametrize("run_id", ["../secrets", "/etc", ".."])
def test_only_runs_are_deleted(kd_home, tmp_path, run_id):
    from kd_core.jobs import deletion
    from kd_core.jobs.store import Store

    (tmp_path / "secrets").mkdir()
    store = Store()
    with pytest.raises(KDError):
        deletion.delete_run(store, run_id)
    store.close()
    assert (tmp_path / "secrets").is_dir()


@pytest.mark.parametrize("name", ["a/b/c", "a b", "https://host/a", "a?x=1", "", "a\n", r"\\server\a"])
def test_invalid_hub_ids_of_models(name):
    from kd_core.models.presets import TEACHERS, find_preset

    with pytest.raises(ModelError, match=r"is no model: choose minilm-l6"):
        find_preset(name, TEACHERS)


@pytest.mark.parametrize("name", ["a/b/c", "a b", "a?x=1", "a/b:c:d/../e f", ""])
def test_invalid_hub_ids_of_data_sets(name):
    with pytest.raises(DataError, match=r"A Hub data set is written hub:name|There is no data set|cannot be"):
        load_task(TaskConfig(name=f"hub:{name}"))


def test_processes_are_started_without_the_working_directory():
    """Only ``process.python`` starts them; otherwise a ``random.py`` beside a user's texts is imported."""
    starting = [path.name for path in (ROOT / "kd_core").rglob("*.py") if '"-m"' in path.read_text()]
    assert starting == ["process.py"]


# User text and HTML


def test_pages_write_only_constant_html():
    """HTML and scripts come from constants and our own files, never from a variable."""
    for name, tree in trees():
        assert imported(tree, "streamlit.components") <= {"declare_component"}, name
        for function, call in calls(tree):
            given = options(tree, call)
            assert "unsafe_allow_javascript" not in given, name
            if function == "declare_component":
                assert list(given) == ["path"], f"{name}: a folder, not an address"
            written: list[ast.expr] = []
            if "components" in function:
                assert function == "st.components.v2.component", f"{name}: {function}"
                written = [*call.args, *(option.value for option in call.keywords)]
            elif function.endswith(".html") or "unsafe_allow_html" in given:
                written = call.args[:1]
            used = {node.id for part in written for node in ast.walk(part) if isinstance(node, ast.Name)}
            assert all(n.isupper() or n in ("assets", "app_folder") for n in used), f"{name}: {used}"


def test_our_script_creates_no_html():
    code = "".join(path.read_text() for path in (ROOT / "assets").glob("*.js"))
    assert "textContent" in code
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment", code)
    assert not re.search(r"document\.write|\beval\b|\bFunction\(", code)


# Limits


def test_an_upload_over_the_limit_is_refused_by_its_size(monkeypatch):
    monkeypatch.setattr(decode, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(uploads, "load_task", lambda _: pytest.fail("was read"))
    with pytest.raises(DataError, match=r"films\.csv has 2\.0 MB, more than 1 MB\. Give a smaller file"):
        uploads.check({"name": Upload("films.csv", b"x" * 2_000_000)}, TaskConfig())


def test_too_many_rows_are_refused(monkeypatch):
    monkeypatch.setattr("kd_core.data.table.MAX_ROWS", 10)
    with pytest.raises(DataError, match=r"films\.csv has 20 rows, more than 10\. Give a sample"):
        uploads.check({"name": Upload("films.csv", FILMS.encode())}, TaskConfig())


def test_a_small_parquet_file_cannot_unpack_into_a_huge_one(monkeypatch):
    monkeypatch.setattr(read, "MAX_UNPACKED_BYTES", 5_000_000)
    sink = io.BytesIO()
    text = ["x" * 10_000] * 2_000  # 20 MB, stored once
    pq.write_table(pa.table({"text": text, "label": ["a", "b"] * 1_000}), sink, compression="zstd")
    assert len(sink.getvalue()) < 50_000
    with pytest.raises(DataError, match=r"bomb\.parquet has .* MB when unpacked, more than 5 MB"):
        uploads.check({"name": Upload("bomb.parquet", sink.getvalue())}, TaskConfig())


# The server and the database


def test_the_server_listens_on_this_machine_only():
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    server = config["server"]
    assert server["address"] == "127.0.0.1"
    assert set(server["allowedHosts"]) == {"localhost", "127.0.0.1"}
    assert server["enableXsrfProtection"] is True
    assert server["enableCORS"] is True
    assert server["fileWatcherType"] == "none"
    assert server["maxUploadSize"] == 50
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["toolbarMode"] == "viewer"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org"])
def test_a_network_address_needs_a_log_in(tmp_path, monkeypatch, capsys, host):
    from kd_core.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("started"))
    assert main(["app", "--host", host]) == 2
    assert f"--host {host} would open the dashboard to everybody on the network" in capsys.readouterr().err


def test_a_classroom_has_no_runner_and_no_store():
    for name in ("classroom.py", "pages/classroom.py", "pages/navigation.py"):
        assert not re.search(r"runner|store", (ROOT / name).read_text("utf-8").split('"""', 2)[2]), name
    rooms = [*(ROOT / "pages" / "room").rglob("*.py"), *(ROOT / "pages" / "shared" / "room").rglob("*.py")]
    assert {"door.py", "votes.py"} <= {path.name for path in rooms}
    for path in rooms:
        assert "pages.shared.state" not in path.read_text("utf-8"), path


def test_the_password_of_the_database_is_never_shown(kd_home, monkeypatch):
    from kd_core.jobs.store import Store

    monkeypatch.setenv("KD_DATABASE_URL", "postgresql://kd:s3cret-pw@127.0.0.1:9/kd")
    with pytest.raises(StoreError) as caught:
        Store().runs()
    assert "s3cret-pw" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    monkeypatch.setenv("KD_DATABASE_URL", "postgres ql://kd:s3cret-pw@host")
    with pytest.raises(StoreError) as caught:
        Store().runs()
    assert "s3cret-pw" not in str(caught.value)
