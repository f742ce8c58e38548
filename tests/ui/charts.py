"""The charts of a page under test: what they show, and the words for those who do not see it."""

from __future__ import annotations

import json
from typing import Any

from streamlit.testing.v1 import AppTest


def charts(page: AppTest) -> list[dict[str, Any]]:
    """Return ``alt`` and ``figure`` (JSON) of each chart, in their order."""
    found = (json.loads(element.proto.json) for element in page.get("bidi_component"))
    return [data for data in found if "figure" in data]


def flow_numbers(page: AppTest) -> dict[str, str]:
    """Return what stands in the flow of the loss lab, by the numbers' ids."""
    found = (json.loads(element.proto.json) for element in page.get("bidi_component"))
    (stages,) = (data["stages"] for data in found if "stages" in data)
    return {
        number["id"]: number["value"]
        for stage in stages
        for row in stage["rows"]
        for number in row["numbers"]
    }


def alts(page: AppTest) -> list[str]:
    return [chart["alt"] for chart in charts(page)]
