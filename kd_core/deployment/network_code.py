"""The code of a network that transformers does not have, beside the weights that an export holds.

It needs torch and transformers alone, so whoever allows it (``trust_remote_code``) loads the model without KD
Studio, from a folder or from the Hub. KD Studio itself never runs code that lies beside weights.
"""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kd_core.distillation.roles import Role
from kd_core.models.presets import other_network

CONFIG = "config.json"


def bring_code(folder: Path) -> None:
    """Into the Hugging Face folder of a model, where its network is one of ours."""
    from transformers import CONFIG_MAPPING, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    from transformers.dynamic_module_utils import get_relative_import_files

    import kd_core.models.loading  # noqa: F401  # registers the networks that transformers does not have

    config = json.loads((folder / CONFIG).read_text("utf-8"))
    config_class = CONFIG_MAPPING[config["model_type"]]
    if not config_class.__module__.startswith("kd_core."):
        return
    source = Path(inspect.getfile(config_class))
    for file in (source, *map(Path, get_relative_import_files(source))):
        shutil.copyfile(file, folder / file.name)
    network = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[config_class]
    config["auto_map"] = {
        "AutoConfig": f"{source.stem}.{config_class.__name__}",
        "AutoModelForSequenceClassification": f"{source.stem}.{network.__name__}",
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8", newline="\n")


def with_code(config: Mapping[str, Any]) -> set[Role]:
    """Whose folder has code, of a resolved ``config``'s teacher and student."""
    pooled = config["teacher"].get("pooling") == "mean" and not config["task"].get("knowledge")
    found: dict[Role, bool] = {"teacher": pooled, "student": bool(other_network(config["student"]["model"]))}
    return {who for who, has in found.items() if has}


def allowing(has_code: bool) -> str:
    """What ``pipeline`` is given besides, by the reader of an export, to load such a folder."""
    return ", trust_remote_code=True" if has_code else ""
