"""A plan of the demo, without its texts being read, and what its run says once it has read them."""

from dataclasses import replace

from kd_core.config import DistillConfig
from kd_core.distillation.events import Resolved
from kd_core.jobs.plan import Plan
from kd_core.models.size import ModelSize

TEACHER = ModelSize("minilm-l6", 6, 384, 12, 22_700_000, 11_900_000, 21_400_000)
STUDENT = ModelSize("tiny", 2, 128, 2, 2_700_000, 2_260_000, 820_000)
RESOLVED = {
    "task.max_length": 64,
    "teacher.epochs": 5,
    "teacher.learning_rate": 1e-4,
    "student.init": "projected",
    "objective.temperature": 4,
    "student.fill_vocabulary": 17_000,
    "training.steps": 1200,
    "training.learning_rate": 5e-4,
    "training.evaluate_every": 100,
    "training.precision": "fp32",
}
ROWS = {"train": 1256, "validation": 316, "test": 524, "transfer": 12_000}
SIZES = {
    "teacher": {"layers": 6, "hidden": 384, "heads": 12, "intermediate": 1536},
    "student": {"layers": 2, "hidden": 128, "heads": 2, "intermediate": 512},
}


def plan(changes=None, *, rows=None, **parts) -> Plan:
    config = DistillConfig().change(RESOLVED | (changes or {}))
    tokens = {"train": 8.7, "transfer": 27.6}
    usual = Plan(config, 5, ROWS | (rows or {}), tokens, TEACHER, STUDENT, unknown=0.4, unread=0.1)
    return replace(usual, **({"pieces_a_word": 1.6, "too_long": 0.1} | parts))


def announce(changes=None, **given) -> Resolved:
    sizes = {f"{model}.{name}": size for model, given in SIZES.items() for name, size in given.items()}
    demo = plan(sizes | (changes or {}), **given)
    return Resolved(demo.config.model_dump(mode="json"), demo.classes, dict(demo.rows), dict(demo.tokens))
