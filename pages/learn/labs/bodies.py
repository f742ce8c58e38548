"""What stands on each lab's page, so that a lesson, or a shared link, can show it too."""

from __future__ import annotations

from collections.abc import Callable

from pages.learn.labs.choosing import choosing_lab
from pages.learn.labs.claims import claims_lab
from pages.learn.labs.divergence import divergence_lab
from pages.learn.labs.loss import loss_lab
from pages.learn.labs.replay import replay_lab
from pages.learn.labs.size import size_lab
from pages.learn.labs.temperature import temperature_lab
from pages.learn.labs.transfer import transfer_lab

LAB_BODIES: dict[str, Callable[[], None]] = {
    "temperature": temperature_lab,
    "loss": loss_lab,
    "divergence": divergence_lab,
    "transfer": transfer_lab,
    "size": size_lab,
    "replay": replay_lab,
    "choosing": choosing_lab,
    "claims": claims_lab,
}
