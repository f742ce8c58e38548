"""Whether there is room for a run: said before it starts, rather than by a library in the middle of it."""

from __future__ import annotations

import shutil
from functools import lru_cache
from typing import TYPE_CHECKING

from kd_core.config import DistillConfig, StudentConfig, TeacherConfig
from kd_core.distillation.roles import ROLES, Role
from kd_core.errors import RunError
from kd_core.system import paths
from kd_core.system.container import available_memory

if TYPE_CHECKING:
    from kd_core.models.size import ModelSize

LEAST = 500_000_000
# A checkpoint has the weights, two moments of each, and the best weights; up to three exist at once: the last
# two and the one that is being written. Then the model is kept, and a student is copied into its run.
DISK_COPIES = 3 * 4 + 2
MEMORY_COPIES = 5  # weights, gradients, two moments, the best weights
TRIMMED = 50_000  # word pieces that the texts of a task seldom exceed


def check_room(needed: float = 0) -> None:
    """Raises: RunError, where fewer than ``needed`` bytes are free on the disk, or fewer than 500 MB."""
    paths.make_home()
    needed, free = max(needed, LEAST), shutil.disk_usage(paths.home()).free
    if free < needed:
        raise RunError(
            f"The disk with {paths.home()} has {free / 1e6:,.0f} MB free, and this needs about "
            f"{needed / 1e6:,.0f} MB. Free some space, for example with kd clean, then resume the run."
        )


def check_training(config: DistillConfig, who: Role) -> None:
    """Raises: RunError, where disk or memory is too small to train that model of the run."""
    size = _size(config.teacher, None if who == "teacher" else config.student)
    weights = 4 * size.params
    check_room(LEAST + DISK_COPIES * weights)
    available, needed = available_memory(), MEMORY_COPIES * weights + _activations(config, size, who)
    if available < needed:
        raise RunError(
            f"Training the {'teacher' if who == 'teacher' else 'student'} needs about {needed / 1e6:,.0f} MB "
            f"of memory, and {available / 1e6:,.0f} MB are free. Close other programs or choose a smaller "
            "model or batch size, then resume the run."
        )


def _activations(config: DistillConfig, size: ModelSize, who: Role) -> int:
    """Bytes that one step keeps for its gradients: L b t (68 h + 10 a t) in float32.

    L layers, b texts of t tokens, h hidden, a heads. Of texts whose length is not resolved, the shortest
    limit counts. Source: Korthikanti et al. 2022 (arXiv 2205.05198), equation 1, there for 16 bits.
    """
    training, limit = config.training, config.task.max_length
    tokens = 64 if limit == "auto" else limit
    rows = config.teacher.batch_size if who == "teacher" else training.batch_size
    if ROLES[who].transfer and (config.task.transfer_texts or config.task.augment):
        rows += training.transfer_batch_size
    return size.layers * rows * tokens * (68 * size.hidden + 10 * (size.heads or 0) * tokens)


@lru_cache(maxsize=16)
def _size(teacher: TeacherConfig, student: StudentConfig | None) -> ModelSize:
    """With at most so many parameters: how many word pieces a student keeps is not known yet."""
    from kd_core.models.loading import teacher_config
    from kd_core.models.size import model_size, student_config

    model = teacher_config(teacher, ("a", "b"))
    if student is not None:
        filled = 0 if student.fill_vocabulary == "auto" else student.fill_vocabulary
        pieces = min(model.vocab_size, max(TRIMMED, filled)) if student.trim_vocabulary else model.vocab_size
        model = student_config(student, model, pieces)
    return model_size(model)
