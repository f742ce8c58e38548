"""A lab; what it shows is in ``app_pages.shared.lab_loss``."""

from app_pages.shared.lab_page import lab_page

lab_page("loss")
