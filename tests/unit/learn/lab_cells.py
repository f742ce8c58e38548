"""Cells of a lab with 20 test texts, and its report."""

from __future__ import annotations

import numpy as np

from kd_core.learn.lab_results import pack

TEXTS = 20


def cell(name: str, right: int, *, seed: int = 0, transfer: int = 0, layers: int = 2, hidden: int = 128):
    """The first ``right`` of 20 texts are answered right."""
    return {
        "name": name,
        "seed": seed,
        "who": "alone" if name == "alone" else "student",
        "transfer": transfer,
        "layers": layers,
        "hidden": hidden,
        "accuracy": right / TEXTS,
        "right": pack(np.arange(TEXTS) < right),
        "params": 1000 * layers * hidden,
        "embedding_params": 600 * hidden,
    }


def report(*cells):
    return {
        "teacher": {"accuracy": 0.9},
        "test_texts": TEXTS,
        "config": {},
        "machine": {},
        "cells": list(cells),
    }
