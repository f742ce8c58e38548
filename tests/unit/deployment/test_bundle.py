"""The bundle as a stranger meets it: no kd_core, and the same answers as the run's."""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard

from kd_core import distill
from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.deployment.bundle import REPRODUCE, _renamed, make_zip, write_bundle
from kd_core.deployment.cascade import cascade
from kd_core.deployment.contents import contents
from kd_core.deployment.export import ExportConfig, export_run
from kd_core.deployment.forms import converted
from kd_core.distillation import run_folder
from kd_core.models.loading import load_checkpoint
from kd_core.system.formatting import megabytes, milliseconds

# First of all, as if KD Studio were not installed.
BLOCKED = 'import json, sys; sys.modules["kd_core"] = None\n'
PIPELINE = """
from transformers import pipeline
classify = pipeline("text-classification", model=f"{top}/model")
answers = [answer["label"] for answer in classify(texts, truncation=True)]
scores = classify(texts[:3], truncation=True, top_k=None)
print(json.dumps([answers, [{s["label"]: s["score"] for s in row} for row in scores]]))
"""
ONNX = """
import numpy as np, onnxruntime
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(f"{top}/onnx/tokenizer.json")
session = onnxruntime.InferenceSession(f"{top}/onnx/" + file)
read = tokenizer.encode_batch(texts)
logits = session.run(["logits"], {
    "input_ids": np.array([text.ids for text in read], dtype=np.int64),
    "attention_mask": np.array([text.attention_mask for text in read], dtype=np.int64),
})[0]
assert "torch" not in sys.modules
print(json.dumps(logits.tolist()))
"""


def elsewhere(code: str, folder: Path, **given: Any) -> Any:
    """What a program without kd_core prints, run in another folder."""
    head = BLOCKED + "".join(f"{name} = json.loads({json.dumps(value)!r})\n" for name, value in given.items())
    done = subprocess.run(
        [sys.executable, "-I", "-c", head + code], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def form(who: str, runtime: str) -> dict[str, Any]:
    speed = {"p50": 8.4, "p95": 9.6, "batch": 1, "threads": 1, "texts": 25, "mean_tokens": 9.0}
    return {
        "name": f"{who}-{runtime}",
        "who": who,
        "runtime": runtime,
        "accuracy": 0.8,
        "low": 0.7,
        "high": 0.9,
        "size_mb": 1.0,
        "params": 1000,
        "latency_ms": speed,
    }


def bundle(run_id: str, folder: Path, *, onnx: bool = True) -> Path:
    student = run_folder.find(run_id) / "students" / "student-0"
    folder.mkdir()
    write_bundle(
        folder,
        run_id,
        student=student,
        onnx=converted(student, "onnx") if onnx else None,
        int8=converted(student, "int8") if onnx else None,
        forms=[form("teacher", "pytorch"), form("student", "pytorch")],
    )
    return folder


@pytest.fixture(scope="module")
def made(finished_run, tmp_path_factory) -> Path:
    """The bundle of ``finished_run``. Tests only read it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_HOME", str(finished_run.home))
        return bundle(finished_run.report.run_id, tmp_path_factory.mktemp("bundle") / "made")


@pytest.fixture(scope="module")
def unpacked(made, tmp_path_factory) -> Path:
    """A folder that has nothing but the content of the zip."""
    place = tmp_path_factory.mktemp("stranger")
    make_zip(made, place / "it.zip")
    with zipfile.ZipFile(place / "it.zip") as archive:
        archive.extractall(place)
    (place / "it.zip").unlink()
    return place


@pytest.fixture(scope="module")
def predictions(finished_run) -> pd.DataFrame:
    return pd.read_parquet(finished_run.folder / "predictions.parquet")


def test_a_program_without_kd_core_cannot_import_it(tmp_path):
    with pytest.raises(AssertionError, match="kd_core"):
        elsewhere("import kd_core", tmp_path)


def test_in_a_pipeline_without_kd_core(finished_run, unpacked, predictions):
    logits, labels = np.stack(predictions["student-0"]), finished_run.report.labels
    top, texts = f"kd-{finished_run.report.run_id}", predictions["text"].to_list()
    longest = "match goal " * 500
    answers, scores = elsewhere(PIPELINE, unpacked, top=top, texts=[*texts, longest])
    assert answers.pop() in labels  # it was cut
    assert answers == [labels[i] for i in logits.argmax(axis=1)]
    shares = np.exp(logits[:3]) / np.exp(logits[:3]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose([[row[name] for name in labels] for row in scores], shares, atol=1e-5)


@pytest.mark.parametrize(("file", "tolerance"), [("model.onnx", 1e-4), ("model_int8.onnx", 0.1)])
def test_in_onnx_runtime_without_torch(finished_run, unpacked, predictions, file, tolerance):
    top, texts = f"kd-{finished_run.report.run_id}", predictions["text"].to_list()
    found = elsewhere(ONNX, unpacked, top=top, texts=texts, file=file)
    np.testing.assert_allclose(found, np.stack(predictions["student-0"]), atol=tolerance)


def test_a_long_text_is_cut_as_in_the_run(finished_run, unpacked):
    top, text = f"kd-{finished_run.report.run_id}", "match goal " * 500
    long, short = elsewhere(ONNX, unpacked, top=top, texts=[text, "match"], file="model.onnx")
    read = finished_run.report.config["task"]["max_length"] - 2  # [CLS] and [SEP]
    cut = " ".join(text.split()[:read])
    assert long == elsewhere(ONNX, unpacked, top=top, texts=[cut, "match"], file="model.onnx")[0]
    assert long != short


@pytest.mark.parametrize(
    ("model", "network", "code"),
    [
        ("bilstm", "BiLSTM", "bilstm.py"),
        ("cnn", "convolutional network", "cnn.py"),
        ("static", "static network", "static.py"),
    ],
)
def test_no_transformer_by_the_code_that_it_brings(kd_home, short_config, tmp_path, model, network, code):
    report = distill(short_config.change({"student.model": model}))
    folder = bundle(report.run_id, tmp_path / "made")
    rows = pd.read_parquet(Path(report.folder) / "predictions.parquet")
    logits, texts = np.stack(rows["student-0"]), rows["text"].to_list()
    found = elsewhere(ONNX, tmp_path, top="made", texts=texts, file="model.onnx")
    np.testing.assert_allclose(found, logits, atol=1e-4)
    allowed = PIPELINE.replace('/model")', '/model", trust_remote_code=True)')
    answers, scores = elsewhere(allowed, tmp_path, top="made", texts=texts)
    assert answers == [report.labels[i] for i in logits.argmax(axis=1)]
    shares = np.exp(logits[:3]) / np.exp(logits[:3]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose([[row[name] for name in report.labels] for row in scores], shares, atol=1e-5)
    brought = {path.name for path in (folder / "model").glob("*.py")}
    assert brought == {code, "network.py", "network_sizes.py"}

    card = (folder / "README.md").read_text("utf-8")
    assert f"This student is a {network}, which transformers does not have, so `model/` brings" in card
    assert 'pipeline("text-classification", model="model", trust_remote_code=True)' in card
    assert "custom_code" in ModelCard.load(folder / "README.md").data.tags
    assert 'InferenceSession("onnx/model_int8.onnx")' in card
    assert "output `logits`, which in a batch depend a little on its other texts |" in card


def test_a_model_with_code_is_a_checkpoint_like_any_other_here(kd_home, short_config, tmp_path):
    """Its code is not run: KD Studio has its own."""
    report = distill(short_config.change({"student.model": "cnn"}))
    folder = bundle(report.run_id, tmp_path / "made", onnx=False) / "model"
    (folder / "cnn.py").write_text("raise SystemExit('it ran')")
    model, _ = load_checkpoint(str(folder), load_task(short_config.task), 0)
    assert type(model).__module__ == "kd_core.models.cnn"


@pytest.mark.parametrize("teacher", [{}, {"teacher.model": "minilm-l3", "teacher.pooling": "mean"}])
def test_a_cascade_of_networks_that_transformers_does_not_have(kd_home, short_config, tmp_path, teacher):
    """Where the student is unsure, the teacher answers, by the code that its own folder brings."""
    report = distill(short_config.change({"student.model": "cnn"} | teacher))
    made = export_run(ExportConfig(run=report.run_id, to=str(tmp_path / "pair"), agree=55))
    assert made["cascade"] == cascade(report.run_id, 0.55).sentence
    make_zip(tmp_path / "pair", tmp_path / "pair.zip")
    assert {"teacher/", "cascade.py", "cascade.json"} <= {*contents(tmp_path / "pair.zip")["file"]}
    assert (tmp_path / "pair" / "teacher" / "pooled.py").exists() is bool(teacher)
    told = "with the code of its head" in (tmp_path / "pair" / "README.md").read_text("utf-8")
    assert told is bool(teacher)
    script = (tmp_path / "pair" / "cascade.py").read_text("utf-8")
    never = re.sub(r'answer\["score"\] < .*:', 'answer["score"] < 2:', script)  # always the teacher
    for number, program in enumerate((script, never)):
        (tmp_path / "pair" / f"{number}.py").write_text(f"{BLOCKED}\n{program}", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, f"{number}.py", "match goal"],
            cwd=tmp_path / "pair",
            capture_output=True,
            text=True,
        )
        label, said = done.stdout.strip().split(" ", 1)
        assert said == "match goal", done.stderr
        assert label in report.labels


def test_what_is_in_it_and_its_checksums(made, unpacked, finished_run):
    names = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert names == {
        "README.md",
        "checksums.json",
        "config.yaml",
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "model/tokenizer_config.json",
        "onnx/config.json",
        "onnx/model.onnx",
        "onnx/model_int8.onnx",
        "onnx/tokenizer.json",
        "report.json",
        "reproduce.py",
    }
    top = unpacked / f"kd-{finished_run.report.run_id}"
    listed = json.loads((top / "checksums.json").read_text())
    assert listed.keys() == names - {"checksums.json"}
    for name, entry in listed.items():
        data = (top / name).read_bytes()
        assert entry == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_without_onnx(finished_run, tmp_path, monkeypatch):
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    folder = bundle(finished_run.report.run_id, tmp_path / "made", onnx=False)
    assert not (folder / "onnx").exists()
    assert "onnx" not in (folder / "README.md").read_text("utf-8").lower()


def test_nothing_names_a_folder_of_this_machine(made, finished_run):
    config = finished_run.report.config
    places = [str(finished_run.home), str(Path(config["task"]["name"]).parent), config["teacher"]["model"]]
    for path in made.rglob("*"):
        if path.suffix in (".json", ".yaml", ".md", ".py"):
            text = path.read_text("utf-8")
            assert not [place for place in places if place in text], path


def test_a_path_that_is_a_part_of_another_is_no_part_of_its_new_name():
    names = {"data.csv": "bring/data.csv", "test-data.csv": "bring/test-data.csv"}
    config = {"name": "data.csv", "test_file": "test-data.csv", "notes": ["test-data.csv: 1 row dropped."]}
    assert _renamed(config, names) == {
        "name": "bring/data.csv",
        "test_file": "bring/test-data.csv",
        "notes": ["bring/test-data.csv: 1 row dropped."],
    }
    assert _renamed(config, {}) == config
    names = {"teacher": "bring/teacher", "my/students": "bring/students"}
    config = {"model": "teacher", "init": "teacher_layers", "notes": ["The teacher has my/students read."]}
    assert _renamed(config, names) == {
        "model": "bring/teacher",
        "init": "teacher_layers",
        "notes": ["The teacher has bring/students read."],
    }


def test_report_and_config_name_what_to_bring(made, tiny_files):
    report = json.loads((made / "report.json").read_text("utf-8"))
    assert report["forms"][1]["name"] == "student-pytorch"
    assert report["files"] == {
        "bring/name.csv": hashlib.sha256(Path(tiny_files["name"]).read_bytes()).hexdigest(),
        "bring/test_file.csv": hashlib.sha256(Path(tiny_files["test_file"]).read_bytes()).hexdigest(),
        "bring/transfer_file.csv": hashlib.sha256(Path(tiny_files["transfer_file"]).read_bytes()).hexdigest(),
        "bring/bert": None,
    }
    config = DistillConfig.from_yaml((made / "config.yaml").read_text("utf-8"))
    assert config.task.test_file == "bring/test_file.csv"
    assert config.teacher.model == "bring/bert"


def test_the_card_is_one_that_the_hub_reads(made, finished_run):
    card = ModelCard.load(made / "README.md")
    data, student = card.data, finished_run.report.student
    assert data.pipeline_tag == "text-classification"
    assert data.base_model is None  # the teacher was a folder
    accuracy = next(result for result in data.eval_results if result.metric_type == "accuracy")
    assert accuracy.metric_value == round(student.seeds[0].accuracy, 4)
    assert "| Student alone | " in card.text
    floor = next(line for line in card.text.splitlines() if line.startswith("| TF-IDF | "))
    tfidf = finished_run.report.models["tfidf"]
    assert floor.endswith(f" | {megabytes(tfidf.size_mb)} | {milliseconds(tfidf.p50)} |")
    assert "Latency: From text to answer, " in card.text
    assert (
        f"The files here are those of seed 0: accuracy {100 * student.seeds[0].accuracy:.1f} %" in card.text
    )
    assert "- `test_file.csv` (SHA-256 `" in card.text
    assert "{{" not in card.text
    # Of the model that is in the bundle, not of all seeds.
    inherited = finished_run.report.fidelity.inherited
    assert f"on {inherited} test texts both are wrong (the model here, of seed 0)." in card.text
    assert f"- Calibration error {100 * student.seeds[0].ece:.1f} %: the gap between confidence" in card.text
    assert "would be chance alone, in a model whose probabilities are exact" in card.text
    # It starts from the teacher's vectors, so that nobody in this table is without a teacher.
    assert (
        "starts from the fine-tuned teacher's vectors of the word pieces, and so does the student alone"
        in (" ".join(card.text.split()))
    )
    assert "without a teacher" not in card.text


def reproduce(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "reproduce.py")]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


def test_reproduce_says_what_to_bring(made):
    done = reproduce(made)
    assert done.returncode == 1
    assert done.stderr == (
        "First put these beside reproduce.py: "
        "bring/name.csv, bring/test_file.csv, bring/transfer_file.csv, bring/bert\n"
    )


def test_reproduce_gives_the_same_numbers(kd_home, short_config, tmp_path):
    report = distill(short_config)
    folder = bundle(report.run_id, tmp_path / "made", onnx=False)
    (folder / "bring").mkdir()
    for value, name in (
        (short_config.task.name, "name.csv"),
        (short_config.task.test_file, "test_file.csv"),
        (short_config.task.transfer_file, "transfer_file.csv"),
        (short_config.teacher.model, "bert"),
    ):
        (folder / "bring" / name).symlink_to(value)
    # As many threads as here: sums are rounded by how they are divided.
    done = reproduce(folder, KD_HOME=str(tmp_path / "another-home"), OMP_NUM_THREADS="1")
    assert done.stdout.splitlines()[-1] == "The same numbers.", done.stdout + done.stderr
    accuracy = f"{report.student.accuracy:.4f}"
    assert f"student accuracy: {accuracy} in the report, {accuracy} now" in done.stdout
    assert done.returncode == 0


def test_reproduce_refuses_another_file_of_that_name(made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "made")
    (folder / "bring").mkdir()
    for name in json.loads((folder / "report.json").read_text("utf-8"))["files"]:
        (folder / name).write_text("text,label\n", encoding="utf-8")
    done = reproduce(folder)
    assert done.returncode == 1
    assert re.search(r"^bring/\w+(\.csv)? is another file than that of the report", done.stderr), done.stderr
    assert "Runs the four steps" not in done.stdout


def test_reproduce_says_when_the_numbers_differ(made, finished_run, monkeypatch, capsys):
    report = finished_run.report
    student = report.student.model_copy(update={"accuracy": 0.1234})
    other = report.model_copy(update={"models": report.models | {"student": student}})
    monkeypatch.setattr("kd_core.distill", lambda config: other, raising=False)
    monkeypatch.setattr("pathlib.Path.exists", lambda path: True)  # what to bring is there
    monkeypatch.chdir(made)  # the script goes elsewhere
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(made / "reproduce.py"))
    said = capsys.readouterr().out.splitlines()
    assert f"student accuracy: {finished_run.report.student.accuracy:.4f} in the report, 0.1234 now" in said
    assert said[-1].startswith("Not the same numbers. The report was made with Python 3.")
    assert ended.value.code is True


def test_reproduce_is_short():
    assert len(REPRODUCE.splitlines()) <= 30


def test_a_zip_of_the_same_files_has_the_same_bytes(made, tmp_path):
    make_zip(made, tmp_path / "one.zip")
    make_zip(made, tmp_path / "deep" / "other.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "deep" / "other.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.testzip() is None
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert len(tops) == 1
    assert run_folder.RUN_ID.fullmatch(tops.pop().removeprefix("kd-"))


def test_a_zip_that_fails_leaves_what_was_there(made, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "it.zip").write_text("before")
    monkeypatch.setattr("kd_core.deployment.bundle.shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        make_zip(made, tmp_path / "it.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["it.zip"]
    assert (tmp_path / "it.zip").read_text() == "before"
