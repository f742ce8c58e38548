"""The package as a whole: what an import loads, which module may use which, and what none may do."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import kd_core

ROOT = Path(kd_core.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
HEAVY = ("torch", "transformers", "datasets", "streamlit", "pandas")
LIGHT = (
    "config",
    "errors",
    "objectives",
    "system.paths",
    "system.atomic",
    "system.cache",
    "system.control",
    "distillation.events",
    "distillation.metrics",
    "distillation.report",
    "distillation.run_folder",
    "cli",
    "cli.flags",
)

# Each room may use those above it, and none beside or below. A new file needs no entry.
LAYERS = """
errors
objectives system
config
data
models
distillation
jobs learn
search deployment
figures job_kinds
cli
"""
LEVEL = {name: level for level, line in enumerate(LAYERS.split("\n")) for name in line.split()}


BROUGHT = [ROOT / "models" / f"{name}.py" for name in ("bilstm", "cnn", "pooled", "static")]


def dotted(file: Path) -> str:
    """ "kd_core.data.files" for kd_core/data/files.py, "kd_core.data" for its __init__."""
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def room(name: str) -> str:
    """ "data" for "kd_core.data.files", "" for the package's own __init__."""
    return name.partition(".")[2].partition(".")[0]


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(file: Path, *, at_once: bool = False) -> Iterator[str]:
    """Dotted names of all that a file imports, inside functions and for type checking too."""
    found = tree(file)
    for node in found.body if at_once else ast.walk(found):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:  # a file that an export brings along, with those beside it
                assert node.level == 1
                assert file in BROUGHT, f"{file} has a relative import"
            package = f"{dotted(file.parent)}." if node.level else ""
            yield from (f"{package}{node.module}.{name.name}" for name in node.names)


MODULES = {dotted(file): file for file in FILES}


def used(file: Path, *, at_once: bool = False) -> set[str]:
    """The modules of kd_core that a file imports; ``at_once``: while it is imported itself."""
    found = set()
    for name in imported(file, at_once=at_once):
        if name in MODULES:
            found.add(name)
        elif (module := name.rpartition(".")[0]) in MODULES:  # a name of that module
            found.add(f"kd_core.{kd_core._HOMES[name.split('.')[1]]}" if module == "kd_core" else module)
    return found - {dotted(file)}


def loaded(*modules: str) -> dict[str, list[str]]:
    """Which heavy packages are there after each import, all in one new process."""
    code = f"""
import importlib, json, sys
found = {{}}
for name in {modules}:
    importlib.import_module(name)
    found[name] = [heavy for heavy in {HEAVY} if heavy in sys.modules]
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_notebook_completes_what_there_is() -> None:
    assert dir(kd_core) == ["Control", "DistillConfig", "KDError", "Report", "distill"]


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded("kd_core") == {"kd_core": []}


def test_modules_for_starting_fast_load_nothing_heavy() -> None:
    names = [f"kd_core.{name}" for name in LIGHT]
    assert loaded(*names) == {name: [] for name in names}


def test_durations_come_from_a_clock_that_does_not_jump() -> None:
    """Bad input 57. The age of a file is the one thing that the wall clock is right for."""
    wall = {file.name for file in FILES if "time.time()" in file.read_text(encoding="utf-8")}
    assert wall == {"cleaning.py"}


def test_the_check_of_loaded_modules_can_fail() -> None:
    assert loaded("pandas") == {"pandas": ["pandas"]}


@pytest.mark.parametrize("name", kd_core.__all__)
def test_public_names_are_there(name: str) -> None:
    thing = getattr(kd_core, name)
    assert thing.__name__ == name
    assert thing.__module__ == f"kd_core.{kd_core._HOMES[name]}"


def test_every_public_name_has_a_home_and_no_other_has() -> None:
    assert sorted(kd_core._HOMES) == sorted(kd_core.__all__)
    with pytest.raises(AttributeError, match=r"^module 'kd_core' has no attribute 'distil'$"):
        _ = kd_core.distil


def test_every_room_has_its_layer() -> None:
    assert {room(name) for name in MODULES} - {""} == set(LEVEL)


def test_the_top_of_the_engine_is_small() -> None:
    assert len(LEVEL) <= 14


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_imports_go_down(file: Path) -> None:
    if mine := room(dotted(file)):  # the package's own __init__ names everything
        others = {room(name) for name in used(file)} - {mine, ""}
        assert [other for other in others if LEVEL[other] >= LEVEL[mine]] == [], (
            f"{mine} uses only what is below"
        )


def test_no_imports_in_a_circle() -> None:
    """Not between files either, and also not by way of an import inside a function or for type checking."""
    uses = {name: used(file) for name, file in MODULES.items() if name != "kd_core"}
    try:
        TopologicalSorter(uses).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_file_imports_the_dashboard_or_pickle(file: Path) -> None:
    banned = {"streamlit", "pages", "app", "tests", "pickle", "cPickle", "dill", "cloudpickle", "joblib"}
    assert not {name.split(".")[0] for name in imported(file)} & banned


UNSAFE = {
    "weights_only=False": r"weights_only\W+False",
    "trust_remote_code=True": r"trust_remote_code\W+True",
    "use_safetensors=False": r"use_safetensors\W+False",
    "torch.load": r"torch\.load\b",
    "allow_pickle=True": r"allow_pickle\W+True",
    "yaml.load": r"yaml\.(unsafe_|full_)?load\b",
}


@pytest.mark.parametrize("name", UNSAFE)
def test_nothing_unsafe(name: str) -> None:
    pattern = re.compile(UNSAFE[name])
    assert pattern.search(name)
    found = [file.name for file in FILES if pattern.search(file.read_text(encoding="utf-8"))]
    # What the reader of an export may write is a text there, and no call.
    assert found == (["network_code.py"] if name == "trust_remote_code=True" else [])


def test_no_unsafe_call() -> None:
    calls = [
        f"{file.name}:{node.lineno}"
        for file in FILES
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec")
    ]
    assert calls == []


def test_every_model_and_tokenizer_is_loaded_without_remote_code() -> None:
    """Each call of an ``Auto`` class says so itself, or hands on a mapping that is made in the same file."""
    calls = [
        (file, node)
        for file in FILES
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "from_pretrained"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id.startswith("Auto")
    ]
    assert calls
    for file, node in calls:
        given = {keyword.arg for keyword in node.keywords}
        said = "trust_remote_code" in given or (
            None in given and re.search(r"\"trust_remote_code\": False", file.read_text(encoding="utf-8"))
        )
        assert said, f"{file.name}:{node.lineno} does not say trust_remote_code=False"
        assert isinstance(node.func, ast.Attribute)
        assert isinstance(node.func.value, ast.Name)
        if "Model" in node.func.value.id:
            assert "use_safetensors" in given, f"{file.name}:{node.lineno} does not say use_safetensors=True"


def test_no_prints_in_the_engine() -> None:
    """The command writes through click and rich; everything else reports by events."""
    for file in FILES:
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{file.name}:{node.lineno}"
