"""A lab; what it shows is in ``pages.learn.labs.choosing``."""

from pages.learn.labs.lab import lab_page

lab_page("choosing")
