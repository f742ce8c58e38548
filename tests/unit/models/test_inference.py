"""From texts to ids, batches and logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DebertaConfig, XmodConfig

from kd_core.data.task import unlabelled
from kd_core.errors import Stopped
from kd_core.models import inference
from kd_core.models.inference import autocast, collate, encode, fast_precision, predict_chunks, predict_logits
from kd_core.models.loading import new_model
from kd_core.system.control import Control
from tests.unit.conftest import FAMILIES

TEXTS = [
    "goal",
    "the minister wins a vote in parliament",
    "a big bank",
    "drama",
    "",
    "chip robot laptop today",
]


@pytest.fixture(scope="module")
def encoded(tiny_tokenizer):
    return encode(tiny_tokenizer, unlabelled(TEXTS), 64)


def one_by_one(model, encoded) -> np.ndarray:
    """Return logits computed without padding and sorting."""
    with torch.inference_mode():
        rows = [model(input_ids=torch.tensor([ids])).logits[0] for ids in encoded["input_ids"]]
    return torch.stack(rows).numpy()


def test_encode(tiny_task, tiny_tokenizer, encoded):
    assert encoded.column_names == ["input_ids"]
    assert encoded["input_ids"][4] == [tiny_tokenizer.cls_token_id, tiny_tokenizer.sep_token_id]
    train = encode(tiny_tokenizer, tiny_task.train, 64)
    assert train["label"][:] == tiny_task.train["label"][:]
    assert (
        tiny_tokenizer.decode(train["input_ids"][3], skip_special_tokens=True) == tiny_task.train["text"][3]
    )


def test_encode_cuts_at_max_length(tiny_tokenizer):
    ids = encode(tiny_tokenizer, unlabelled(TEXTS), 5)["input_ids"]
    assert [len(row) for row in ids] == [3, 5, 5, 3, 2, 5]
    assert {row[-1] for row in ids} == {tiny_tokenizer.sep_token_id}


def test_collate_pads_on_the_right():
    batch = collate([{"input_ids": [7, 8, 9]}, {"input_ids": [5]}], pad_token_id=1)
    assert batch["input_ids"].tolist() == [[7, 8, 9], [5, 1, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert set(batch) == {"input_ids", "attention_mask"}


def test_collate_marks_transfer_rows_and_stacks_the_knowledge():
    rows = [
        {"input_ids": [7], "label": 2, "logits": [0.5, -1.0, 2.0]},
        {"input_ids": [8], "label": None, "logits": [1.5, 0.0, 0.25]},
    ]
    batch = collate(rows, pad_token_id=0)
    assert batch["labels"].tolist() == [2, -100]
    assert batch["teacher_logits"].dtype == torch.float32
    assert batch["teacher_logits"].tolist() == [[0.5, -1.0, 2.0], [1.5, 0.0, 0.25]]


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_does_not_change_logits(tiny_teacher, encoded, family):
    model = tiny_teacher(family)
    logits = predict_logits(model, encoded)
    assert logits.dtype == np.float32
    assert np.ptp(logits, axis=0).max() > 0.1, "the logits of the texts must differ"
    np.testing.assert_allclose(logits, one_by_one(model, encoded), atol=1e-5)


@given(chunk=st.integers(1, 8), batch=st.integers(1, 8))
@settings(max_examples=8, deadline=None)
def test_order_is_kept(tiny_teacher, encoded, chunk, batch):
    model = tiny_teacher("bert")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "CHUNK", chunk)
        patch.setattr(inference, "BATCH", batch)
        parts = list(predict_chunks(model, encoded, precision="fp32"))
    assert [len(part) for part in parts] == [min(chunk, 6 - start) for start in range(0, 6, chunk)]
    np.testing.assert_allclose(np.concatenate(parts), one_by_one(model, encoded), atol=1e-5)


def test_batches_are_limited_by_tokens(tiny_teacher, encoded, monkeypatch):
    lengths = sorted(map(len, encoded["input_ids"]), reverse=True)
    monkeypatch.setattr(inference, "TOKENS", 2 * lengths[0])
    done: list[int] = []
    model = tiny_teacher("bert")
    logits = predict_logits(model, encoded, on_rows=done.append)
    assert done[0] == 2
    assert done[-1] == 6
    np.testing.assert_allclose(logits, one_by_one(model, encoded), atol=1e-5)
    monkeypatch.setattr(inference, "TOKENS", 1)
    done.clear()
    np.testing.assert_allclose(
        predict_logits(model, encoded, on_rows=done.append), one_by_one(model, encoded), atol=1e-5
    )
    assert done == [1, 2, 3, 4, 5, 6]


def test_on_rows_counts_up_to_all(tiny_teacher, encoded, monkeypatch):
    monkeypatch.setattr(inference, "CHUNK", 4)
    monkeypatch.setattr(inference, "BATCH", 3)
    done: list[int] = []
    predict_logits(tiny_teacher("bert"), encoded, on_rows=done.append)
    assert done == [3, 4, 6]


def test_dropout_is_off_and_the_mode_restored(tiny_teacher, encoded):
    model = tiny_teacher("bert").train()
    np.testing.assert_array_equal(predict_logits(model, encoded), predict_logits(model, encoded))
    assert model.training
    predict_logits(model.eval(), encoded)
    assert not model.training


def test_bf16(tiny_teacher, encoded):
    model = tiny_teacher("bert")
    seen: list[torch.dtype] = []
    model.classifier.register_forward_hook(lambda _m, _i, output: seen.append(output.dtype))
    exact, rounded = predict_logits(model, encoded), predict_logits(model, encoded, precision="bf16")
    assert seen == [torch.float32, torch.bfloat16]
    assert rounded.dtype == np.float32
    assert 0 < np.abs(exact - rounded).max() < 0.1


def test_autocast_is_on_for_bf16_only():
    with autocast(torch.device("cpu"), "fp32"):
        assert not torch.is_autocast_enabled("cpu")
    with autocast(torch.device("cpu"), "bf16"):
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
        assert torch.is_autocast_enabled("cpu")


def test_stop_acts_between_two_batches(tiny_teacher, encoded, monkeypatch):
    monkeypatch.setattr(inference, "BATCH", 2)
    control, done = Control(), []

    def stop_after_the_first(rows: int) -> None:
        done.append(rows)
        control.stop()

    model = tiny_teacher("bert").train()
    with pytest.raises(Stopped, match=r"Stopped on request\."):
        predict_logits(model, encoded, control=control, on_rows=stop_after_the_first)
    assert done == [2]
    assert model.training, "the mode is restored after a stop"


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((6, 1), "fp32"), ((7, 0), "fp16"), ((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")],
)
def test_precision_of_gpus(monkeypatch, capability, precision):
    """torch reports bfloat16 as supported below 8.0, where it is emulated."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
    assert fast_precision() == precision


@pytest.mark.parametrize(("avx512", "amx", "precision"), [(0, 0, "fp32"), (1, 0, "bf16"), (0, 1, "bf16")])
def test_precision_of_processors(monkeypatch, avx512, amx, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bool(avx512))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bool(amx))
    assert fast_precision() == precision


@pytest.mark.parametrize("kind", [DebertaConfig, XmodConfig])
def test_families_that_need_float32(monkeypatch, kind, tiny_teacher):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    sizes = tiny_teacher("roberta").config.to_dict()
    del sizes["model_type"]
    model = new_model(kind(**sizes, default_language="en_XX"), seed=0)
    ids = torch.arange(40, 80).view(2, 20)
    assert fast_precision(tiny_teacher("roberta").config) == "bf16"
    assert fast_precision(tiny_teacher("roberta").config, model.config) == "fp32"
    with torch.no_grad():
        with pytest.raises(RuntimeError, match="BFloat16"), autocast(torch.device("cpu"), "bf16"):
            model(input_ids=ids)  # if this no longer fails, remove the family from the list
        with autocast(torch.device("cpu"), fast_precision(model.config)):
            assert model(input_ids=ids).logits.isfinite().all()


def test_autocast_types():
    ones = torch.ones(2, 2)
    for precision, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with autocast(torch.device("cpu"), precision):
            assert (ones @ ones).dtype == dtype
