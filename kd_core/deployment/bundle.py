"""What somebody takes away of a run: a folder, or a zip, that is of use without KD Studio."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

from transformers import AutoTokenizer

from kd_core.config import HUB_PREFIX, DistillConfig
from kd_core.data.bundled import TASKS
from kd_core.data.uploads import safe_name
from kd_core.deployment.calibrate import scale_model, scale_onnx
from kd_core.deployment.cascade import Cascade
from kd_core.deployment.cascade_script import facts, script
from kd_core.deployment.model_card import model_card
from kd_core.deployment.network_code import bring_code, with_code
from kd_core.deployment.reports import FormReport
from kd_core.distillation import run_folder
from kd_core.distillation.calibration import Scaled
from kd_core.distillation.report import FILE, Report
from kd_core.distillation.reproduce import LOCAL
from kd_core.models.checkpoints import without_code
from kd_core.models.presets import STUDENTS, TEACHERS, other_network
from kd_core.system import paths
from kd_core.system.atomic import MANIFEST, seal

MODEL, ONNX, TEACHER = "model", "onnx", "teacher"
CHECKSUMS = "checksums.json"

REPRODUCE = '''"""Run the distillation again and compare. Needs KD Studio."""

import json
import os
import sys
from hashlib import sha256
from pathlib import Path

import kd_core

os.chdir(Path(__file__).resolve().parent)  # config.yaml names files from here
then = json.loads(Path("report.json").read_text("utf-8"))
if missing := [name for name in then["files"] if not Path(name).exists()]:
    sys.exit(f"First put these beside reproduce.py: {', '.join(missing)}")
for name, digest in then["files"].items():
    if Path(name).is_file() and sha256(Path(name).read_bytes()).hexdigest() != digest:
        sys.exit(f"{name} is another file than that of the report, whose SHA-256 is {digest}")
print(f"Runs the four steps; they took {sum(then['seconds'].values()):.0f} s when the report was made.")
config = kd_core.DistillConfig.from_yaml(Path("config.yaml").read_text("utf-8"))
now = kd_core.distill(config).to_dict()
same = True
for who in (who for who in ("teacher", "student", "alone") if then[who]):
    for measure in ("accuracy", "macro_f1"):
        same &= then[who][measure] == now[who][measure]
        print(f"{who} {measure}: {then[who][measure]:.4f} in the report, {now[who][measure]:.4f} now")
made = "Python {python}, PyTorch {torch}, {processor}".format(**then["machine"])
print("The same numbers." if same else f"Not the same numbers. The report was made with {made}.")
sys.exit(not same)
'''


def write_bundle(
    folder: Path,
    run_id: str,
    *,
    student: Path,
    onnx: Path | None,
    int8: Path | None,
    forms: Sequence[FormReport],
    calibrated: Scaled | None = None,
    pair: Cascade | None = None,
    teacher: Path | None = None,
) -> None:
    """Fill the empty ``folder`` with a run's student, what was found out about it, and a way to get it again.

    ``model/`` is a Hugging Face folder, ``onnx/`` has the ONNX files with what reads texts for them;
    ``README.md`` is a model card, ``reproduce.py`` runs ``config.yaml`` and compares with ``report.json``,
    ``checksums.json`` has the bytes and SHA-256 of every file. Nothing names a folder of this machine.
    ``student`` is a Hugging Face folder, ``onnx`` and ``int8`` are files, ``forms`` their measurements. The
    models divide their logits by the temperature of ``calibrated``. Of a ``pair``, ``cascade.json`` has the
    threshold, ``cascade.py`` uses both models, and ``teacher/`` has the other one (None: it is a file).
    Raises: RunError, OSError.
    """
    original = Report.read(run_folder.find(run_id))
    names = _names(original.config)
    report = Report.model_validate(_renamed(original.to_dict(), names))
    files = {name: _digest(paths.moved(paths.expanded(path))) for path, name in names.items()}
    max_length = report.config["task"]["max_length"]

    tokenizer = _copy_model(student, folder / MODEL, max_length)
    if calibrated:
        scale_model(folder / MODEL, calibrated.temperature)
    if pair:
        if teacher:
            _copy_model(teacher, folder / TEACHER, max_length)
        other = TEACHER if teacher else None
        _write(folder / "cascade.py", script(pair, MODEL, other, code=with_code(original.config)))
        _write(folder / "cascade.json", json.dumps(facts(pair, other), indent=1))
    made = {
        name: source
        for name, source in {"model.onnx": onnx, "model_int8.onnx": int8}.items()
        if source is not None
    }
    if made:
        (folder / ONNX).mkdir()
        shutil.copyfile(student / "config.json", folder / ONNX / "config.json")
        for name, source in made.items():
            shutil.copyfile(source, folder / ONNX / name)
            if calibrated:
                scale_onnx(folder / ONNX / name, calibrated.temperature)
        # So that a program with nothing but this file cuts and pads as it was done here.
        reader = tokenizer.backend_tokenizer
        reader.enable_truncation(max_length)
        reader.enable_padding(pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
        reader.save(str(folder / ONNX / "tokenizer.json"))

    _write(folder / "config.yaml", DistillConfig.from_dict(report.config).to_yaml())
    content = report.to_dict() | {"forms": list(forms), "files": files}
    content |= {"temperature": calibrated.temperature} if calibrated else {}
    del content["folder"]  # of this machine
    _write(folder / FILE, json.dumps(content, indent=1, ensure_ascii=False))
    _write(folder / "reproduce.py", REPRODUCE)
    _write(
        folder / "README.md",
        model_card(
            report,
            forms,
            files,
            list(made),
            calibrated,
            pair,
            other_network(original.config["student"]["model"]),
        ),
    )
    seal(folder)
    (folder / MANIFEST).rename(folder / CHECKSUMS)


def _copy_model(source: Path, to: Path, max_length: int) -> Any:
    """A Hugging Face folder without what is the run's alone; its tokenizer."""
    to.mkdir()
    for file in source.iterdir():
        if _is_of_model(file.name):
            shutil.copyfile(file, to / file.name)
    bring_code(to)
    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=True)
    tokenizer.model_max_length = max_length
    without_code(tokenizer).save_pretrained(to)
    return tokenizer


def make_zip(folder: Path, to: Path) -> None:
    """``folder`` of ``write_bundle`` as a zip with one folder in it, ``kd-<run>``; whole or not there.

    The same files give the same bytes. Raises: OSError.
    """
    top = f"kd-{json.loads((folder / FILE).read_text(encoding='utf-8'))['run_id']}"
    with _replacing(to) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = f"{top}/{path.relative_to(folder).as_posix()}"
            entry = zipfile.ZipInfo(name)  # its date is 1980, whenever it is made
            entry.create_system = 3  # Unix, so that the mode below counts
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.file_size = path.stat().st_size  # tells a large file from a small one before it is read
            with path.open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)


@contextmanager
def _replacing(to: Path) -> Iterator[Path]:
    """A file beside ``to`` that takes its place when the block ends well."""
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f".{to.name}-{token_hex(4)}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)


def _is_of_model(name: str) -> bool:
    """Config and weights; the tokenizer is saved anew, and how it was trained stays with the run."""
    return name == "config.json" or bool(re.fullmatch(r"[\w.-]+\.safetensors(\.index\.json)?", name))


def _names(config: Mapping[str, Any]) -> dict[str, str]:
    """The files and folders of this machine that the run read, and what they are called here."""
    names: dict[str, str] = {}
    for section, field in LOCAL:
        value = config[section][field]
        if value not in names and _is_local(section, value):
            name = safe_name(Path(value).name)
            taken = f"bring/{name}" in names.values()
            names[value] = f"bring/{field}-{name}" if taken else f"bring/{name}"
    return names


def _is_local(section: str, value: str | None) -> bool:
    if value is None or value in {"auto", *TASKS, *TEACHERS, *STUDENTS} or value.startswith(HUB_PREFIX):
        return False
    path = paths.moved(paths.expanded(value))
    return section == "task" or path.is_absolute() or path.is_dir()


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """The same, with the bundle's name of each file wherever a text has its path; notes have too.

    One that is a single word, as a folder ``teacher`` is to Python code, is no path within a text.
    """
    if isinstance(value, str) and names:
        if value in names:
            return names[value]
        # At once, the longest first: data.csv is a part of test-data.csv, and of bring/data.csv.
        long = sorted(filter(re.compile(r"\W").search, names), key=len, reverse=True)
        paths_in_it = "|".join(map(re.escape, long))
        return re.sub(paths_in_it, lambda found: names[found.group()], value) if long else value
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    return value


def _digest(path: Path) -> str | None:
    """SHA-256 of a file; None for a folder, or where it is gone."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
