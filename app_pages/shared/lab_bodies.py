"""What stands on each lab's page, so that a lesson, or a shared link, can show it too."""

from __future__ import annotations

from collections.abc import Callable

from app_pages.shared.lab_divergence import hump_lab, literature, text_lab
from app_pages.shared.lab_loss import loss_lab
from app_pages.shared.lab_replay import replay_lab
from app_pages.shared.lab_size import size_lab
from app_pages.shared.lab_temperature import temperature_lab
from app_pages.shared.lab_transfer import transfer_lab


def divergence_lab() -> None:
    hump_lab()
    text_lab()
    literature()


LAB_BODIES: dict[str, Callable[[], None]] = {
    "temperature": temperature_lab,
    "loss": loss_lab,
    "divergence": divergence_lab,
    "transfer": transfer_lab,
    "size": size_lab,
    "replay": replay_lab,
}
