"""What distilling one student costs, by KD Studio and by others: ``python -m tests.bench.bench_training``.

    OMP_NUM_THREADS=1 python -m tests.bench.bench_training --students tiny --who bare kd-same --rounds 5
    python -m tests.bench.bench_training teacher.model=e5-small training.batch_size=256 --students half

The same work by each in turn, round after round: record the teacher's logits (where they are recorded), cut
2,000 sentences into pieces, train the student on labels and logits. Prints a Markdown table, medians over the
rounds: processor seconds in all, while recording and while training, seconds on the clock, samples a
processor second of training, the share of the peak in a matrix product of the model's own shape and of the
precision that it computes in, and test accuracy. On a GPU all seconds are of the clock. Nothing is asserted.
The teacher is kept under ``KD_HOME``; that of ``make bench``, which CI prints, was not taught. TextBrewer
takes part where it is installed: ``pip install --no-deps textbrewer tensorboardX``.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import (
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    get_linear_schedule_with_warmup,
)
from transformers.trainer_pt_utils import get_length_grouped_indices

from kd_core.config import DistillConfig, Precision
from kd_core.data import load_task
from kd_core.distillation.distil import train_student
from kd_core.distillation.events import ignore
from kd_core.distillation.record import record
from kd_core.distillation.resolve import resolve, token_lengths
from kd_core.distillation.roles import student_variants
from kd_core.distillation.run import Run, Trained
from kd_core.distillation.teach import teach
from kd_core.models.inference import autocast, device, encode, predict_logits
from kd_core.models.loading import load_teacher, seeded
from kd_core.models.size import model_size
from kd_core.models.students import build_student
from kd_core.system import paths
from kd_core.system.control import Control
from tests.bench.bench_quality import settings_of

TEMPERATURE, ALPHA = 4.0, 0.3
PEERS = {  # as the others do it
    "student.trim_vocabulary": False,
    "student.freeze_embeddings": False,
    "objective.temperature": TEMPERATURE,
    "objective.alpha": ALPHA,
}
ONCE = {"training.evaluate_every": 10_000_000}  # at the end, which the others do not do at all
GPU = device().type == "cuda"
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
COLUMNS = (
    "student",
    "who",
    "seconds",
    "x bare",
    "recording",
    "training",
    "clock",
    "samples/s",
    "of peak",
    "right",
)

Student = tuple[PreTrainedModel, PreTrainedTokenizerFast]


@dataclass
class Work:
    """What is to be done by each, and what the current one has spent on each part of it."""

    run: Run
    teacher: Trained
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        return int(self.run.config.training.steps)

    @property
    def rate(self) -> float:
        return float(self.run.config.training.learning_rate)

    @property
    def batch(self) -> int:
        return self.run.config.training.batch_size

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        start = seconds()
        yield
        self.seconds[part] = seconds() - start

    def student(self) -> Student:
        config, teacher = self.run.config.student, self.teacher
        model, tokenizer = build_student(config, teacher.model, teacher.tokenizer, self.run.task, 0)
        return model.to(device()), tokenizer

    def encoded(self, tokenizer: PreTrainedTokenizerFast) -> Dataset:
        return encode(tokenizer, self.run.task.train, self.run.max_length)


def seconds() -> float:
    """Of the processor; of the clock where a GPU works, once it has done what it was asked for."""
    if GPU:
        torch.cuda.synchronize()
    return time.perf_counter() if GPU else time.process_time()


def objective(logits: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    soft = F.kl_div(
        F.log_softmax(logits / TEMPERATURE, -1),
        F.log_softmax(teacher / TEMPERATURE, -1),
        reduction="batchmean",
        log_target=True,
    )
    return ALPHA * F.cross_entropy(logits, labels) + (1 - ALPHA) * TEMPERATURE**2 * soft


def padded(ids: list[list[int]]) -> dict[str, torch.Tensor]:
    lengths = [len(row) for row in ids]
    table, mask = (np.zeros((len(ids), max(lengths)), dtype=np.int64) for _ in range(2))
    for i, row in enumerate(ids):
        table[i, : len(row)], mask[i, : len(row)] = row, 1
    found = {"input_ids": torch.from_numpy(table), "attention_mask": torch.from_numpy(mask)}
    return {name: values.to(device()) for name, values in found.items()}


def recorded(work: Work, ids: list[list[int]]) -> torch.Tensor:
    model = work.teacher.model
    logits = torch.empty(len(ids), model.config.num_labels, device=model.device)
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    for start in range(0, len(ids), 64):
        rows = order[start : start + 64]
        with torch.inference_mode(), autocast(model.device, work.run.precision):
            logits[rows] = model(**padded([ids[i] for i in rows])).logits.float()
    return logits


def bare(work: Work) -> Student:
    """A loop and nothing else: recorded logits, length groups, fused AdamW, bf16."""
    with work.timed("record"):
        train = work.encoded(work.teacher.tokenizer)
        ids, labels = train["input_ids"][:], torch.tensor(train["label"], device=device())
        knowledge = recorded(work, ids)
    with work.timed("train"):
        model, tokenizer = work.student()
        torch.manual_seed(0)
        matrices = [weight for weight in model.parameters() if weight.ndim > 1]
        others = [weight for weight in model.parameters() if weight.ndim < 2]
        groups = [{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=work.rate, fused=True)
        schedule = get_linear_schedule_with_warmup(optimizer, work.steps // 10, work.steps)
        scaler = torch.amp.GradScaler(model.device.type, enabled=work.run.precision == "fp16")
        lengths, rows, done = [len(row) for row in ids], [], 0
        model.train()
        while done < work.steps:
            rows = rows or get_length_grouped_indices(lengths, work.batch)
            batch, rows = rows[: work.batch], rows[work.batch :]
            with autocast(model.device, work.run.precision):
                logits = model(**padded([ids[i] for i in batch])).logits
            scaler.scale(objective(logits.float(), labels[batch], knowledge[batch])).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
            optimizer.zero_grad()
            done += 1
    return model.eval(), tokenizer


class PlainTrainer(Trainer):
    teacher: PreTrainedModel | None = None
    precision: Precision = "fp32"

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        labels, known = inputs.pop("labels"), inputs.pop("logits", None)
        if self.teacher:
            with torch.no_grad(), autocast(model.device, self.precision):
                known = self.teacher(**inputs).logits.float()
        return objective(model(**inputs).logits, labels, known)


def plain_trainer(work: Work, online: bool) -> Student:
    """``transformers.Trainer`` as in its examples."""
    with work.timed("record"):
        train = work.encoded(work.teacher.tokenizer)
        if not online:
            train = train.add_column("logits", recorded(work, train["input_ids"][:]).cpu().tolist())
    with work.timed("train"):
        model, tokenizer = work.student()
        arguments = TrainingArguments(
            output_dir=str(work.run.work),
            max_steps=work.steps,
            per_device_train_batch_size=work.batch,
            learning_rate=work.rate,
            warmup_steps=0.1,
            weight_decay=0.01,
            bf16=work.run.precision == "bf16",
            fp16=work.run.precision == "fp16",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            use_cpu=not GPU,
        )
        collator = DataCollatorWithPadding(tokenizer)
        trainer = PlainTrainer(model, arguments, train_dataset=train, data_collator=collator)
        trainer.model_accepts_loss_kwargs = False
        trainer.teacher = work.teacher.model if online else None
        trainer.precision = work.run.precision
        trainer.train()
    return model.eval(), tokenizer


def textbrewer(work: Work) -> Student:
    """Its ``GeneralDistiller`` with an online teacher; it computes in float32."""
    from textbrewer import DistillationConfig, GeneralDistiller, TrainingConfig

    with work.timed("record"):
        train = work.encoded(work.teacher.tokenizer)
    with work.timed("train"):
        model, tokenizer = work.student()
        collator = DataCollatorWithPadding(tokenizer)
        loader = DataLoader(train, work.batch, shuffle=True, collate_fn=lambda rows: dict(collator(rows)))
        optimizer = torch.optim.AdamW(model.parameters(), lr=work.rate, weight_decay=0.01)
        distiller = GeneralDistiller(
            TrainingConfig(
                output_dir=str(work.run.work), device=model.device, log_dir=None, ckpt_steps=10**9
            ),
            DistillationConfig(
                temperature=TEMPERATURE,
                hard_label_weight=ALPHA,
                kd_loss_weight=1 - ALPHA,
                is_caching_logits=False,
            ),
            work.teacher.model,
            model,
            *[lambda batch, outputs: {"logits": outputs["logits"], "losses": outputs["loss"]}] * 2,
        )
        rate = {"num_warmup_steps": work.steps // 10, "num_training_steps": work.steps}
        with distiller:
            distiller.train(
                optimizer,
                loader,
                num_steps=work.steps,
                scheduler_class=get_linear_schedule_with_warmup,
                scheduler_args=rate,
                max_grad_norm=1.0,
                callback=None,
            )
    return model.eval(), tokenizer


def kd_studio(work: Work) -> Student:
    variant = replace(student_variants(work.run.config, 0)[0], transfer=0)
    with work.timed("record"):
        knowledge, cached = record(work.run, work.teacher)
        assert not cached
    with work.timed("train"):
        trained = train_student(work.run, variant, 0, work.teacher, knowledge)
    return trained.model, trained.tokenizer


class Who(NamedTuple):
    name: str
    distil: Callable[[Work], Student]
    changes: dict[str, Any]
    precision: Precision | None = None  # of its matrix products, where that is its own


WHO = {
    "bare": Who("a bare loop", bare, PEERS),
    "online": Who("transformers.Trainer, teacher online", partial(plain_trainer, online=True), PEERS),
    "trainer": Who("transformers.Trainer, logits recorded", partial(plain_trainer, online=False), PEERS),
    "textbrewer": Who("TextBrewer, teacher online", textbrewer, PEERS, "fp32"),
    "kd": Who("KD Studio, trimmed", kd_studio, {}),  # what auto resolves to, but no spans
    "kd-same": Who("KD Studio, all pieces", kd_studio, PEERS),
    "kd-once": Who("KD Studio, all pieces, evaluated once", kd_studio, PEERS | ONCE),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what distilling a student costs.")
    parser.add_argument("settings", nargs="*", help="changes of the config: training.batch_size=256")
    there = [who for who in WHO if who != "textbrewer" or find_spec("textbrewer")]
    parser.add_argument("--students", nargs="+", default=["tiny", "mini", "half"])
    parser.add_argument("--who", nargs="+", default=there, choices=WHO)
    parser.add_argument("--steps", type=int, default=126, help="with batches of 32, 126 are two passes")
    parser.add_argument("--rounds", type=int, default=3, help="of each, in turn")
    parser.add_argument("--untaught", action="store_true", help="a teacher that knows nothing takes as long")
    given = parser.parse_args()

    task_settings = settings_of("sentences-2000", paths.home() / "quality")
    asked = dict(setting.split("=", 1) for setting in given.settings)
    config = DistillConfig().change({**task_settings, "training.steps": given.steps, **asked})
    task = load_task(config.task)
    model, tokenizer = load_teacher(config.teacher, task)
    model, work = model.to(device()), paths.work() / "bench"
    lengths = token_lengths(tokenizer, task)
    run = Run(task, resolve(config, task, model.config, lengths), work, ignore, Control())
    if given.untaught:
        teacher = Trained("teacher", 0, model.eval(), tokenizer, work / "untaught")
    else:
        teacher, _ = teach(run, model, tokenizer)
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    for student in given.students:
        results: dict[str, list[dict[str, float]]] = defaultdict(list)
        for _ in range(given.rounds):
            for who in given.who:
                changed = config.change({"student.model": student, **WHO[who].changes})
                run = replace(run, config=resolve(changed, task, teacher.model.config, lengths))
                results[who].append(measure(Work(run, teacher), WHO[who]))
        for who, rounds in results.items():
            middle = {name: median(row[name] for row in rounds) for name in rounds[0]}
            texts = given.steps * run.config.training.batch_size
            of_bare = median(row["processor"] for row in results.get("bare", [{"processor": np.nan}]))
            print(
                f"| {student} | {WHO[who].name} | {middle['processor']:.1f} "
                f"| {middle['processor'] / of_bare:.2f} | {middle['record']:.1f} | {middle['train']:.1f} "
                f"| {middle['clock']:.1f} | {texts / middle['train']:,.0f} "
                f"| {100 * middle['peak']:.0f} % | {100 * middle['right']:.1f} % |",
                flush=True,
            )


def measure(work: Work, who: Who) -> dict[str, float]:
    for folder in (work.run.work, paths.caches() / "knowledge"):
        shutil.rmtree(folder, ignore_errors=True)
    work.student()  # so that its start is in the cache, whoever comes first
    start = time.perf_counter()
    with seeded(0):
        model, tokenizer = who.distil(work)
    found = work.seconds | {"clock": time.perf_counter() - start}
    task, length = work.run.task, work.run.max_length
    pieces = [len(ids) for ids in encode(tokenizer, task.train, length)["input_ids"]]
    tokens = work.batch * sum(pieces) / len(pieces)
    size = model_size(model.config, round(tokens / work.batch))
    product = 3 * work.steps * tokens * size.flops_per_token / found["train"]
    logits = predict_logits(model, encode(tokenizer, task.test, length), precision=work.run.precision)
    right = (logits.argmax(axis=1) == np.asarray(task.test["label"])).mean()
    return found | {
        "processor": found["record"] + found["train"],
        "peak": product / peak(size.hidden, round(tokens), who.precision or work.run.precision),
        "right": float(right),
    }


def peak(hidden: int, tokens: int, precision: Precision) -> float:
    """Operations a second of a feed-forward layer's matrix product alone, the best of some."""
    texts = torch.randn(tokens, hidden).to(device(), DTYPES[precision])
    weights = torch.randn(hidden, 4 * hidden).to(device(), DTYPES[precision])
    took = []
    for _ in range(20):
        start = seconds()
        for _ in range(10):
            texts @ weights
        took.append(seconds() - start)
    return 10 * 2 * tokens * hidden * 4 * hidden / min(took)


if __name__ == "__main__":
    main()
