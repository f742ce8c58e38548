"""Students: an architecture, a vocabulary, and where the weights start."""

from __future__ import annotations

import re
from itertools import chain

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from kd_core.config import Initialisation, StudentConfig
from kd_core.data.task import Task
from kd_core.errors import ModelError
from kd_core.models.loading import load_checkpoint, new_model
from kd_core.models.presets import FILLED_PIECES, STUDENTS, WIDE_PIECES, find_preset
from kd_core.models.size import (
    CNN,
    LAYERS,
    NETWORKS,
    SPECIAL_IDS,
    STATIC,
    family,
    intermediate_size,
    spaced,
    student_config,
)
from kd_core.models.vectors import Place, main_directions, piece_vectors
from kd_core.models.vocabulary import trim_vocabulary
from kd_core.system import cache

# Families whose layers can begin as an average, and where each keeps below a layer what makes it one: the
# values, the output of the attention, the output of the feed-forward part.
_BERT = ("attention.self.value", "attention.output.dense", "output.dense")
AVERAGING = {
    "bert": _BERT,
    "roberta": _BERT,
    "distilbert": ("attention.v_lin", "attention.out_lin", "ffn.lin2"),
}
# Families whose words can begin as the teacher's vectors: averages of them, or filters over them.
READS_VECTORS = (*AVERAGING, CNN, STATIC)
AVERAGE = 2.0  # how much the first layer adds of the mean over the text to each word
PLACES = 0.002  # spread of the positions' first weights, a tenth of that of the words


def build_student(
    config: StudentConfig,
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    task: Task,
    seed: int,
    place: Place = cache.place,
    notes: list[str] | None = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A student that shares nothing with the teacher, and its tokenizer.

    The weights are a function of the arguments alone: equal seeds give equal bits, and the global random
    state is left as it was. With ``trim_vocabulary`` the pieces are those of the train and transfer texts,
    and as many frequent ones as ``fill_vocabulary`` says. ``place`` names the folder that keeps the teacher's
    vectors. What looks doubtful adds a sentence to ``notes``.
    Raises: ModelError.
    """
    init = resolve_init(config, teacher.config)
    source = teacher
    if find_preset(config.model, STUDENTS) is None:
        source, tokenizer = load_checkpoint(config.model, task, seed, notes)
    whole = tokenizer
    if config.trim_vocabulary and may_trim(source.config, init):
        texts = chain(task.train["text"][:], task.transfer["text"][:])
        tokenizer, kept = trim_vocabulary(tokenizer, texts, resolve_fill(config, init))
    else:
        kept = list(range(max(tokenizer.get_vocab().values()) + 1))

    architecture = student_config(config, teacher.config, len(kept))
    _renumber_special_ids(architecture, source.config, kept)
    student = new_model(architecture, seed)
    with torch.no_grad():
        if init == "pretrained":
            _copy(source, student, kept, with_head=True)
        elif init == "teacher_layers":
            _copy(source, student, kept, with_head=False)
        elif init == "projected":
            _project_embeddings(source, student, kept)
        elif init == "teacher_vectors":
            width = student.get_input_embeddings().embedding_dim
            vectors = piece_vectors(source, whole, kept, width, place)
            _set_words(student, vectors)
            if student.config.model_type in AVERAGING:
                _begin_with_averages(student)
    return student, tokenizer


def resolve_init(config: StudentConfig, teacher_config: PretrainedConfig) -> Initialisation:
    """Where the student's weights start: what ``auto`` means, or the choice if it is possible.

    Auto: the teacher's layers where the widths agree, its vectors of the pieces where the student is narrower
    (its projected embeddings in families that cannot begin with averages), a checkpoint's own weights where
    there is one, and otherwise random.
    Raises: ModelError.
    """
    choice = config.init
    if find_preset(config.model, STUDENTS) is None:
        if choice in ("teacher_layers", "teacher_vectors", "projected"):
            raise ModelError(
                f"--student-init {choice} makes a new student from the teacher, but {config.model!r} is "
                f"a checkpoint; use --student-init pretrained, or one of the students {', '.join(STUDENTS)}."
            )
        return "pretrained" if choice == "auto" else choice

    student = student_config(config, teacher_config, teacher_config.vocab_size)
    if teacher_config.model_type in NETWORKS:
        if choice not in ("auto", "random"):
            raise ModelError(
                f"--student-init {choice} begins with a transformer, but the teacher is a "
                f"{teacher_config.model_type}; use --student-init random."
            )
        return "random"
    obstacle = _obstacle_to_layers(student, teacher_config)
    from_words: Initialisation = "teacher_vectors" if student.model_type in READS_VECTORS else "projected"
    # Vectors are states of the last layer, which in ALBERT and ELECTRA is wider than the table of words.
    of_layers = "projected" not in (from_words, choice) or student.model_type == family(teacher_config)
    teacher_width = teacher_config.hidden_size if of_layers else _embedding_width(teacher_config)
    narrower = student.hidden_size < teacher_width
    if choice == "auto":
        return from_words if obstacle and narrower else "random" if obstacle else "teacher_layers"
    if choice == "pretrained":
        raise ModelError(
            f"--student-init pretrained needs a checkpoint, but {config.model!r} is a new student; use "
            "--student-init auto, or a Hugging Face folder or Hub id as the student."
        )
    if choice == "teacher_layers" and obstacle:
        raise ModelError(
            f"--student-init teacher_layers copies whole layers of the teacher, but {obstacle}. "
            f"Use --student-init {from_words if narrower else 'random'}, or the student half or third."
        )
    if choice == "teacher_vectors" and student.model_type not in READS_VECTORS:
        raise ModelError(
            f"--student-init teacher_vectors is not there for a {student.model_type} student, only for "
            f"{', '.join(READS_VECTORS)}. Use --student-init {'projected' if narrower else 'random'}."
        )
    if choice in ("projected", "teacher_vectors") and not narrower:
        raise ModelError(
            f"--student-init {choice} reduces the teacher's word vectors to a narrower student, but the "
            f"student is {student.hidden_size} wide and the teacher {teacher_width}. "
            "Use --student-init auto, or a smaller --student-hidden."
        )
    return choice


def may_trim(student: PretrainedConfig, init: Initialisation) -> bool:
    """Not a network of ours that was trained before: more than its table of words may have a row a piece."""
    return init != "pretrained" or student.model_type not in NETWORKS


def resolve_fill(config: StudentConfig, init: Initialisation) -> int:
    """How many word pieces the student has at least: what ``auto`` means, or the choice.

    Of a piece that starts at random and is in no training text, nothing is ever learned: the shorter pieces
    into which it falls say more. So auto adds none to a student that starts at random.
    """
    if config.fill_vocabulary != "auto":
        return config.fill_vocabulary
    return {"random": 0, "teacher_layers": WIDE_PIECES}.get(init, FILLED_PIECES)


def _obstacle_to_layers(student: PretrainedConfig, teacher: PretrainedConfig) -> str | None:
    if student.model_type != family(teacher):
        return f"the student is a {student.model_type} and the teacher a {teacher.model_type}"
    names = ("hidden size", "heads", "intermediate size")
    sizes = [(c.hidden_size, c.num_attention_heads, intermediate_size(c)) for c in (student, teacher)]
    for name, mine, its in zip(names, *sizes, strict=True):
        if mine != its:
            return f"the student has {name} {mine} and the teacher {its}"
    if student.num_hidden_layers > teacher.num_hidden_layers:
        layers = student.num_hidden_layers
        return f"the student has {layers} layers and the teacher only {teacher.num_hidden_layers}"
    return None


def _embedding_width(config: PretrainedConfig) -> int:
    return int(getattr(config, "embedding_size", None) or config.hidden_size)


def _renumber_special_ids(student: PretrainedConfig, source: PretrainedConfig, kept: list[int]) -> None:
    new_ids: dict[int | None, int] = {old: new for new, old in enumerate(kept)}
    for name in SPECIAL_IDS:
        if hasattr(student, name):
            setattr(student, name, new_ids.get(getattr(source, name, None)))


def _copy(source: PreTrainedModel, student: PreTrainedModel, kept: list[int], *, with_head: bool) -> None:
    """Overwrite the student's weights with the source's: all but the layers left out and the head, if so."""
    base, layers = student.base_model_prefix + ".", LAYERS.get(student.config.model_type)
    picked = spaced(student.config.num_hidden_layers, source.config.num_hidden_layers)
    layer = re.compile(rf"({re.escape(f'{base}{layers}.')})(\d+)(\..+)")
    table, weights = _word_table(student), source.state_dict()
    for name, weight in student.state_dict().items():
        if with_head or name.startswith(base):
            its = weights[layer.sub(lambda m: f"{m[1]}{picked[int(m[2])]}{m[3]}", name)]
            weight.copy_(its[kept] if name == table else its)


def _project_embeddings(source: PreTrainedModel, student: PreTrainedModel, kept: list[int]) -> None:
    """Student's word embeddings = c E V: E the teacher's (vocabulary x D), V its main directions (D x d).

    V are the first right singular vectors of E, which makes E V its best rank-d view (Eckart & Young 1936).
    c keeps the spread of the student's own initialisation, from which it learns faster than from the
    teacher's. Position and segment embeddings are added to E, so they go through the same c V.
    """
    words, mine = source.get_input_embeddings().weight[kept].cpu(), student.get_input_embeddings()
    directions = torch.eye(mine.embedding_dim)  # ALBERT and ELECTRA may keep their narrow tables as they are
    if mine.embedding_dim < words.shape[1]:
        directions = main_directions(words, mine.embedding_dim)
        directions *= mine.weight.std() / (words @ directions).std()
    mine.weight.copy_(words @ directions)
    tables = {name: m for name, m in source.named_modules() if isinstance(m, nn.Embedding)}
    for name, module in student.named_modules():
        its = tables.get(name)
        if isinstance(module, nn.Embedding) and module is not mine and its and ".embeddings." in name:
            module.weight.copy_(its.weight.cpu() @ directions)


def _set_words(student: PreTrainedModel, vectors: Tensor) -> None:
    """The words are ``vectors``, with the spread of the student's own start."""
    words = student.get_input_embeddings()
    words.weight.copy_(vectors * (words.weight.std() / vectors.std()))


def _begin_with_averages(student: PreTrainedModel) -> None:
    """The layers add the words' mean over the text to each, so that the first token has it.

    A new attention looks at all words nearly alike. With the identity for its values and its output it adds
    their mean to each word, and the later layers and all feed-forward parts begin by adding nothing. So the
    student starts with what a mean of word vectors can tell, and learns from there what depends on order.
    """
    words = student.get_input_embeddings()
    for module in student.base_model.modules():
        if isinstance(module, nn.Embedding) and module is not words:
            module.weight *= PLACES / words.weight.std()
    names = AVERAGING[student.config.model_type]
    layers = student.base_model.get_submodule(LAYERS[student.config.model_type] or "")
    for i, layer in enumerate(layers):
        values, attended, fed = (layer.get_submodule(name) for name in names)
        fed.weight.zero_()
        if i == 0:
            values.weight.copy_(torch.eye(len(values.weight)))
            attended.weight.copy_(AVERAGE * torch.eye(len(attended.weight)))
        else:
            attended.weight.zero_()
    if pooler := getattr(student.base_model, "pooler", None):
        pooler.dense.weight.copy_(torch.eye(len(pooler.dense.weight)))


def _word_table(model: PreTrainedModel) -> str:
    words = model.get_input_embeddings()
    return next(f"{name}.weight" for name, module in model.named_modules() if module is words)
