"""A search in this process, and what its tables note of its texts."""

from __future__ import annotations

from kd_core.distillation.events import ignore
from kd_core.search import SearchConfig, SearchResult, run_search
from kd_core.system.control import Control


def run(config: SearchConfig, control: Control | None = None, on_event=ignore) -> SearchResult:
    from kd_core.system import paths

    return run_search(config, config.study, paths.work() / "search", on_event, control or Control())


def _fingerprint(config: SearchConfig) -> str:
    from kd_core.data import load_task

    return load_task(config.distill.task).fingerprint
