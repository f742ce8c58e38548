"""A lab: layout and calls; what it shows is in ``app_pages.shared.lab_temperature``."""

from app_pages.shared.lab_cards import lab_links, lab_title
from app_pages.shared.lab_temperature import temperature_lab

lab_title("temperature")
temperature_lab()
lab_links("temperature")
