"""The address of a form that is filled in: what a link, or "Duplicate", puts behind /distill."""

from __future__ import annotations

from kd_core.config import OF_THE_RUN, DistillConfig, TaskConfig, changed, flag
from kd_core.data import uploads
from kd_core.jobs.store import RunRow
from pages.shared.run_form.consent import agree, outside

PREFIX = "distill."  # of all settings in an address


def key(setting: str) -> str:
    """The widget's key and the URL's parameter of ``section.field``, named like the command's flag.

    "objective.temperature" -> "distill.temperature", "student.layers" -> "distill.student_layers".
    """
    return f"{PREFIX}{flag(setting).lstrip('-').replace('-', '_')}"


def form_link(config: DistillConfig) -> dict[str, str]:
    """The query parameters that make the form show ``config``: what differs from the defaults.

    What it opens was opened before, so this visitor is not asked about it.
    """
    agree(outside(config))
    for saved in uploads.saved():
        if saved.config.name == config.task.name:
            task = TaskConfig(name=saved.id, **config.task.model_dump(include=OF_THE_RUN))
            config = config.model_copy(update={"task": task})
    return {
        key(setting): ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for setting, value in changed(config.model_dump(mode="json")).items()
        if value is not None
    }


def run_link(run: RunRow) -> dict[str, str]:
    """``form_link`` of a run, with its temperature: the form's slider cannot stand at ``auto``."""
    config = DistillConfig.from_dict(run.config)
    if run.temperature is not None:  # else Distill says what is usual for the task's classes
        config = config.change({"objective.temperature": run.temperature})
    return form_link(config)
