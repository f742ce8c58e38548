"""How long a run takes, and how far off the estimate before its start was."""

from __future__ import annotations

from kd_core.distillation.events import Estimated, StageStarted
from kd_core.jobs.store import RunRow
from kd_core.system import formatting
from pages.shared.state import store

SLOW = 3  # times the expected seconds


def why_it_is_slow(run: RunRow) -> str | None:
    """Words while a run takes far longer than was estimated; None while it does not."""
    measured = store().progress_before(run.id).get("costs", {}).values()
    expected = sum(cost for _, cost in measured)  # in seconds only where somebody has estimated them
    if not expected or not any(isinstance(entry.event, Estimated) for entry in store().events(run.id)):
        return None
    slower = sum(seconds for seconds, _ in measured) / expected
    if slower < SLOW:
        return None
    return (
        f"It takes {slower:.0f} times as long as estimated. If this machine has other work: what the "
        "dashboard trains takes only the time that other programs leave; kd distill in a terminal takes its "
        "share."
    )


def time_against_estimate(run: RunRow, seconds: dict[str, float]) -> str | None:
    """A sentence; None without an estimate, and for a resumed run, which does some things twice."""
    events = [entry.event for entry in store().events(run.id)]
    starts = [event.stage for event in events if isinstance(event, StageStarted)]
    if len(starts) > len(set(starts)):
        return None
    took = sum(seconds.values())
    estimated = next((sum(event.seconds.values()) for event in events if isinstance(event, Estimated)), None)
    if not estimated:
        return None
    off = estimated / took - 1
    if off > 1:
        how = f"{off + 1:.0f} times that"
    elif off < -0.5:
        how = f"{took / estimated:.0f} times too short"
    elif abs(off) >= 0.05:
        how = f"{100 * abs(off):.0f} % too {'long' if off > 0 else 'short'}"
    else:
        how = "about right"
    return f"It took {formatting.duration(took)}; the estimate was {formatting.duration(estimated)}, {how}."
