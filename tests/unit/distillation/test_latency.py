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
SEEN: list[dict[str, object]] = []
TEXTS = ["goal", "the goal", "a coach of the league"]


class Recorder(PreTrainedModel):
    """A model that writes down when, with what and in which state it was called."""

    config_class = PretrainedConfig

    def __init__(self, name: str) -> None:
        super().__init__(PretrainedConfig(pad_token_id=0))
        self.called = name
        self.layer = nn.Linear(4, 2)
        self.post_init()

    def forward(self, input_ids, attention_mask):
        assert attention_mask.tolist() == [[1] * input_ids.shape[1]]
        CALLS.append((self.called, input_ids[0].tolist()))
        SEEN.append(
            {
                "threads": torch.get_num_threads(),
                "inference": torch.is_inference_mode_enabled(),
                "training": self.training,
                "gc": gc.isenabled(),
            }
        )
        return SequenceClassifierOutput(logits=self.layer(torch.ones(1, 4)))


@pytest.fixture(autouse=True)
def clean():
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
    """``measure(repeats, ...)``: both models on ``TEXTS``, cut at 5 tokens."""

    def measured(repeats, *, control=None, **answers):
        answers = {name: answering(model, tiny_tokenizer, 5) for name, model in models.items()} | answers
        tokens = dict.fromkeys(answers, (3, 4, 5))
        with inference(list(models.values())):
            return latency(answers, TEXTS, tokens, repeats=repeats, control=control)

    return measured


def test_from_the_text_to_the_answer(models, tiny_tokenizer):
    vocabulary = tiny_tokenizer.get_vocab()
    with inference([models["teacher"]]):
        answers = [answering(models["teacher"], tiny_tokenizer, 5)(text) for text in TEXTS]
    words = [["goal"], ["the", "goal"], ["a", "coach", "of"]]  # of the last, what 5 tokens hold
    assert [("teacher", [2, *(vocabulary[word] for word in text), 3]) for text in words] == CALLS
    expected = models["teacher"].layer(torch.ones(1, 4)).detach().numpy()
    assert all((answer == expected).all() for answer in answers)


def test_the_tokenizer_is_part_of_the_time(measure, models, tiny_tokenizer):
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


def test_calls_take_turns_and_get_the_number_of_the_turn():
    heard: list[str] = []
    calls = {name: lambda turn, name=name: heard.append(f"{name}{turn}") for name in "ab"}
    times = interleaved(calls, 2, warm_up=1)
    assert heard == ["a-1", "b-1", "a0", "b0", "a1", "b1"]
    assert {name: len(nanoseconds) for name, nanoseconds in times.items()} == {"a": 2, "b": 2}


def test_warm_up_is_not_counted(measure, monkeypatch):
    taken = iter([10**12] * 2 * WARM_UP + [i * 10**6 for i in (1, 10, 2, 20, 3, 30, 4, 40, 5, 50)])
    monkeypatch.setattr(module, "_time", lambda call, turn: next(taken))
    result = measure(5)

    assert (result["teacher"].p50, result["teacher"].p95) == pytest.approx((3.0, 4.8))
    assert (result["student"].p50, result["student"].p95) == pytest.approx((30.0, 48.0))
    assert next(taken, None) is None


def test_what_is_reported():
    tokens = {"teacher": [4, 6, 8], "student": [3, 5, 7]}
    result = latency(dict.fromkeys(tokens, len), TEXTS, tokens, repeats=5)
    assert list(result) == ["teacher", "student"]
    for one in result.values():
        assert 0 < one.p50 <= one.p95
        assert (one.batch, one.threads, one.texts) == (1, 1, 5)
    assert result["teacher"].mean_tokens == pytest.approx((4 + 6 + 8 + 4 + 6) / 5)
    assert result["student"].mean_tokens == pytest.approx((3 + 5 + 7 + 3 + 5) / 5)


def test_the_state_while_timing_and_after(measure, models):
    torch.set_num_threads(2)
    measure(2)
    assert SEEN == [{"threads": 1, "inference": True, "training": False, "gc": False}] * 2 * (WARM_UP + 2)
    assert torch.get_num_threads() == 2
    assert gc.isenabled()
    assert not torch.is_inference_mode_enabled()
    assert (models["teacher"].training, models["student"].training) == (True, False)


def test_the_state_is_put_back_after_an_error(measure, models):
    torch.set_num_threads(2)

    def fail(text):
        raise TypeError("no such text")

    with pytest.raises(TypeError, match="no such text"):
        measure(3, broken=fail)
    assert torch.get_num_threads() == 2
    assert gc.isenabled()
    assert models["teacher"].training


def test_a_disabled_collector_stays_disabled(measure):
    gc.disable()
    try:
        measure(1)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_stop(measure):
    control = Control()
    control.stop()
    with pytest.raises(Stopped, match="Stopped on request"):
        measure(3, control=control)
    assert CALLS == []


def test_stop_within_one_text(measure, models):
    control = Control()
    models["student"].register_forward_hook(lambda *_: control.stop())
    with pytest.raises(Stopped, match="Stopped on request"):
        measure(3, control=control)
    assert [name for name, _ in CALLS] == ["teacher", "student"]


def test_inputs_that_do_not_fit(measure):
    with pytest.raises(ValueError, match="there must be a text and a repeat, got 3 and 0"):
        measure(0)
    with pytest.raises(ValueError, match="there must be a text and a repeat, got 0 and 3"):
        latency({"a": len}, [], {"a": []}, repeats=3)


def test_describe_machine():
    machine = describe_machine()
    assert {"processor", "cores", "memory_gb", "os", "python", "torch"} <= set(machine)
    assert machine["torch"] == torch.__version__
    assert machine["cores"] >= 1
    assert machine["memory_gb"] >= 1
    assert all(value for value in machine.values())
    assert json.loads(json.dumps(machine)) == machine
    words = {word for value in machine.values() for word in str(value).split()}
    assert socket.gethostname() not in words
    assert not any(word.startswith("/") for word in words)


@pytest.mark.parametrize(
    ("system", "cpuinfo", "expected"),
    [
        ("Linux", "processor : 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: other\n", "Some CPU @ 2 GHz"),
        ("Linux", "processor : 0\nBogoMIPS : 50.00\n", "aarch64"),  # Arm kernels give no name
        ("Windows", "", "aarch64"),
    ],
)
def test_processor(system, cpuinfo, expected, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    read = Path.read_text

    def instead(file: Path, *arguments: Any, **settings: Any) -> str:
        return cpuinfo if file == Path("/proc/cpuinfo") else read(file, *arguments, **settings)

    monkeypatch.setattr(Path, "read_text", instead)
    assert describe_machine()["processor"] == expected


def test_size_counts_the_weights_only(tmp_path):
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(bytes(1_500_000))
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(bytes(250_000))
    (tmp_path / "config.json").write_bytes(bytes(9_000))
    assert size_mb(tmp_path) == 1.75


def test_size_of_a_saved_model(tmp_path, models):
    models["student"].save_pretrained(tmp_path)
    header = 1024
    weights = 4 * np.sum([p.numel() for p in models["student"].parameters()])
    assert weights / 1e6 < size_mb(tmp_path) <= (weights + header) / 1e6


def test_size_without_weights(tmp_path):
    with pytest.raises(
        ModelError, match=r"no \*\.safetensors in '.*'; save a model there with save_pretrained"
    ):
        size_mb(tmp_path)


def test_a_thread_that_waits_is_not_busy(monkeypatch):
    def busy(elsewhere=()):
        answer = {"student": lambda _: time.sleep(0.002)}
        return latency(answer, TEXTS, {"student": (3, 4, 5)}, repeats=5, elsewhere=elsewhere)["student"].busy

    assert busy() < 0.5
    assert busy(["teacher"]) < 0.5
    assert busy(["student"]) is None, "it waits for its accelerator, which is no other work"
    monkeypatch.setattr(module.time, "thread_time_ns", time.perf_counter_ns)  # as if it had computed
    assert busy() == pytest.approx(1, abs=0.1)
