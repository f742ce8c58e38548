"""A lab; what it shows is in ``pages.learn.labs.replay``."""

from pages.learn.labs.lab import lab_page

lab_page("replay")
