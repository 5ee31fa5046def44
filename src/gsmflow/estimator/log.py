"""Warnings about data and results, given in Python through the logger ``gsmflow``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from gsmflow.data.problem import Problem
from gsmflow.data.warnings import recorded, remarks

_LOGGER = logging.getLogger("gsmflow")  # without a handler of the program, Python writes it to stderr


def tell(problem: Problem, metrics: Mapping[str, Any]) -> None:
    """Log the warnings about a problem and the metrics of a run on it; they are in ``metrics_`` too."""
    for text in (*remarks(problem), *(each.text for each in recorded(metrics))):
        _LOGGER.warning("%s", text)
