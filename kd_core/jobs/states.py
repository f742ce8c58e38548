"""Verdicts and states as badges: label, colour and icon."""

from __future__ import annotations

Badge = tuple[str, str, str]  # label, colour and icon of ``st.badge``

VERDICTS: dict[str, Badge] = {
    "helped": ("Helped", "green", ":material/trending_up:"),
    "no_difference": ("No difference", "gray", ":material/trending_flat:"),
    "hurt": ("Hurt", "red", ":material/trending_down:"),
}

STATUSES: dict[str, Badge] = {
    "queued": ("Queued", "gray", ":material/schedule:"),
    "running": ("Running", "blue", ":material/play_circle:"),
    "paused": ("Paused", "gray", ":material/pause_circle:"),
    "done": ("Done", "green", ":material/check_circle:"),
    "stopped": ("Stopped", "gray", ":material/stop_circle:"),
    "failed": ("Failed", "red", ":material/error:"),
    "interrupted": ("Interrupted", "orange", ":material/power_off:"),
}


def verdict_badge(kind: str) -> Badge:
    return VERDICTS[kind]


def status_badge(status: str) -> Badge:
    return STATUSES[status]
