"""The report of one or several runs: an HTML page that needs nothing but itself, and figures for papers.

``reading`` collects what a run folder and its data hold, ``findings`` and ``embedding`` compute what is shown,
``page`` writes it as HTML, ``figures`` as SVG and PNG. Nothing is drawn on the way from a run to its scores,
so nothing here can change them.
"""

from __future__ import annotations

from gsmflow.report.figures import draw
from gsmflow.report.page import render
from gsmflow.report.reading import Record, read

__all__ = ["Record", "draw", "read", "render"]
