"""A lab's page: its title, a presenter's question where the link asks one, the lab, a link to share."""

from __future__ import annotations

from pages.learn.labs.bodies import LAB_BODIES
from pages.learn.labs.catalogue import lab_links, lab_title
from pages.learn.labs.share import ask_first, reveal, share


def lab_page(name: str) -> None:
    lab_title(name)
    if ask_first(name):
        LAB_BODIES[name]()
        reveal(name)
        share(name)
    lab_links(name)
