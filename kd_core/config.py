"""Every parameter of a run, declared once: default, legal bounds, slider range and help.

The command's flags, the dashboard's widgets, validation and the docs are generated from these fields.
Configs are frozen: derive one with ``config.change({"objective.temperature": 2.0})``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, cast

import yaml
from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from kd_core.errors import ConfigError
from kd_core.objectives import CARDS, find
from kd_core.system.settings import Auto, Distinct, Settings, Several, setting, shortened
from kd_core.system.yaml_text import as_yaml, from_yaml

if TYPE_CHECKING:
    Divergence = str
else:
    Divergence = Literal[tuple(CARDS)]
Initialisation = Literal["random", "teacher_layers", "teacher_vectors", "projected", "pretrained"]
Pooling = Literal["first", "mean"]
StudentPooling = Literal["max", "mean", "pairs"]
Weights = Literal["last", "best"]
Precision = Literal["fp32", "bf16", "fp16"]
AnswerKind = Literal["probabilities", "log_probabilities", "logits", "labels"]
Gold = Literal["rows", "test", "none"]
Tracker = Literal["tensorboard", "mlflow", "wandb", "trackio"]

LAST_SEED = 2**32 - 1  # numpy takes no larger one
SEEDS = "a list of whole numbers from 0 up"
LONGEST_FILE = 1_000_000  # characters of a config
MOST_SEEDS = 100  # each trains its own students, and their spread needs no more


# What is legal for a value that more than one setting takes: alone in a run, in a list in a search or a lab.
# Nothing nearer to 0 than has a meaning: with a temperature of 1e-320, the loss is no number in the end.
Temperature = Annotated[float, Field(ge=0.01, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
LearningRate = Annotated[float, Field(ge=1e-8, le=1)]
Seed = Annotated[int, Field(ge=0, le=LAST_SEED)]

RARE = 0.5  # of its fair share, 1 / classes: a class with less of the training texts is rare
# What the temperature usually is (docs/decisions.md): with many classes, with few, and where a class is so
# rare that a student would forget it.
TEMPERATURE = 4.0
FEW_TEMPERATURE = 2.0
LOW_TEMPERATURE = 1.0

# Of configs and reports, where they are stored; those of 0.1 have none. Raise it with each change that an
# older KD Studio would misread.
VERSION = 4

# What a run did before there was a setting, as {"section.name": value}: all settings that 0.1 did not have.
LEGACY: dict[str, Any] = {
    "task.knowledge": None,
    "task.answer_columns": [],
    "task.answers": "guess",
    "task.gold": "any",
    "task.normalise": False,
    "task.smoothing": 0.1,
    "task.label_empty": False,
    "task.drop_rare": False,
    "task.train_texts": 0,
    "task.augment": 0,
    "teacher.probe": False,
    "teacher.pooling": "first",
    "teacher.weights": "best",
    "objective.class_weights": "none",
    "training.metric": "accuracy",
    "student.fill_vocabulary": 0,
    "student.pooling": "max",
    "student.positions": False,
    "student.probe": False,
    "controls.hard_answers": False,
    "controls.plain_start": False,
    "controls.untuned_start": False,
    "controls.tfidf": False,
}


def weights_by_hand(text: str) -> dict[str, float]:
    """ "sport=3,tech=0.5" as {"sport": 3.0, "tech": 0.5}. Raises: ValueError."""
    # Pieces but the first begin with a number, those but the last end with a class, which may have commas.
    name, *pieces = text.split("=")
    pairs: list[tuple[str, str]] = []
    for piece in pieces:
        number, _, following = piece.partition(",")
        if name.strip() in dict(pairs):
            raise ValueError(
                f"must have one weight for each class, got several for {shortened(name.strip())}"
            )
        pairs.append((name.strip(), number.strip()))
        name = following
    if not pairs or name.strip() or not all(name for name, _ in pairs):
        raise ValueError(
            f"must be none, balanced, or weights such as sport=3,tech=0.5, got {shortened(text)}"
        )
    weights = {}
    for name, number in pairs:
        try:
            weights[name] = float(number)
        except ValueError:
            weights[name] = math.nan
        if not 0.001 <= weights[name] <= 1000:
            says = "must be between 0.001 and 1,000 for each class"
            raise ValueError(f"{says}, got {shortened(number)} for {shortened(name)}")
    return weights


# Settings of a task that say how much of it a run takes, and not what it is.
OF_THE_RUN = {"train_texts", "transfer_texts", "augment", "split_seed", "max_length"}


HUB_PREFIX = "hub:"  # of a Hub data set's name as a task
# Where ``gold`` labels are, if the training texts have none but the teacher's choices.
LEARNS_CHOICES = ("test", "none")


class TaskConfig(Settings):
    name: str = setting(
        "bbc-headlines", "Bundled task, a CSV, TSV, JSONL or Parquet file, or a Hub data set (hub:ag_news)"
    )
    text_column: str | None = setting(None, "Column with the texts (guessed when not given)")
    label_column: str | None = setting(None, "Column with the labels (guessed when not given)")
    test_file: str | None = setting(None, "Own test file, with the same columns")
    transfer_file: str | None = setting(None, "File of unlabelled texts that only the teacher labels")
    encoding: str | None = setting(None, "Encoding of the files, for example latin-1 (UTF-8 when not given)")
    delimiter: str | None = setting(None, "Column separator of the files (detected when not given)")
    knowledge: str | None = setting(
        None, "File of texts with the answers of any teacher, in place of a task and of teaching one"
    )
    answer_columns: Several[str] = setting(
        (), "Columns with the teacher's answers: one a class, or one with its choice (guessed when not given)"
    )
    answers: AnswerKind | Literal["guess"] = setting("guess", "What the answers are; a guess is said")
    gold: Gold | Literal["any"] = setting(
        "any",
        "Where a file of answers has gold labels: in its rows, in the test file alone, or none (any: where "
        "they are); without any, agreement with the teacher is measured",
    )
    normalise: bool = setting(False, "Divide answers that do not sum to 1 by their sum")
    smoothing: float = setting(
        0.1, "Of a teacher that gives labels alone: what the other classes share", ge=0, le=0.5
    )
    label_empty: bool = setting(
        False, "Let the teacher label training rows whose label is blank: they are transfer texts"
    )
    drop_empty: bool = setting(False, "Drop rows whose label is blank")
    merge_labels: bool = setting(False, "Merge labels that differ only in case or surrounding spaces")
    drop_overlap: bool = setting(False, "Drop training texts that occur in the test file too")
    drop_rare: bool = setting(False, "Drop classes with too few training texts to be in all splits")
    train_texts: int = setting(
        0,
        "How many labelled texts to train with, at most (0: all); validation and test texts stay",
        ge=0,
    )
    transfer_texts: int = setting(
        12_000,
        "How many transfer texts the teacher labels, at most (0: none)",
        ge=0,
        slider=(0, 25_000, 500),
    )
    augment: Annotated[int, Field(ge=0, le=100)] | Auto = setting(
        "auto",
        "Spans of words cut from each training text, for the teacher to label as transfer texts (auto: "
        "up to 8 where there are hardly any others, and fewer than 3,000 to train with). The control "
        "distilled on labelled texts only has neither these nor a transfer set",
    )
    split_seed: Seed = setting(0, "Seed of the split into train, validation and test")
    max_length: Annotated[int, Field(ge=8, le=8192)] | Auto = setting(
        "auto", "Tokens kept of each text (auto: what the task's texts need, up to 256)"
    )

    @property
    def learns_choices(self) -> bool:
        """Whether the labels that students learn from are a teacher's choices; of a resolved config."""
        return self.gold in LEARNS_CHOICES

    @property
    def measures(self) -> Literal["accuracy", "agreement"]:
        """What the share of right answers is, on the test texts."""
        return "agreement" if self.gold == "none" else "accuracy"

    @model_validator(mode="before")
    @classmethod
    def _file_of_answers_is_the_task(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and isinstance(values.get("knowledge"), str):
            # "" is none: a flag that takes back what a config file says.
            return (
                {**values, "name": values["knowledge"]}
                if values["knowledge"]
                else {**values, "knowledge": None}
            )
        return values


class Architecture(Settings):
    """The four numbers of an encoder that a person can choose; a checkpoint's are legal up to XLM-R XXL's."""

    layers: int = setting(2, "Transformer layers", ge=1, le=48, slider=(1, 12, 1))
    hidden: int = setting(128, "Hidden size", ge=8, le=4096, slider=(64, 768, 64))
    heads: int = setting(
        2, "Attention heads (hidden size must be a multiple)", ge=1, le=64, slider=(1, 12, 1)
    )
    intermediate: Annotated[int, Field(ge=8, le=16_384)] | Auto = setting(
        "auto", "Width of the feed-forward layers (auto: 4 x hidden)"
    )

    @property
    def feed_forward(self) -> int:
        """``intermediate``, with ``auto`` resolved."""
        return 4 * self.hidden if self.intermediate == "auto" else self.intermediate

    @field_validator("heads")
    @classmethod
    def _divides_hidden(cls, heads: int, info: ValidationInfo) -> int:
        hidden = info.data.get("hidden", heads)  # left out where it is not legal itself
        if hidden % heads:
            raise ValueError(f"must divide the hidden size {hidden}, got {heads}")
        return heads


INTERMEDIATE = ("hidden_weight", "cosine_weight", "attention_weight", "relation_weight")


class TeacherConfig(Architecture):
    model: str = setting(
        "auto",
        "Teacher: a preset, a Hugging Face folder, a Hub id, or 'scratch' (a new BERT of the sizes given); "
        "auto: minilm-l6, which reads English, or for texts in another language e5-small, if it is installed",
    )
    epochs: Annotated[int, Field(ge=1, le=200)] | Auto = setting(
        "auto",
        "Passes over the training texts (auto: 3, without the probe 5, of few texts up to 20 for 120 steps, "
        "from scratch 20)",
    )
    batch_size: int = setting(32, "Texts in a batch while the teacher is fine-tuned", ge=1, le=4096)
    learning_rate: LearningRate | Auto = setting(
        "auto", "Peak learning rate (auto: 1e-4, from scratch 5e-4, 3e-5 for 12 layers and more)"
    )
    freeze_embeddings: bool = setting(
        True, "Leave pre-trained word embeddings as they are while fine-tuning (much faster)"
    )
    probe: bool = setting(
        True,
        "Start a new head from a linear probe, a logistic regression on what it reads (many classes are "
        "learned much sooner; with fewer than 20 and less than 12 layers a head that reads the mean has "
        "none: it would leave nothing to learn)",
    )
    pooling: Pooling | Auto = setting(
        "auto",
        "What a new head reads: the first token, or beside it the mean over the text (auto: the mean where "
        "the model was made for it, as minilm-l6 and e5-small were: from 20 classes on, with less than 12 "
        "layers below 400 training texts too)",
    )
    weights: Weights | Auto = setting(
        "auto",
        "Weights that the teacher keeps: the last, or those that were best on validation after a pass (auto: "
        "the last; from scratch the best)",
    )
    seed: Seed = setting(0, "Seed of the teacher's fine-tuning")


class StudentConfig(Architecture):
    model: str = setting(
        "cnn", "Student: a preset, 'custom' (the sizes given), a Hugging Face folder or a Hub id"
    )
    init: Initialisation | Auto = setting(
        "auto",
        "Where the student's weights start (auto: the teacher's layers where widths agree, its vectors of "
        "the word pieces where the student is narrower, the checkpoint's own weights where there is one)",
    )
    trim_vocabulary: bool = setting(True, "Leave out word pieces that do not occur in the task's texts")
    fill_vocabulary: Annotated[int, Field(ge=0, le=1_000_000)] | Auto = setting(
        "auto",
        "Word pieces kept after trimming at least: the tokenizer's most frequent join those that occur "
        "(0: none; auto: 17,000, of a student with layers of its teacher 11,000, with random weights none)",
    )
    pooling: StudentPooling | Auto = setting(
        "auto",
        "What the head of cnn reads: the strongest answer of each filter, or beside it the mean of the word "
        "embeddings, or which words and pairs of words there are (auto: pairs, the mean from 20 classes on); "
        "that of static: the mean, or it and the pairs",
    )
    positions: bool = setting(
        True, "The filters of cnn also see how far into the text they are, where the order of a text decides"
    )
    probe: bool = setting(
        True,
        "Start the head from a linear probe, as the teacher's, where the student is a new transformer that "
        "begins with what its teacher has learned and there are 20 classes or more",
    )
    freeze_embeddings: bool = setting(False, "Leave the word embeddings as they start")


class ObjectiveConfig(Settings):
    divergence: Divergence = setting(
        next(iter(CARDS)), "Soft loss between the teacher's and student's outputs"
    )
    temperature: Temperature | Auto = setting(
        "auto",
        f"Divides the logits of both models in the soft loss (auto: {FEW_TEMPERATURE:g}, from 20 classes on "
        f"{TEMPERATURE:g}, and {LOW_TEMPERATURE:g} where a class has less than a quarter of its fair share)",
        slider=(0.5, 20, 0.5),
        start=FEW_TEMPERATURE,
    )
    alpha: Share = setting(
        0.6,
        "Weight of the hard loss: 0 learns from the teacher only, 1 from the labels only",
        slider=(0, 1, 0.05),
    )
    t_squared: bool = setting(
        True, "Multiply the soft loss by T², so that its gradient does not fade at high temperatures"
    )
    dkd_target_weight: float = setting(1.0, "DKD: weight of the target class part", ge=0, le=100)
    dkd_other_weight: float = setting(8.0, "DKD: weight of the part among the other classes", ge=0, le=100)
    class_weights: str = setting(
        "none",
        "Weight of each class in the hard loss, of all models: none, balanced (N / (classes x texts of the "
        "class)), or by hand, for example sport=3,tech=0.5 (the others 1)",
    )
    hidden_weight: float = setting(
        0.0, "Weight of the mean squared error between hidden states", ge=0, le=1000
    )
    cosine_weight: float = setting(0.0, "Weight of the cosine distance between hidden states", ge=0, le=1000)
    attention_weight: float = setting(0.0, "Weight of the divergence between attention maps", ge=0, le=1000)
    relation_weight: float = setting(
        0.0, "Weight of the divergence between value relations (MiniLM)", ge=0, le=1000
    )

    @field_validator("class_weights", mode="before")
    @classmethod
    def _are_weights(cls, text: Any) -> Any:
        if isinstance(text, str) and text not in ("", "none", "balanced"):
            weights_by_hand(text)
        return "none" if text in ("", None) else text  # a field that was emptied

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Without weights where there are none: the cache's keys of before have no such setting."""
        return (part for part in super().__repr_args__() if part != ("class_weights", "none"))

    @property
    def has_temperature(self) -> bool:
        return find(self.divergence).has_temperature

    @property
    def own_settings(self) -> dict[str, float]:
        """Those of the chosen divergence alone."""
        return {name: getattr(self, name) for name in find(self.divergence).settings}

    @property
    def learns_probabilities(self) -> bool:
        """Of the teacher, and not its choices alone."""
        return self.alpha < 1 and self.divergence != "hard_answers"

    @property
    def uses_teacher(self) -> bool:
        """Whether a student learns anything from its teacher: from its answers or from its inner states."""
        return self.alpha < 1 or self.needs_teacher_online

    @property
    def needs_teacher_online(self) -> bool:
        """Intermediate terms compare inner states, which are not recorded."""
        return any(getattr(self, name) for name in INTERMEDIATE)


class TrainingConfig(Settings):
    steps: Annotated[int, Field(ge=1, le=10_000_000)] | Auto = setting(
        "auto",
        "Optimisation steps of each student (auto: 900; for one that starts from the teacher's vectors 300 "
        "without transfer texts, and for cnn 600 with them; 12 a class, or three passes over the labelled "
        "texts, if that is more)",
    )
    batch_size: int = setting(32, "Labelled texts in a step", ge=1, le=4096)
    transfer_batch_size: int = setting(32, "Transfer texts in a step", ge=1, le=4096)
    learning_rate: LearningRate | Auto = setting(
        "auto",
        "Peak learning rate of the students (auto: 4e-3 for cnn and static, 5e-4 up to hidden size 256, 3e-4 "
        "up to 384 for layers of the teacher that learn 20 classes and more, else 1e-4)",
    )
    warmup: float = setting(0.1, "Share of the steps in which the learning rate rises", ge=0, lt=1)
    weight_decay: float = setting(0.01, "AdamW weight decay", ge=0, le=1)
    max_grad_norm: float = setting(1.0, "Longer gradients are cut to this norm", ge=0.001, le=1000)
    evaluate_every: Annotated[int, Field(ge=1)] | Auto = setting(
        "auto", "Steps between looks at the validation split (auto: a twelfth of the steps)"
    )
    metric: str = setting(
        "auto",
        "What models are judged by: accuracy, macro_f1, or f1:CLASS of one class (auto: macro_f1 where the "
        "rarest class has less than half of its fair share of the training texts, else accuracy)",
    )
    seeds: Distinct[Seed] = setting(
        (0,),
        "Seeds, for example 0,1,2: each trains its own students",
        legal=SEEDS,
        min_length=1,
        max_length=MOST_SEEDS,
    )
    precision: Precision | Auto = setting(
        "auto",
        "Arithmetic of the matrix products (auto: bf16 where processor or GPU compute it, fp16 on "
        "older GPUs)",
    )
    report_to: Several[Tracker] = setting(
        (), "Experiment trackers that hear of the losses too, for example tensorboard,mlflow"
    )

    @field_validator("metric", mode="before")
    @classmethod
    def _is_metric(cls, name: Any) -> Any:
        name = "auto" if name in ("", None) else name  # a field that was emptied
        if isinstance(name, str) and not re.fullmatch(r"auto|accuracy|macro_f1|f1:.+", name):
            raise ValueError(f"must be auto, accuracy, macro_f1 or f1:CLASS, got {shortened(name)}")
        return name


class ControlsConfig(Settings):
    labelled_only: bool = setting(
        True, "Also distill on the labelled texts alone, to see how much transfer texts or spans add"
    )
    hard_answers: bool = setting(
        False,
        "Also distill on the teacher's first choices as if they were labels, to tell what its other "
        "probabilities add from what more texts add",
    )
    plain_start: bool = setting(
        False, "Also train the student alone from random weights, to see how much its start is worth"
    )
    untuned_start: bool = setting(
        False,
        "Also train the student alone from the teacher as it was before fine-tuning, to see how much of the "
        "start is the teacher's training on this task",
    )
    tfidf: bool = setting(
        True, "Also fit TF-IDF with logistic regression, which a student has to beat to be worth its trouble"
    )
    shifted: bool = setting(True, "Also score corrupted texts and, for the BBC tasks, another kind of text")
    resamples: int = setting(
        10_000,
        "Bootstrap resamples that say how far its choice flatters a search",
        ge=100,
        le=1_000_000,
    )
    latency_repeats: int = setting(100, "Answers timed, one by one, of each model", ge=5, le=100_000)


class DistillConfig(Settings):
    """Everything that decides a run.

    A setting left out has its default or, where there is a ``version``, what was done before it.
    """

    names_start_here: ClassVar[bool] = True  # in a search or a lab, the run's settings keep their names

    task: TaskConfig = Field(default_factory=TaskConfig)
    teacher: TeacherConfig = Field(default_factory=TeacherConfig)
    student: StudentConfig = Field(default_factory=StudentConfig)
    objective: ObjectiveConfig = Field(default_factory=ObjectiveConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    controls: ControlsConfig = Field(default_factory=ControlsConfig)

    @model_validator(mode="before")
    @classmethod
    def _of_its_version(cls, values: Any) -> Any:
        return completed(values) if isinstance(values, Mapping) and "version" in values else values

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Raises: ConfigError."""
        try:
            values = from_yaml(text)
        # PyYAML lets these two out: of a date or number that cannot be, and of brackets without end.
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f" in line {mark.line + 1}" if mark else ""
            raise ConfigError(f"this is not valid YAML{where}: {getattr(error, 'problem', error)}") from error
        if values is None:  # an empty file
            return cls()
        return cls.from_dict(values)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Raises: ConfigError."""
        try:
            if Path(path).is_fifo() and not str(path).startswith("/dev/"):  # there a shell writes: <(...)
                raise ConfigError(f"{str(path)!r} is a named pipe; write the settings into a file")
            with Path(path).open(encoding="utf-8") as file:
                text = file.read(LONGEST_FILE + 1)  # not all of it: it may be a device without an end
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a UTF-8 text file"
            raise ConfigError(f"cannot read the config {str(path)!r}: {reason}") from error
        if len(text) > LONGEST_FILE:
            raise ConfigError(f"{str(path)!r} is no config: it has more than {LONGEST_FILE:,} characters")
        return cls.from_yaml(text)

    def to_yaml(self) -> str:
        values = {"version": VERSION, **self.model_dump(mode="json")}
        return as_yaml(values)

    def with_more_seeds(self, count: int) -> Self:
        """A copy with the next ``count`` seeds after the largest. Raises: ConfigError."""
        seeds = self.training.seeds
        return self.change({"training.seeds": [*seeds, *range(max(seeds) + 1, max(seeds) + 1 + count)]})

    def change(self, changes: Mapping[str, Any]) -> Self:
        """A copy with ``{"objective.temperature": 2.0, ...}``. Raises: ConfigError."""
        data = self.model_dump(mode="json")
        for dotted, value in changes.items():
            section, _, name = dotted.partition(".")
            data.setdefault(section, {})[name] = value
        return self.from_dict(data)


# What lessons, labs and their recordings are about: a small BERT learns from a larger one. From few texts, as
# one's own often are, the default student learns more, labels count for more, and a teacher does that
# reads the mean over a text (docs/decisions.md).
LESSON = DistillConfig(
    teacher=TeacherConfig(model="minilm-l6", pooling="first"),
    student=StudentConfig(model="tiny"),
    objective=ObjectiveConfig(temperature=TEMPERATURE, alpha=0.3),
)

# A newcomer's first run: the defaults where distillation has something to give. Labels are few, as one's own
# mostly are, and the teacher answers further texts that nobody has labelled (docs/quality.md).
DEMO = DistillConfig(task=TaskConfig(train_texts=200, transfer_texts=4_000))


def of_today(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config with all settings of today; also the one inside of a search, a lab or a report.

    One of a newer KD Studio stays as it is, for ``DistillConfig.from_dict`` to refuse.
    """
    if "objective" in stored and stored.get("version", 1) <= VERSION:
        return completed(stored)
    inside = {name: stored[name] for name in ("config", "distill", "distil") if name in stored}
    return {**stored, **{name: of_today(part) for name, part in inside.items() if isinstance(part, Mapping)}}


def completed(stored: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a stored config, or of some of its sections. Raises: ConfigError for a newer one."""
    values = dict(stored)
    version = values.pop("version", 1)
    if type(version) is not int:  # YAML takes yes for 1
        raise ConfigError(f"version must be a whole number, got {version!r}")
    if version > VERSION:
        raise ConfigError(
            f"these settings are of a newer KD Studio (version {version}; this one knows {VERSION}); update "
            "KD Studio to use them"
        )
    for place, value in LEGACY.items():
        section, _, name = place.partition(".")
        if isinstance(given := values.get(section, {}), Mapping):
            values[section] = {name: value, **given}
    return values


def sections() -> Iterator[tuple[str, type[Settings]]]:
    """("task", TaskConfig), ("teacher", TeacherConfig), ... in order."""
    for name, info in DistillConfig.model_fields.items():
        yield name, cast(type[Settings], info.annotation)


def slider(place: str) -> tuple[float, float, float]:
    """The usual range of ``section.field``, which has one: low, high, step."""
    low, high, step = _extra(place)["slider"]
    return low, high, step


def slider_start(place: str) -> float:
    """Where a lab's slider of ``section.field`` stands at first: as in the lessons."""
    section, _, name = place.partition(".")
    value = getattr(getattr(LESSON, section), name)
    return float(_extra(place)["start"] if value == "auto" else value)


def _extra(place: str) -> dict[str, Any]:
    return cast(dict[str, Any], _info(place).json_schema_extra)


def _info(place: str) -> FieldInfo:
    section, _, name = place.partition(".")
    return dict(sections())[section].model_fields[name]


SHORT = {"task.name": "--task", "teacher.model": "--teacher", "student.model": "--student"}

PREFIXED = ("teacher", "student")


def flag(place: str) -> str:
    """The flag of ``section.field``: "objective.temperature" -> "--temperature"."""
    section, _, name = place.partition(".")
    prefix = f"{section}-" if section in PREFIXED else ""
    return SHORT.get(place) or f"--{prefix}{name.replace('_', '-')}"


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config as ``{"objective.temperature": 4.0, ...}``, in the order of the fields."""
    return {
        f"{section}.{name}": config[section][name]
        for section, fields in sections()
        for name in fields.model_fields
        if name in config.get(section, {})  # a run of an older version may lack a setting
    }


def changed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from the defaults."""
    defaults = {
        f"{section}.{name}": info.default
        for section, fields in sections()
        for name, info in fields.model_fields.items()
    }
    return {
        place: value for place, value in settings(config).items() if _plain(value) != _plain(defaults[place])
    }


def differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The settings in which the configs differ, each with its value in every config (None: not recorded)."""
    flat = [settings(config) for config in configs]
    places = dict.fromkeys(place for one in flat for place in one)
    rows = {place: [one.get(place) for one in flat] for place in places}
    return {
        place: values for place, values in rows.items() if any(value != values[0] for value in values[1:])
    }


def _plain(value: Any) -> Any:
    """Seeds are a tuple in the config and a list where it is stored."""
    return list(value) if isinstance(value, tuple) else value
