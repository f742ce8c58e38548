"""Tests of how latency is measured, and of what is told of the machine."""

from __future__ import annotations

import gc
import json
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from kd_core.distillation import latency as module
from kd_core.distillation.latency import WARM_UP, answering, inference, interleaved, latency
from kd_core.errors import ModelError, Stopped
from kd_core.models.size import size_mb
from kd_core.system.control import Control
from kd_core.system.machine import describe_machine

CALLS: list[tuple[str, list[int]]] = []
SEEN: list[tuple[int, bool, bool, bool]] = []
TEXTS = ["goal", "the goal", "a coach of the league"]
TOKENS = (3, 4, 5)


class Recorder(PreTrainedModel):
    """Record what the model was called with and in which state."""

    config_class = PretrainedConfig

    def __init__(self, name: str) -> None:
        super().__init__(PretrainedConfig(pad_token_id=0))
        self.called = name
        self.layer = nn.Linear(4, 2)
        self.post_init()

    def forward(self, input_ids, attention_mask):
        assert attention_mask.tolist() == [[1] * input_ids.shape[1]]
        CALLS.append((self.called, input_ids[0].tolist()))
        modes = torch.is_inference_mode_enabled(), self.training, gc.isenabled()
        SEEN.append((torch.get_num_threads(), *modes))
        return SequenceClassifierOutput(logits=self.layer(torch.ones(1, 4)))


@pytest.fixture(autouse=True)
def _clean():
    threads = torch.get_num_threads()
    CALLS.clear()
    SEEN.clear()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def models():
    return {"teacher": Recorder("teacher").train(), "student": Recorder("student").eval()}


@pytest.fixture
def measure(models, tiny_tokenizer):
    """Give ``measure(repeats, ...)``, which times both models on ``TEXTS``, cut at 5 tokens."""

    def measured(repeats, *, control=None, **answers):
        answers = {name: answering(model, tiny_tokenizer, 5) for name, model in models.items()} | answers
        with inference(list(models.values())):
            return latency(answers, TEXTS, dict.fromkeys(answers, TOKENS), repeats=repeats, control=control)

    return measured


def test_answer_to_a_text(models, tiny_tokenizer):
    vocabulary = tiny_tokenizer.get_vocab()
    with inference([models["teacher"]]):
        answers = [answering(models["teacher"], tiny_tokenizer, 5)(text) for text in TEXTS]
    words = [["goal"], ["the", "goal"], ["a", "coach", "of"]]  # of the last what 5 tokens hold
    assert [("teacher", [2, *(vocabulary[word] for word in text), 3]) for text in words] == CALLS
    np.testing.assert_array_equal(answers, [models["teacher"].layer(torch.ones(1, 4)).detach().numpy()] * 3)


def test_tokenizer_is_part_of_the_time(measure, models, tiny_tokenizer):
    def slow(texts, **options):
        time.sleep(0.02)
        return tiny_tokenizer(texts, **options)

    result = measure(3, slow=answering(models["student"], slow, 5))
    assert result["slow"].p50 > 20 > result["student"].p50
    assert all(one.tokenizer for one in result.values())


def test_models_and_texts_take_turns(measure):
    measure(5)
    timed = [(name, len(ids)) for name, ids in CALLS[2 * WARM_UP :]]
    assert timed == [(name, tokens) for tokens in (3, 4, 5, 3, 4) for name in ("teacher", "student")]
    heard: list[str] = []
    calls = {name: lambda turn, name=name: heard.append(f"{name}{turn}") for name in "ab"}
    times = interleaved(calls, 2, warm_up=1)
    assert heard == ["a-1", "b-1", "a0", "b0", "a1", "b1"]
    assert {name: len(nanoseconds) for name, nanoseconds in times.items()} == {"a": 2, "b": 2}


def test_percentiles_do_not_count_the_warm_up(measure, monkeypatch):
    taken = iter([10**12] * 2 * WARM_UP + [i * 10**6 for i in (1, 10, 2, 20, 3, 30, 4, 40, 5, 50)])
    monkeypatch.setattr(module, "_time", lambda call, turn: next(taken))
    result = measure(5)
    assert list(result) == ["teacher", "student"]
    for one, p50, p95 in ((result["teacher"], 3.0, 4.8), (result["student"], 30.0, 48.0)):
        assert (one.p50, one.p95) == pytest.approx((p50, p95))
        assert (one.batch, one.threads, one.texts, one.mean_tokens) == (1, 1, 5, (3 + 4 + 5 + 3 + 4) / 5)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("collects", [True, False])
def test_state_while_timing_and_after(fails, collects, measure, models):
    def broken(text):
        raise TypeError("no such text")

    torch.set_num_threads(2)
    (gc.enable if collects else gc.disable)()
    try:
        if fails:
            with pytest.raises(TypeError, match="no such text"):
                measure(3, broken=broken)
        else:
            measure(2)
        assert gc.isenabled() == collects
    finally:
        gc.enable()
    assert [(1, True, False, False)] * (2 if fails else 2 * (WARM_UP + 2)) == SEEN
    assert (torch.get_num_threads(), torch.is_inference_mode_enabled()) == (2, False)
    assert (models["teacher"].training, models["student"].training) == (True, False)


@pytest.mark.parametrize(("when", "calls"), [("before", []), ("within", ["teacher", "student"])])
def test_stop(when, calls, measure, models):
    control = Control()
    if when == "before":
        control.stop()
    models["student"].register_forward_hook(lambda *_: control.stop())
    with pytest.raises(Stopped, match="Stopped on request"):
        measure(3, control=control)
    assert [name for name, _ in CALLS] == calls


@pytest.mark.parametrize(("texts", "repeats"), [(TEXTS, 0), ([], 3)])
def test_without_texts_or_repeats_nothing_is_timed(texts, repeats):
    with pytest.raises(ValueError, match=f"a text and a repeat, got {len(texts)} and {repeats}"):
        latency({"a": len}, texts, {"a": []}, repeats=repeats)


def test_share_of_the_time_that_a_thread_is_busy(monkeypatch):
    def busy(elsewhere=()):
        answer = {"student": lambda _: time.sleep(0.002)}
        return latency(answer, TEXTS, {"student": TOKENS}, repeats=5, elsewhere=elsewhere)["student"].busy

    assert busy(["teacher"]) < 0.5
    assert busy(["student"]) is None, "it waits for its accelerator, which is no other work"
    monkeypatch.setattr(module.time, "thread_time_ns", time.perf_counter_ns)  # as if it had computed
    assert busy() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("system", "cpuinfo", "expected"),
    [
        ("Linux", "processor : 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: other\n", "Some CPU @ 2 GHz"),
        ("Linux", "processor : 0\nBogoMIPS : 50.00\n", "aarch64"),  # Arm kernels give no name
        ("Windows", "", "aarch64"),
    ],
)
def test_description_of_the_machine_names_no_host_and_no_path(system, cpuinfo, expected, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    read = Path.read_text

    def instead(file: Path, *arguments: Any, **settings: Any) -> str:
        return cpuinfo if file == Path("/proc/cpuinfo") else read(file, *arguments, **settings)

    monkeypatch.setattr(Path, "read_text", instead)
    machine = describe_machine()
    assert (machine["processor"], machine["torch"]) == (expected, torch.__version__)
    assert {"processor", "cores", "memory_gb", "os", "python", "torch"} <= set(machine)
    assert min(machine["cores"], machine["memory_gb"]) >= 1
    assert json.loads(json.dumps(machine)) == machine
    words = {word for value in machine.values() for word in str(value).split()}
    assert socket.gethostname() not in words
    assert not any(word.startswith("/") for word in words)


def test_size_of_the_weights_of_a_folder(tmp_path):
    with pytest.raises(
        ModelError, match=r"no \*\.safetensors in '.*'; save a model there with save_pretrain"
    ):
        size_mb(tmp_path)
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(bytes(1_500_000))
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(bytes(250_000))
    (tmp_path / "config.json").write_bytes(bytes(9_000))
    assert size_mb(tmp_path) == 1.75
