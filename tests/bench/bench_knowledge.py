"""What recorded knowledge takes on disk, and in memory while it is recorded, as the transfer set grows.

    python -m tests.bench.bench_knowledge

Records a tiny random teacher on 20,000 and on 200,000 made-up transfer texts, each in a process of its own,
and prints seconds, the size of the Arrow file, and the peak memory before and after. Nothing is asserted.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROWS = (20_000, 200_000)
CLASSES = 5
WORDS = [f"word{i}" for i in range(2000)]


def main() -> None:
    found = []
    for rows in ROWS:
        with tempfile.TemporaryDirectory(prefix="kd-bench-") as home:
            environment = {**os.environ, "KD_HOME": home, "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-m", "tests.bench.bench_knowledge", str(rows)]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        one = json.loads(done.stdout)
        found.append(one["after"])
        print(
            f"{rows:9,} transfer texts: {one['seconds']:5.1f} s, {one['disk'] / rows:.1f} bytes each, "
            f"peak memory {one['before']:,.0f} MB before and {one['after']:,.0f} MB after",
            flush=True,
        )
    print(f"peak memory grows by {found[1] - found[0]:+,.0f} MB")


def record_rows(rows: int) -> None:
    import time

    from transformers import BertConfig

    from kd_core.config import DistillConfig
    from kd_core.data.task import Task, labelled, unlabelled
    from kd_core.distillation.events import ignore
    from kd_core.distillation.record import FILE, record
    from kd_core.distillation.run import Run, Trained
    from kd_core.models.loading import new_model, train_tokenizer
    from kd_core.system.control import Control

    rng = random.Random(0)
    texts = unlabelled(" ".join(rng.choices(WORDS, k=8)) for _ in range(rows))
    few = labelled(texts["text"][:100], [i % CLASSES for i in range(100)])
    labels = tuple(f"class {i}" for i in range(CLASSES))
    task = Task("made up", labels, train=few, validation=few, test=few, transfer=texts)
    tokenizer = train_tokenizer(WORDS)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    model = new_model(BertConfig(vocab_size=len(tokenizer), num_labels=CLASSES, **shape), 0)
    config = DistillConfig.from_dict({"task": {"max_length": 64}, "training": {"precision": "fp32"}})
    home = Path(os.environ["KD_HOME"])

    before, start = peak(), time.monotonic()
    record(Run(task, config, home / "work", ignore, Control()), Trained("teacher", 0, model, tokenizer, home))
    (file,) = home.rglob(FILE)
    seconds = time.monotonic() - start
    print(json.dumps({"seconds": seconds, "disk": file.stat().st_size, "before": before, "after": peak()}))


def peak() -> float:
    """The most memory that this process has held, in MB."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    record_rows(int(sys.argv[1])) if len(sys.argv) > 1 else main()
