"""How large a model is, from its config or sizes alone: nothing is allocated. Imports no torch by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from kd_core.config import Architecture, StudentConfig
from kd_core.errors import ModelError
from kd_core.models.network_sizes import BILSTM_STATE, CNN_POSITIONS, CNN_WIDTHS, PAIR_WEIGHTS, PAIRS
from kd_core.models.presets import MANY_CLASSES, STUDENTS, find_preset, short

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# Where each family keeps its layers below the base model (None: all layers share one set of weights).
LAYERS = {
    "bert": "encoder.layer",
    "roberta": "encoder.layer",
    "electra": "encoder.layer",
    "deberta-v2": "encoder.layer",
    "distilbert": "transformer.layer",
    "modernbert": "layers",
    "albert": None,
}
# The ``model_type`` of ``models.bilstm``, ``models.cnn``, ``models.static`` and ``models.pooled``.
BILSTM, CNN, STATIC, POOLED = "kd_bilstm", "kd_cnn", "kd_static", "kd_pooled_bert"
NETWORKS = (BILSTM, CNN, STATIC)  # that are no transformers
SPECIAL_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")


@dataclass(frozen=True)
class ModelSize:
    """A model in numbers; ``embedding_params`` are those of all lookup tables."""

    name: str
    layers: int
    hidden: int
    heads: int | None  # None: a model without attention
    params: int
    embedding_params: int
    flops_per_token: int

    @property
    def megabytes(self) -> float:
        """4 bytes for each parameter, over 10^6."""
        return 4 * self.params / 1e6

    @property
    def embedding_share(self) -> float:
        return self.embedding_params / self.params


def model_size(model_config: PretrainedConfig, tokens: int = 32, *, name: str = "") -> ModelSize:
    """Parameters, bytes and the cost of inference of a classifier, computed on the meta device.

    FLOPs per token at length T = 2 N + 4 T sum over layers of hidden, where N counts the weights of all
    matrix products (an ALBERT layer once per use) and the second term is attention's scores and mixing.
    The classification head and the pooler act once per text and count 1/T of their weights.
    Lookups, biases, norms and DeBERTa's position terms are left out.
    Source: Kaplan et al. 2020 (arXiv 2001.08361), equation 2.2, with full instead of causal attention.
    """
    import torch
    from torch import nn
    from transformers import AutoModelForSequenceClassification

    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(
            model_config, dtype=torch.float32, trust_remote_code=False
        )
    params = sum(p.numel() for p in model.parameters())
    tables = {f"{module}.weight" for module, m in model.named_modules() if isinstance(m, nn.Embedding)}
    embedding_params = 0
    per_token = per_text = 0
    for weight, p in model.named_parameters():
        if weight in tables:
            embedding_params += p.numel()
        elif p.dim() > 1:
            once = _once_per_text(weight, model.base_model_prefix, model_config.model_type)
            per_text += p.numel() if once else 0
            per_token += 0 if once else p.numel() * _uses(weight, model_config)
    attention = sum(4 * span * model_config.hidden_size for span in _spans(model_config, tokens))
    return ModelSize(
        name=name,
        layers=getattr(model_config, "num_hidden_layers", 1),
        hidden=model_config.hidden_size,
        heads=getattr(model_config, "num_attention_heads", None),
        params=params,
        embedding_params=embedding_params,
        flops_per_token=2 * per_token + 2 * per_text // tokens + attention,
    )


def encoder_size(sizes: Architecture, pieces: int, tokens: int = 32) -> ModelSize:
    """Nearly that of a BERT of these sizes with ``pieces`` in its vocabulary."""
    layers, hidden = sizes.layers, sizes.hidden
    weights = layers * (4 * hidden**2 + 2 * hidden * sizes.feed_forward)
    flops = 2 * weights + 4 * tokens * layers * hidden
    return ModelSize("", layers, hidden, sizes.heads, weights + pieces * hidden, pieces * hidden, flops)


def flops_per_text(
    layers: int, hidden: int, intermediate: int, *, tokens: float, classes: int, student: str = ""
) -> float:
    """Of one forward pass, two for each multiply-add, from the sizes alone.

    Encoder: 2 T L (4 h^2 + 2 h i) + 4 T^2 L h + 2 (h^2 + h c). The second term is attention's scores and
    mixing, the last one the pooler and the head. BiLSTM, state s: 2 T * 8 s (h + s) + 2 (2 s i + i c).
    CNN, i filters in all, of mean width w: 2 T w h i + 2 i c; 2 h c more from MANY_CLASSES on.
    Static: 2 (h i + i c), whatever the length.
    ``student`` is the preset's name. As in ``model_size``, which reads them off the model, lookups, biases
    and norms are left out.
    Source: Kaplan et al. 2020 (arXiv 2001.08361), equation 2.2, with full instead of causal attention.
    """
    per_token: float
    if student == "cnn":
        per_token = 2 * fmean(CNN_WIDTHS) * hidden * intermediate
        once = 2 * (intermediate + (classes >= MANY_CLASSES) * hidden) * classes
    elif student == "static":
        per_token = 0
        once = 2 * (hidden * intermediate + intermediate * classes)
    elif student == "bilstm":
        per_token = 2 * 8 * BILSTM_STATE * (hidden + BILSTM_STATE)
        once = 2 * (2 * BILSTM_STATE * intermediate + intermediate * classes)
    else:
        per_token = 2 * layers * (4 * hidden**2 + 2 * hidden * intermediate) + 4 * tokens * layers * hidden
        once = 2 * (hidden**2 + hidden * classes)
    return float(tokens * per_token + once)


def student_config(
    config: StudentConfig, teacher_config: PretrainedConfig, vocab_size: int
) -> PretrainedConfig:
    """The student's architecture: the teacher's family with other sizes, another network, or a checkpoint's.

    Labels, dropout and the number of positions are the teacher's. Special ids that do not fit into
    ``vocab_size`` are None until the tokenizer is known.
    Raises: ModelError.
    """
    from kd_core.models.bilstm import BiLSTMConfig
    from kd_core.models.cnn import CNNConfig
    from kd_core.models.loading import load_config
    from kd_core.models.pooled import plain
    from kd_core.models.static import StaticConfig

    preset = find_preset(config.model, STUDENTS)
    labels = [teacher_config.id2label[i] for i in sorted(teacher_config.id2label)]
    saved = None if preset else load_config(config.model, labels)
    reads_it = getattr(saved, config.pooling, 0) if saved else config.model in ("cnn", "static")
    if config.pooling in ("mean", "pairs") and not reads_it:
        raise ModelError(
            f"--student-pooling {config.pooling} is there for cnn and static alone, and the student is "
            f"{short(config.model)}; use auto, or the student cnn."
        )
    if saved:
        student = saved
    elif preset and preset.network:
        same = {
            "id2label": teacher_config.id2label,
            "label2id": teacher_config.label2id,
            "problem_type": "single_label_classification",
        }
        reads = config.pooling
        if reads == "auto":
            reads = "mean" if len(labels) >= MANY_CLASSES else "pairs"
        pairs = min(PAIRS, PAIR_WEIGHTS // len(labels)) if reads == "pairs" else 0
        positions = CNN_POSITIONS if config.positions else 0
        student = {
            "cnn": CNNConfig(**same, mean=reads == "mean", pairs=pairs, positions=positions),
            "static": StaticConfig(**same, pairs=pairs),
            "bilstm": BiLSTMConfig(**same),
        }[preset.name]
    else:
        student = plain(teacher_config)
        _resize(student, *_sizes(config, teacher_config))
    student.vocab_size = vocab_size
    for name in SPECIAL_IDS:
        value = getattr(student, name, None)
        if isinstance(value, int) and value >= vocab_size:
            setattr(student, name, None)
    return student


def family(model_config: PretrainedConfig) -> str:
    """The ``model_type`` of the layers, whatever the head reads of them."""
    kind: str = model_config.model_type
    return "bert" if kind == POOLED else kind


def spaced(count: int, total: int) -> list[int]:
    """``count`` evenly spaced layers of ``total``, the first among them: 3 of 6 are 0, 2, 4."""
    return [i * total // count for i in range(count)]


def intermediate_size(model_config: PretrainedConfig) -> int:
    """Width of the feed-forward layers, which DistilBERT calls ``hidden_dim``.

    Families without new students call it otherwise (BART) or nothing (XLM): theirs is the usual one.
    """
    return int(getattr(model_config, _intermediate_name(model_config), 4 * model_config.hidden_size))


def _sizes(config: StudentConfig, teacher_config: PretrainedConfig) -> tuple[int, int, int, int]:
    """Layers, hidden, heads and intermediate of a new student of the teacher's family."""
    if family(teacher_config) not in LAYERS:
        raise ModelError(
            f"No new student can be made from a {teacher_config.model_type} teacher; families that can: "
            f"{', '.join(LAYERS)}. Choose the student bilstm, a folder or a Hub id."
        )
    preset = STUDENTS[config.model]
    if preset.source == "teacher":
        return (
            max(1, teacher_config.num_hidden_layers // (2 if preset.name == "half" else 3)),
            teacher_config.hidden_size,
            teacher_config.num_attention_heads,
            intermediate_size(teacher_config),
        )
    if preset.layers and preset.hidden and preset.heads and preset.intermediate:
        return preset.layers, preset.hidden, preset.heads, preset.intermediate
    return config.layers, config.hidden, config.heads, config.feed_forward


def _resize(student: PretrainedConfig, layers: int, hidden: int, heads: int, intermediate: int) -> None:
    """Set the sizes by the family's own names (``attribute_map`` translates most of DistilBERT's)."""
    kind = student.model_type
    if kind == "modernbert":
        if hidden // heads % 2:
            raise ModelError(
                f"ModernBERT needs an even size per head, got {hidden // heads} "
                f"(hidden {hidden} / heads {heads}); change --student-hidden or --student-heads."
            )
        student.layer_types = [student.layer_types[i] for i in spaced(layers, student.num_hidden_layers)]
    if kind == "deberta-v2":
        student.pooler_hidden_size = hidden
    if getattr(student, "embedding_size", None):  # ALBERT, ELECTRA: lookup tables narrower than the layers
        student.embedding_size = min(student.embedding_size, hidden)
    student.num_hidden_layers = layers
    student.hidden_size = hidden
    student.num_attention_heads = heads
    setattr(student, _intermediate_name(student), intermediate)


def _intermediate_name(model_config: PretrainedConfig) -> str:
    return "hidden_dim" if model_config.model_type == "distilbert" else "intermediate_size"


def _once_per_text(parameter: str, prefix: str, kind: str) -> bool:
    if kind in NETWORKS:
        return not parameter.startswith(("lstm.", "filters."))
    return not parameter.startswith(prefix + ".") or ".pooler." in parameter


def _uses(parameter: str, model_config: PretrainedConfig) -> int:
    if ".albert_layer_groups." in parameter:
        return int(model_config.num_hidden_layers // model_config.num_hidden_groups)
    return 1


def _spans(model_config: PretrainedConfig, tokens: int) -> list[int]:
    """How many tokens each layer's attention looks at, per token."""
    if model_config.model_type in NETWORKS:
        return []
    kinds = getattr(model_config, "layer_types", None) or ["full_attention"] * model_config.num_hidden_layers
    window = getattr(model_config, "local_attention", tokens)
    return [min(tokens, window) if kind == "sliding_attention" else tokens for kind in kinds]


def size_mb(folder: Path) -> float:
    """Weights of a saved model in MB (1e6 bytes): all ``*.safetensors`` of the folder.

    Raises: ModelError where there are none.
    """
    sizes = [path.stat().st_size for path in folder.glob("*.safetensors")]
    if not sizes:
        raise ModelError(
            f"no *.safetensors in {str(folder)!r}; save a model there with save_pretrained first"
        )
    return sum(sizes) / 1e6
