"""A search that comes with KD Studio, so that its page has a map to show before the first one."""

from __future__ import annotations

from functools import lru_cache

from kd_core.learn.recorded import recorded_search
from kd_core.search.results import SearchResult


@lru_cache(maxsize=1)
def example() -> SearchResult:
    """Recorded by ``assets/record.py``. Its study and its runs are not in this machine's database."""
    return SearchResult.model_validate(recorded_search())
