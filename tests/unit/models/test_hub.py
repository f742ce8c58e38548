"""Teachers from the Hugging Face Hub: errors, and the copy on disk."""

import inspect
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError
from transformers import AutoModelForSequenceClassification, modeling_utils

from kd_core.config import TeacherConfig
from kd_core.errors import ModelError
from kd_core.models import checkpoints, loading
from kd_core.models.loading import load_teacher


def answer(monkeypatch, error, cached=None):
    def fail(url):
        raise error

    monkeypatch.setattr(checkpoints, "get_hf_file_metadata", fail)
    monkeypatch.setattr(checkpoints, "try_to_load_from_cache", lambda *args: cached)


def http(error_class):
    return error_class("no", response=SimpleNamespace(headers={}, request=None, status_code=404))


class NoConnection(Exception):
    """An error of an HTTP library, which is not an OSError."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            http(RepositoryNotFoundError),
            "There is no model 'some/model' on the Hugging Face Hub .* presets are minilm-l6",
        ),
        (http(GatedRepoError), "'some/model' is gated: ask for access on https://huggingface.co/some/model"),
        (EntryNotFoundError("no"), "has no config.json, so it is no transformers model"),
        (
            NoConnection("no route"),
            r"\(no route\). Without .* minilm-l6, minilm-l3, (e5-small, )?scratch, ",
        ),
        (
            NoConnection("no route"),
            "the students cnn, static, tiny, .* and local folders.",
        ),  # --student tinny
        (TimeoutError("too slow"), r"cannot be reached \(too slow\)"),
    ],
    ids=["not found", "gated", "no model", "offline", "offline student", "timeout"],
)
def test_hub_problems_are_distinguished(monkeypatch, tiny_task, error, message):
    answer(monkeypatch, error)
    with pytest.raises(ModelError, match=message):
        load_teacher(TeacherConfig(model="some/model"), tiny_task)


def test_a_model_of_the_hub_without_safetensors(monkeypatch, folder, tiny_task):
    assert checkpoints.NO_SAFETENSORS in inspect.getsource(modeling_utils)

    def from_pretrained(place, **options):
        raise OSError(
            f"x has no model.safetensors and thus {checkpoints.NO_SAFETENSORS}. Please do not set it."
        )

    monkeypatch.setattr(loading.AutoModelForSequenceClassification, "from_pretrained", from_pretrained)
    with pytest.raises(ModelError, match=r"it has no safetensors weights, and others can run code .*save it"):
        load_teacher(TeacherConfig(model=str(folder)), tiny_task)


def test_offline_switch_of_the_hub(tiny_task):
    with pytest.raises(ModelError, match=r"FacebookAI/roberta-base' is not on this disk"):
        load_teacher(TeacherConfig(model="roberta-base"), tiny_task)


def test_an_unknown_name(tiny_task):
    with pytest.raises(
        ModelError, match="'no such model' is no model: choose minilm-l6, minilm-l3, e5-small, bert-base-"
    ):
        load_teacher(TeacherConfig(model="no such model"), tiny_task)


def test_offline_with_a_copy_reads_the_copy(monkeypatch, folder, tiny_task):
    answer(monkeypatch, NoConnection("no route"), cached="somewhere/config.json")
    seen = []

    def from_pretrained(place, *, local_files_only, **options):
        seen.append(
            (place, local_files_only, options.get("trust_remote_code"), options.get("use_safetensors"))
        )
        return original(str(folder), local_files_only=True, **options)

    original = AutoModelForSequenceClassification.from_pretrained
    monkeypatch.setattr(loading.AutoModelForSequenceClassification, "from_pretrained", from_pretrained)
    for kind in (checkpoints.AutoConfig, loading.AutoTokenizer):
        monkeypatch.setattr(
            kind,
            "from_pretrained",
            lambda place, plain=kind.from_pretrained, **kw: plain(str(folder), **kw),
        )
    load_teacher(TeacherConfig(model="some/model"), tiny_task)
    assert seen == [("some/model", True, False, True)]
