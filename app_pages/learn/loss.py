"""A lab: layout and calls; what it shows is in ``app_pages.shared.lab_loss``."""

from app_pages.shared.lab_cards import lab_links, lab_title
from app_pages.shared.lab_loss import loss_lab

lab_title("loss")
loss_lab()
lab_links("loss")
