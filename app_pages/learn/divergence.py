"""A lab: layout and calls; what it shows is in ``app_pages.shared.lab_divergence``."""

from app_pages.shared.lab_cards import lab_links, lab_title
from app_pages.shared.lab_divergence import hump_lab, literature, text_lab

lab_title("divergence")
hump_lab()
text_lab()
literature()
lab_links("divergence")
