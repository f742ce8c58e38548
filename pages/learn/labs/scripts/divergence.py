"""A lab; what it shows is in ``pages.learn.labs.divergence``."""

from pages.learn.labs.lab import lab_page

lab_page("divergence")
