"""Shared fixtures: a small synthetic task and a tiny random teacher of each family."""

from __future__ import annotations

import csv
import gc
import os
import pickle
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

# Before any Hugging Face library is imported: no test may reach the network.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from datasets import Dataset

    from kd_core.config import DistillConfig
    from kd_core.distillation.report import Report
    from kd_core.distillation.training.batches import Recipe

LABELS = ("sport", "politics", "tech", "film", "money")
WORDS = {
    "sport": "match goal striker coach league stadium tennis rugby medal sprinter referee penalty",
    "politics": "minister vote party election parliament policy senator cabinet treaty campaign law",
    "tech": "software laptop network server phone browser chip robot keyboard gadget screen password",
    "film": "actor director scene cinema script oscar studio premiere comedy drama camera trailer",
    "money": "bank profit shares market interest dollar economy budget inflation trader loan deficit",
}
COMMON = "the a of in new says after for with today big over wins plans year"
FAMILIES = ("bert", "distilbert", "roberta", "albert", "electra", "deberta-v2", "modernbert")
SIZES = {"hidden": 32, "layers": 4, "heads": 2, "intermediate": 64}


def _text(label: str, rng: random.Random) -> str:
    words = rng.sample(WORDS[label].split(), 3) + rng.sample(COMMON.split(), 4)
    rng.shuffle(words)
    return " ".join(words)


def _labelled_texts(per_class: int, rng: random.Random) -> tuple[list[str], list[int]]:
    rows = [(_text(label, rng), i) for i, label in enumerate(LABELS) for _ in range(per_class)]
    rng.shuffle(rows)
    return [text for text, _ in rows], [label for _, label in rows]


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], Any]], Path]:
    """``once(name, build)``: a folder that ``build(folder)`` fills once for all xdist workers.

    Use it for whatever trains a model. Tests must only read the folder.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # shared by all workers

    def folder(name: str, build: Callable[[Path], Any]) -> Path:
        place, built = root / "once" / name, root / "once" / f"{name}.built"
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{place}.lock"):
            if not built.exists():
                build(place)
                built.touch()
        return place

    return folder


@pytest.fixture(scope="session")
def tiny_task():
    """5 classes: 60 training, 20 validation, 25 test texts and 40 transfer texts of seven words."""
    from kd_core.data.task import Task, labelled, unlabelled

    rng = random.Random(0)
    return Task(
        name="tiny",
        labels=LABELS,
        train=labelled(*_labelled_texts(12, rng)),
        validation=labelled(*_labelled_texts(4, rng)),
        test=labelled(*_labelled_texts(5, rng)),
        transfer=unlabelled(_labelled_texts(8, rng)[0]),
    )


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_task):
    """A WordPiece tokenizer of the task's words and 26 pieces that no text has; fits every family."""
    from transformers import BertTokenizerFast

    letters = [chr(ord("a") + i) for i in range(26)]
    words = sorted({word for words in (*WORDS.values(), COMMON) for word in words.split() if len(word) > 1})
    unused = [f"unused{letter}" for letter in letters]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *unused, *letters]
    pieces += ["##" + letter for letter in letters] + words
    return BertTokenizerFast(
        vocab={piece: i for i, piece in enumerate(pieces)},
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],  # DistilBERT and ModernBERT know no segments
    )


@pytest.fixture(scope="session")
def tiny_teacher(tiny_task, tiny_tokenizer) -> Callable:
    """``tiny_teacher("bert")``: a new random classifier of that family (4 layers of 32), with a lively head.

    The initial weights are large enough that texts get clearly different logits.
    """
    import torch
    from transformers import (
        AlbertConfig,
        BertConfig,
        DebertaV2Config,
        DistilBertConfig,
        ElectraConfig,
        ModernBertConfig,
        RobertaConfig,
    )

    from kd_core.models.loading import new_model

    torch.set_num_threads(1)
    # Each training ends with a full garbage collection, which is slow over all that was imported.
    gc.collect()
    gc.freeze()
    classes = {
        "bert": BertConfig,
        "roberta": RobertaConfig,
        "albert": AlbertConfig,
        "electra": ElectraConfig,
        "deberta-v2": DebertaV2Config,
        "modernbert": ModernBertConfig,
    }
    common = {
        "vocab_size": len(tiny_tokenizer),
        "id2label": dict(enumerate(LABELS)),
        "label2id": {label: i for i, label in enumerate(LABELS)},
        "pad_token_id": tiny_tokenizer.pad_token_id,
        "max_position_embeddings": 66,
        "initializer_range": 0.2,
        "problem_type": "single_label_classification",
    }
    named = {
        "hidden_size": SIZES["hidden"],
        "num_hidden_layers": SIZES["layers"],
        "num_attention_heads": SIZES["heads"],
        "intermediate_size": SIZES["intermediate"],
    }
    ids = {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    extra = {
        "albert": {"embedding_size": 16},
        "electra": {"embedding_size": 16},
        "deberta-v2": {
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 8,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "position_biased_input": False,
        },
        "modernbert": {**ids, "local_attention": 16},
    }

    def build(family: str = "bert", seed: int = 0):
        if family == "distilbert":
            config = DistilBertConfig(dim=32, n_layers=4, n_heads=2, hidden_dim=64, **common)
        else:
            config = classes[family](**named, **common, **extra.get(family, {}))
        return new_model(config, seed)

    return build


@pytest.fixture(scope="session")
def tiny_files(tiny_task, once) -> dict[str, str]:
    """The task as CSV files, by ``TaskConfig`` field: 80 labelled texts, 25 test texts, 40 transfer texts."""
    splits = {
        "name": [tiny_task.train, tiny_task.validation],
        "test_file": [tiny_task.test],
        "transfer_file": [tiny_task.transfer],
    }

    def write(folder: Path) -> None:
        for field, parts in splits.items():
            _write_csv(folder / f"{field}.csv", *parts)

    folder = once("task", write)
    return {field: str(folder / f"{field}.csv") for field in splits}


def _write_csv(path: Path, *splits: Dataset) -> None:
    columns = splits[0].column_names
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in (row for split in splits for row in split):
            writer.writerow([row["text"], LABELS[row["label"]]] if "label" in columns else [row["text"]])


@pytest.fixture(scope="session")
def teacher_folder(tiny_teacher, tiny_tokenizer, once) -> Callable[[str], str]:
    """``teacher_folder("bert")``: ``tiny_teacher("bert")`` and its tokenizer, saved."""
    from transformers.utils import logging

    logging.disable_progress_bar()

    def save(family: str = "bert") -> str:
        def write(folder: Path) -> None:
            tiny_teacher(family).save_pretrained(folder)
            tiny_tokenizer.save_pretrained(folder)

        return str(once(f"teacher-{family}", write))

    return save


@pytest.fixture(scope="session")
def tiny_config(tiny_files, teacher_folder) -> DistillConfig:
    """A run of about a second: a student of 2 layers of 16, six steps of 8 labelled and 8 transfer texts.

    65 training texts, 15 for validation, 25 for test, 40 transfer texts; 5 steps of 16 for the teacher.
    """
    from kd_core.config import DistillConfig

    return DistillConfig.from_dict(
        {
            "task": tiny_files,
            "teacher": {"model": teacher_folder("bert"), "epochs": 1, "batch_size": 16},
            "student": {"model": "custom", "layers": 2, "hidden": 16, "heads": 2},
            "training": {
                "steps": 6,
                "batch_size": 8,
                "transfer_batch_size": 8,
                "evaluate_every": 3,
                "precision": "fp32",
            },
            "controls": {"resamples": 100, "latency_repeats": 5},
        }
    )


@pytest.fixture(scope="session")
def short_config(tiny_config) -> DistillConfig:
    """Three steps, student and student alone only."""
    return tiny_config.change(
        {
            "training.steps": 3,
            "training.evaluate_every": 3,
            "controls.labelled_only": False,
            "controls.shifted": False,
            "controls.tfidf": False,
        }
    )


@pytest.fixture
def kd_home(tmp_path, monkeypatch) -> Path:
    """An empty ``KD_HOME`` for one test."""
    monkeypatch.setenv("KD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@dataclass(frozen=True)
class FinishedRun:
    report: Report
    events: list[Any]
    home: Path

    @property
    def folder(self) -> Path:
        return Path(self.report.folder)


@pytest.fixture(scope="session")
def finished_run(tiny_config, once) -> FinishedRun:
    """``tiny_config`` with two seeds, in a ``KD_HOME`` of its own. Tests only read it."""

    def train(folder: Path) -> None:
        from kd_core import distill

        events: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KD_HOME", str(folder / "home"))
            report = distill(tiny_config.change({"training.seeds": (0, 1)}), events.append)
        (folder / "run.pickle").write_bytes(pickle.dumps((report, events)))

    folder = once("finished_run", train)
    report, events = pickle.loads((folder / "run.pickle").read_bytes())
    return FinishedRun(report, events, folder / "home")


def tiny_recipe(**changes: Any) -> Recipe:
    """Six steps of 8 labelled and 4 transfer texts at temperature 2, with an evaluation every third."""
    from kd_core.config import ObjectiveConfig
    from kd_core.distillation.training.batches import Recipe

    settings = {
        "who": "student",
        "seed": 0,
        "steps": 6,
        "batch_size": 8,
        "transfer_batch_size": 4,
        "learning_rate": 1e-3,
        "evaluate_every": 3,
        "precision": "fp32",
        "objective": ObjectiveConfig(temperature=2.0, alpha=0.3),
    }
    return Recipe(**(settings | changes))


@pytest.fixture(scope="session")
def splits(tiny_task, tiny_tokenizer) -> dict[str, Dataset]:
    """The task's training and transfer rows with knowledge (random logits), and its validation rows."""
    import numpy as np
    from datasets import concatenate_datasets

    from kd_core.models.inference import encode

    texts = concatenate_datasets([tiny_task.train, tiny_task.transfer])
    logits = np.random.default_rng(0).normal(size=(len(texts), 5)).astype("float32")
    encoded = encode(tiny_tokenizer, texts, 64)
    return {
        "train": encoded.add_column("logits", logits.tolist()),
        "validation": encode(tiny_tokenizer, tiny_task.validation, 64),
    }


@pytest.fixture
def trainer(tiny_teacher, tiny_task, splits, tmp_path) -> Callable:
    """``trainer(recipe, ...)``: a new random model without dropout (unless asked for) and what trains it."""
    import torch

    from kd_core.config import DistillConfig, TrainingConfig
    from kd_core.distillation.events import ignore
    from kd_core.distillation.run import Run
    from kd_core.distillation.training.trainer import DistillTrainer
    from kd_core.system.control import Control

    def make(
        recipe=None, *, dropout=0.0, train=None, on_event=ignore, control=None, recorder=None, report_to=()
    ):
        model = tiny_teacher("bert")
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = dropout
        config = DistillConfig(training=TrainingConfig(report_to=report_to))
        return DistillTrainer(
            model,
            recipe or tiny_recipe(),
            Run(tiny_task, config, tmp_path, on_event, control or Control()),
            train=splits["train"] if train is None else train,
            validation=splits["validation"],
            recorder=recorder,
        )

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The address of an empty database; on PostgreSQL a schema of its own."""
    import sqlalchemy as sa

    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'kd.sqlite'}"
        return
    postgres = os.environ.get("KD_TEST_DATABASE_URL")
    if not postgres:
        pytest.skip("KD_TEST_DATABASE_URL is not set")
    name = f"kd_test_{token_hex(4)}"
    address = sa.make_url(postgres).set(drivername="postgresql+psycopg")
    server = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    options = {"options": f"-csearch_path={name}", "application_name": name}
    yield address.update_query_dict(options).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {name} CASCADE"))
    server.dispose()
