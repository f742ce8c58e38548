"""What is asked of a cascade, for the pages, the command and an export. Light: no torch, no pandas."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kd_core.deployment.cascade_defaults import AGREE, HIGHEST, LOWEST, STEP
from kd_core.errors import ConfigError
from kd_core.system.settings import Settings, setting

Agree = Annotated[float, Field(ge=LOWEST, lt=100)]


class CascadeConfig(Settings):
    agree: Agree = setting(
        AGREE,
        "In how many percent of all texts the pair is to agree with the teacher",
        slider=(80, HIGHEST, STEP),
    )


def check_agree(percent: float) -> None:
    """Raises: ConfigError, which names the flag."""
    try:
        CascadeConfig.from_dict({"agree": percent})
    except ConfigError as error:
        raise ConfigError(*(f"--{problem}" for problem in error.problems)) from None
