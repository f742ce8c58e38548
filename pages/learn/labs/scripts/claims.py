"""A lab; what it shows is in ``pages.learn.labs.claims``."""

from pages.learn.labs.lab import lab_page

lab_page("claims")
