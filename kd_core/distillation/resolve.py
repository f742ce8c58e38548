"""Where ``auto`` becomes a number; what hangs on a model alone, such as its start, is asked of ``models``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from statistics import fmean
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedTokenizerFast

from kd_core.config import INTERMEDIATE, DistillConfig, Initialisation, TeacherConfig, flag
from kd_core.data.spans import has_others, spans_per_text
from kd_core.data.task import Task, spread
from kd_core.data.words import MANY_CUT
from kd_core.distillation.balance import auto_temperature, class_weights, fixed_metric
from kd_core.distillation.events import Resolved
from kd_core.errors import ConfigError
from kd_core.models.checkpoints import clamp_length
from kd_core.models.inference import fast_precision
from kd_core.models.loading import teacher_name
from kd_core.models.presets import DEEP, MANY_CLASSES
from kd_core.models.size import CNN, NETWORKS, POOLED, STATIC, intermediate_size, student_config
from kd_core.models.students import may_trim, resolve_fill, resolve_init
from kd_core.system.formatting import percent
from kd_core.system.settings import fixed

# Lengths to choose from: padding is per batch, so a longer limit costs only where a text is long.
LENGTHS = (64, 128, 256)
HELD = 0.99  # of the texts, whole
STEPS = 900  # enough for the bundled headlines: 1,200 and 900 validate alike
# Without transfer texts, of a student that begins with the teacher's vectors: by then it has learned what so
# few texts can teach, and from there on it learns them by heart (docs/decisions.md).
FEW_STEPS = 300
CNN_STEPS = 600  # with transfer texts: as good as 900, and alone, where it sees no others, better
TEACHER_STEPS = 120  # at least: three passes over 180 texts are 18, after which it is worse than TF-IDF
MOST_EPOCHS = 20
STEPS_A_CLASS = 12  # 77 classes are not learned in 300 steps (docs/decisions.md)
SMALL, MEDIUM = 256, 384  # hidden sizes up to which a student takes larger steps

Lengths = Mapping[str, Sequence[int]]


def token_lengths(tokenizer: PreTrainedTokenizerFast, task: Task) -> dict[str, list[int]]:
    """Tokens, special ones included, of texts from all over "train" and "transfer"."""
    lengths = {}
    for name in ("train", "transfer"):
        texts = spread(getattr(task, name))
        lengths[name] = [len(ids) for ids in tokenizer(texts, verbose=False)["input_ids"]] if texts else []
    return lengths


def resolve(config: DistillConfig, task: Task, teacher: PretrainedConfig, lengths: Lengths) -> DistillConfig:
    """A copy without ``auto``, given the task, the teacher's architecture and its ``token_lengths``.

    Raises: ConfigError, ModelError.
    """
    if missing := [name for name in config.training.report_to if find_spec(name) is None]:
        raise ConfigError(
            f"training.report_to has {', '.join(missing)}, not installed here; install it with "
            f"pip install {' '.join(missing)}, or leave it out"
        )
    if config.training.precision == "fp16" and not torch.cuda.is_available():
        raise ConfigError("training.precision fp16 needs a GPU, and there is none; use auto, bf16 or fp32")
    labels = task.train["label"][:]  # whole: row by row 100,000 take two seconds
    class_weights(config.objective.class_weights, task.labels, labels)  # raises
    metric = fixed_metric(config.training.metric, task.labels, labels, task.validation["label"][:])
    config = config.change({"teacher.model": teacher_name(config.teacher, task)})
    from_scratch = config.teacher.model == "scratch"
    deep = teacher.num_hidden_layers >= DEEP
    student = student_config(config.student, teacher, teacher.vocab_size)
    passes = math.ceil(len(task.train) / config.training.batch_size)
    init = resolve_init(config.student, teacher)
    answers: dict[str, Any] = {
        "task.max_length": auto_length(task, lengths),
        "task.augment": spans_per_text(task, config.task),
        "teacher.epochs": _epochs(config.teacher, len(task.train)),
        "teacher.learning_rate": 5e-4 if from_scratch else 3e-5 if deep else 1e-4,
        "teacher.weights": "best" if from_scratch else "last",
        "student.init": init,
        "student.fill_vocabulary": resolve_fill(config.student, init),
        "student.pooling": next((name for name in ("pairs", "mean") if getattr(student, name, 0)), "max"),
        "objective.temperature": auto_temperature(task.labels, labels),
        "training.steps": max(_steps(student, init, task), 3 * passes, STEPS_A_CLASS * len(task.labels)),
        "training.learning_rate": _learning_rate(student, init, len(task.labels)),
        "training.metric": metric,
        "training.precision": fast_precision(teacher, student),
    }
    changes = {name: value for name, value in answers.items() if _is_auto(config, name)}
    # A preset decides the sizes, a checkpoint what its head reads: what the run stores is what was built.
    changes["teacher.pooling"] = "mean" if teacher.model_type == POOLED else "first"
    changes["student.trim_vocabulary"] = config.student.trim_vocabulary and may_trim(student, init)
    changes |= _sizes("teacher", teacher) | _sizes("student", student)
    # By the mean a probe tells few texts apart at once, and leaves the teacher nothing to learn from them.
    at_once = teacher.model_type == POOLED and len(task.labels) < MANY_CLASSES and not deep
    changes["teacher.probe"] = config.teacher.probe and not at_once
    changes["student.probe"] = config.student.probe and gets_probe(student, init, len(task.labels))
    config = config.change(changes)
    if task.answers:
        _check_answers(config)
        config = config.change({"task.answers": task.answers.kind, "task.gold": task.answers.gold})
    # These two follow from what was just decided.
    limit = clamp_length(student, clamp_length(teacher, fixed(config.task.max_length)))
    last = {"task.max_length": limit}
    steps, every = fixed(config.training.steps), config.training.evaluate_every
    last["training.evaluate_every"] = max(1, steps // 12) if every == "auto" else min(every, steps)
    return config.change(last)


def doubts(asked: DistillConfig, resolved: DistillConfig, lengths: Lengths) -> list[str]:
    """Sentences about what was asked for and is not done, and about what the models will not see."""
    wanted, limit = asked.task.max_length, fixed(resolved.task.max_length)
    sentences = []
    if wanted not in ("auto", limit):
        sentences.append(
            f"Texts are cut at {limit:,} tokens, not at {wanted:,}: the models have no more positions."
        )
    if (share := share_cut(lengths, limit)) > MANY_CUT:
        sentences.append(
            f"{percent(share, 0)} of the training texts have more than {limit:,} tokens and lose their end. "
            "Keep more tokens of each text if what matters stands late; it takes longer."
        )
    return sentences


def share_cut(lengths: Lengths, limit: int) -> float:
    """The share of the training texts that are longer than ``limit`` tokens."""
    return fmean(length > limit for length in lengths["train"])


def _check_answers(config: DistillConfig) -> None:
    """Whether what is asked for goes without a network that could answer. Raises: ConfigError."""
    file, problems = config.task.knowledge, []
    objective = config.objective
    if terms := [name for name in INTERMEDIATE if getattr(objective, name)]:
        flags = " and ".join(flag(f"objective.{name}") for name in terms)
        problems.append(f"{flags} compares inner states, and the teacher is a file ({file}), which has none")
    if config.task.augment:
        problems.append(f"--augment asks the teacher for further answers, and the teacher is a file ({file})")
    if config.teacher.model == "scratch":
        problems.append(
            "--teacher scratch knows no words: with a file of answers, --teacher is the model that lends "
            "tokenizer and start, for example minilm-l6"
        )
    if problems:
        raise ConfigError(*problems)


def announce(config: DistillConfig, task: Task, lengths: Lengths) -> Resolved:
    """The event that says how much a resolved ``config`` has to do."""
    tokens = mean_tokens(lengths, fixed(config.task.max_length))
    return Resolved(config.model_dump(mode="json"), len(task.labels), task.rows, tokens)


def mean_tokens(lengths: Lengths, limit: int) -> dict[str, float]:
    """What is read of a text of each split; 0 where it has none."""
    return {
        name: fmean(min(length, limit) for length in some) if some else 0.0 for name, some in lengths.items()
    }


def auto_length(task: Task, lengths: Lengths) -> int:
    """The shortest limit that holds 99 of 100 texts."""
    whole = [name for name in lengths if name == "train" or not task.spans]  # spans are shorter
    rows = {name: len(getattr(task, name)) for name in whole if lengths[name]}

    def held(limit: int) -> float:
        return sum(rows[name] * fmean(length <= limit for length in lengths[name]) for name in rows)

    return next((limit for limit in LENGTHS if held(limit) >= HELD * sum(rows.values())), LENGTHS[-1])


def gets_probe(student: PretrainedConfig, init: Initialisation, classes: int) -> bool:
    """A head of many classes that is drawn at random is the last thing that a transformer learns; the other
    networks learn theirs at a far larger rate. From word embeddings alone it would read next to nothing."""
    reads = init in ("teacher_layers", "teacher_vectors", "pretrained")
    return reads and student.model_type not in NETWORKS and classes >= MANY_CLASSES


def _epochs(teacher: TeacherConfig, rows: int) -> int:
    if teacher.model == "scratch":
        return MOST_EPOCHS
    passes = 3 if teacher.probe else 5
    return max(passes, min(MOST_EPOCHS, math.ceil(TEACHER_STEPS / math.ceil(rows / teacher.batch_size))))


def _steps(student: PretrainedConfig, init: Initialisation, task: Task) -> int:
    """Of a student, at least."""
    if init != "teacher_vectors":
        return STEPS
    if not has_others(task):
        return FEW_STEPS
    return CNN_STEPS if student.model_type == CNN else STEPS


def _learning_rate(student: PretrainedConfig, init: Initialisation, classes: int) -> float:
    """Of a student: one layer, of filters or over a mean, stands and needs far larger steps than many.

    Copied layers stand too far from their head to tell many classes apart with the steps of a few.
    """
    if student.model_type in (CNN, STATIC):
        return 4e-3
    if student.hidden_size <= SMALL:
        return 5e-4
    far = init == "teacher_layers" and classes >= MANY_CLASSES and student.hidden_size <= MEDIUM
    return 3e-4 if far else 1e-4


def _sizes(section: str, model: PretrainedConfig) -> dict[str, int]:
    return {
        f"{section}.layers": model.num_hidden_layers,
        f"{section}.hidden": model.hidden_size,
        f"{section}.heads": getattr(model, "num_attention_heads", 1),  # a BiLSTM has none
        f"{section}.intermediate": intermediate_size(model),
    }


def _is_auto(config: DistillConfig, dotted: str) -> bool:
    section, _, name = dotted.partition(".")
    return bool(getattr(getattr(config, section), name) == "auto")
