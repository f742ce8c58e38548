"""Students: an architecture, a vocabulary, and where the weights start."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from kd_core.config import Initialisation, StudentConfig
from kd_core.data.task import Task
from kd_core.errors import ModelError
from kd_core.models.loading import load_checkpoint, new_model
from kd_core.models.presets import STUDENTS, find_preset
from kd_core.models.size import LAYERS, SPECIAL_IDS, intermediate_size, spaced, student_config
from kd_core.models.vocabulary import trim_vocabulary


def build_student(
    config: StudentConfig,
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    task: Task,
    seed: int,
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A student that shares nothing with the teacher, and its tokenizer.

    The weights are a function of the arguments alone: equal seeds give equal bits, and the global random
    state is left as it was. With ``trim_vocabulary`` the pieces are those of the train and transfer texts.
    Raises: ModelError.
    """
    init = resolve_init(config, teacher.config)
    source = teacher
    if find_preset(config.model, STUDENTS) is None:
        source, tokenizer = load_checkpoint(config.model, task, seed)
    if config.trim_vocabulary:
        tokenizer, kept = trim_vocabulary(tokenizer, chain(task.train["text"], task.transfer["text"]))
    else:
        kept = list(range(max(tokenizer.get_vocab().values()) + 1))

    architecture = source.config if source is not teacher else teacher.config
    student = new_model(_final_config(config, source, teacher, kept), seed)
    with torch.no_grad():
        if init == "pretrained":
            _copy(source, student, kept, architecture.num_hidden_layers, with_head=True)
        elif init == "teacher_layers":
            _copy(teacher, student, kept, architecture.num_hidden_layers, with_head=False)
        elif init == "projected":
            _project_embeddings(teacher, student, kept)
    return student, tokenizer
