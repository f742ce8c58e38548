"""What a run would be, before it starts: its resolved settings, its texts and its two models.

The form draws it, ``advice`` looks for what is doubtful in it, ``cost`` for how much work it is. torch and
transformers are imported only by its functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Literal

from kd_core.config import TEMPERATURE, DistillConfig, StudentConfig, TeacherConfig
from kd_core.system.settings import fixed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from kd_core.data.task import Task
    from kd_core.distillation.events import Resolved
    from kd_core.models.size import ModelSize

USUAL_PIECES = 20_000  # about how many word pieces a model knows


@dataclass(frozen=True)
class Vocabulary:
    """What the teacher's tokenizer makes of a task's texts."""

    size: int  # pieces of the teacher's
    used: int  # pieces that remain when the student's are trimmed
    needs: Sequence[int]  # how many must remain for each validation and test text to lack none that is read
    lengths: Mapping[str, Sequence[int]]  # as ``resolve.token_lengths`` has them
    unread: float  # share of the validation and test tokens that stand for letters the teacher never saw
    pieces_a_word: float  # that the teacher cuts it into, on the mean; 1 where it has learned its pieces here
    teacher: str  # its name, where the config says auto

    def kept(self, student: StudentConfig) -> int:
        """How many pieces that student has; its config is resolved."""
        if not student.trim_vocabulary:
            return self.size
        return max(self.used, min(fixed(student.fill_vocabulary), self.size))


@dataclass(frozen=True)
class Plan:
    """``config`` has no ``auto`` left; ``rows`` is ``Task.rows``."""

    config: DistillConfig
    classes: int
    rows: Mapping[str, int]
    tokens: Mapping[str, float]
    teacher: ModelSize
    student: ModelSize
    unknown: float  # share of the validation and test texts with a word piece that the student lacks
    unread: float  # share of their tokens that stand for letters which the teacher never saw
    too_long: float = 0.0  # share of the training texts that lose their end
    pieces_a_word: float = 1.0  # that the teacher cuts it into, on the mean
    usual_temperature: float = TEMPERATURE  # what auto is for its classes
    validation: Mapping[str, int] = field(default_factory=dict)  # its texts of each class
    of_classes: Sequence[str] = ()  # sentences: of a rare class, and of one without a test text

    @property
    def unlabelled(self) -> int:
        """Transfer texts that are no spans of the training texts."""
        return self.rows["transfer"] - self.rows.get("spans", 0)


def announced(event: Resolved) -> Plan:
    """Of a run that has read its task; its models have about as many word pieces as most."""
    from kd_core.models.size import encoder_size

    config = DistillConfig.from_dict(event.config)
    sizes = encoder_size(config.teacher, USUAL_PIECES), encoder_size(config.student, USUAL_PIECES)
    return Plan(config, event.classes, event.rows, event.tokens, *sizes, unknown=0.0, unread=0.0)


def read_vocabulary(
    teacher: TeacherConfig, task: Task, max_length: int | Literal["auto"] = "auto"
) -> Vocabulary:
    """Cuts every text of the task once, which takes about a second for 10,000 short ones.

    A teacher from scratch learns its pieces first. Raises: ModelError.
    """
    from kd_core.data.task import spread
    from kd_core.distillation.resolve import auto_length, token_lengths
    from kd_core.models.checkpoints import clamp_length
    from kd_core.models.loading import teacher_config, teacher_name
    from kd_core.models.vocabulary import map_ids, pieces_a_word, rank_pieces

    texts = [*task.train["text"][:], *task.transfer["text"][:]]
    teacher = teacher.model_copy(update={"model": teacher_name(teacher, task)})
    tokenizer = _tokenizer(teacher, texts, task.labels)
    size = max(tokenizer.get_vocab().values()) + 1
    ranked, used = rank_pieces(tokenizer, texts)
    place = map_ids(ranked, size)
    lengths = token_lengths(tokenizer, task)
    limit = auto_length(task, lengths) if max_length == "auto" else max_length
    limit = clamp_length(teacher_config(teacher, task.labels, size), limit)
    held_out = tokenizer(
        [*task.validation["text"][:], *task.test["text"][:]],
        add_special_tokens=False,
        truncation=True,
        max_length=limit - tokenizer.num_special_tokens_to_add(),
    )
    needs = tuple(1 + int(place[ids].max(initial=0)) for ids in held_out["input_ids"])
    seen = Counter(chain.from_iterable(held_out["input_ids"]))
    unread = seen[tokenizer.unk_token_id] / max(seen.total(), 1)
    cut = 1.0 if teacher.model == "scratch" else pieces_a_word(tokenizer, spread(task.train))
    return Vocabulary(size, used, needs, lengths, unread, cut, teacher.model)


def make_plan(config: DistillConfig, task: Task, vocabulary: Vocabulary) -> Plan:
    """Nothing is allocated: models are sized on the meta device. Raises: ConfigError, ModelError."""
    from kd_core.distillation.balance import auto_temperature, notes, texts_by_class
    from kd_core.distillation.resolve import mean_tokens, resolve, share_cut
    from kd_core.models.loading import load_config, teacher_config
    from kd_core.models.size import model_size, student_config

    config = config.change({"teacher.model": vocabulary.teacher})
    teacher = teacher_config(config.teacher, task.labels, vocabulary.size, len(task.train))
    config = resolve(config, task, teacher, vocabulary.lengths)
    pieces = vocabulary.kept(config.student)
    if config.student.init == "pretrained" and not config.student.trim_vocabulary:
        pieces = load_config(config.student.model, task.labels).vocab_size
    student = student_config(config.student, teacher, pieces)
    return Plan(
        config=config,
        classes=len(task.labels),
        rows=task.rows,
        tokens=mean_tokens(vocabulary.lengths, fixed(config.task.max_length)),
        teacher=model_size(teacher, name=config.teacher.model),
        student=model_size(student, name=config.student.model),
        unknown=sum(need > pieces for need in vocabulary.needs) / max(len(vocabulary.needs), 1),
        unread=vocabulary.unread,
        too_long=share_cut(vocabulary.lengths, fixed(config.task.max_length)),
        pieces_a_word=vocabulary.pieces_a_word,
        usual_temperature=auto_temperature(task.labels, task.train["label"][:]),
        validation=texts_by_class(task.labels, task.validation["label"][:]),
        of_classes=notes(
            config.training.metric,
            task.labels,
            *(split["label"][:] for split in (task.train, task.validation, task.test)),
        ),
    )


def _tokenizer(teacher: TeacherConfig, texts: list[str], labels: tuple[str, ...]) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    from kd_core.errors import ModelError
    from kd_core.models.loading import teacher_config, train_tokenizer

    if teacher.model == "scratch":
        return train_tokenizer(texts)
    place = teacher_config(teacher, labels).name_or_path
    try:
        return AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The tokenizer of {teacher.model!r} cannot be read: {str(error).splitlines()[0]} Choose another."
        ) from error
