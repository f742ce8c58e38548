"""A student that begins warm: ``python -m tests.bench.bench_warm --student cnn --to warm-cnn``.

    python -m tests.bench.bench_quality --task headlines --name cold
    python -m tests.bench.bench_quality --task headlines --name warm student.model=warm-cnn --against cold

Writes a checkpoint that has learned the sentence vectors of the default teacher, which was not taught, on
sentences of the BBC's training articles: those that are test texts of neither BBC task of ``bench_quality``.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerFast, get_linear_schedule_with_warmup

BATCH, PIECES, LENGTH = 64, 17_000, 64
RATE = 2e-3


def main() -> None:
    from kd_core.config import DistillConfig
    from kd_core.data import load_task
    from kd_core.models.loading import load_teacher, new_model, seeded
    from kd_core.models.students import build_student

    parser = argparse.ArgumentParser(description="Make a student that has learned sentence vectors.")
    parser.add_argument("--student", default="cnn", help="cnn, static, tiny or another student's name")
    parser.add_argument("--steps", type=int, default=3_000, help=f"of {BATCH} sentences")
    parser.add_argument("--to", type=Path, required=True, help="the folder of the checkpoint")
    given = parser.parse_args()
    config = DistillConfig().change({"student.model": given.student, "student.fill_vocabulary": PIECES})
    task = load_task(config.task)
    teacher, tokenizer = load_teacher(config.teacher, task)
    start, pieces = build_student(config.student, teacher, tokenizer, task, seed=0)
    texts = sentences(task)
    wanted = sentence_vectors(teacher, tokenizer, texts)

    # The head gives the vector, and nothing that counts pieces is in its way.
    sizes = copy.deepcopy(start.config)
    sizes.num_labels, sizes.pairs = wanted.shape[1], 0
    model = new_model(sizes, 0)
    model.load_state_dict(_shared(start, model), strict=False)
    with seeded(0):
        learn(model, pieces, texts, wanted, given.steps)
    start.load_state_dict(_shared(model, start), strict=False)
    # Names that no task has, or a task with these labels would keep the head, which learned nothing.
    start.config.id2label = {i: f"none {i}" for i in range(start.config.num_labels)}
    start.config.label2id = {name: i for i, name in start.config.id2label.items()}
    start.save_pretrained(given.to)
    pieces.save_pretrained(given.to)


def sentences(task: Any) -> list[str]:
    from kd_core.config import TaskConfig
    from kd_core.data import load_task

    other = load_task(TaskConfig(name="bbc-sentences", transfer_texts=0))
    seen = {text for one in (task, other) for part in (one.test, one.validation) for text in part["text"]}
    return [text for text in task.transfer["text"] if text not in seen]


def sentence_vectors(
    teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> torch.Tensor:
    """(texts, D): means over the last states, of length 1."""
    from kd_core.models.inference import autocast, fast_precision

    found = []
    for begin in range(0, len(texts), BATCH):
        batch = _batch(tokenizer, texts[begin : begin + BATCH])
        with torch.inference_mode(), autocast(teacher.device, fast_precision(teacher.config)):
            states = teacher.base_model(**batch)[0].float()
        mask = batch["attention_mask"].unsqueeze(-1)
        found.append(F.normalize((states * mask).sum(dim=1) / mask.sum(dim=1)))
    return torch.cat(found).clone()


def learn(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    texts: list[str],
    wanted: torch.Tensor,
    steps: int,
) -> None:
    """1 - the cosine between the model's vector and the one that is wanted, on average over a batch."""
    from kd_core.models.inference import autocast, fast_precision

    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01, fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, steps // 20, steps)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.1  # for a vector; half of the features is for classes
    model.train()
    precision = fast_precision(model.config)
    for step in range(steps):
        chosen = torch.randint(len(texts), (BATCH,))
        with autocast(model.device, precision):
            found = model(**_batch(tokenizer, [texts[i] for i in chosen])).logits
        loss = 1 - F.cosine_similarity(found.float(), wanted[chosen]).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 300 == 299:
            print(f"step {step + 1:,}: cosine {1 - loss.item():.3f}", flush=True)
    model.eval()


def _batch(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> dict[str, torch.Tensor]:
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
    return {name: inputs[name] for name in ("input_ids", "attention_mask")}


def _shared(source: PreTrainedModel, target: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The source's weights that the target has in the same shape: all but the head."""
    shapes = {name: weight.shape for name, weight in target.state_dict().items()}
    weights = source.state_dict()
    return {name: weight for name, weight in weights.items() if shapes.get(name) == weight.shape}


if __name__ == "__main__":
    main()
