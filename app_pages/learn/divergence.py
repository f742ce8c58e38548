"""A lab; what it shows is in ``app_pages.shared.lab_divergence``."""

from app_pages.shared.lab_page import lab_page

lab_page("divergence")
