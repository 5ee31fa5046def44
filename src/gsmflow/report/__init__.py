"""The report of one or several runs: a self-contained HTML page, and figures for papers.

``reading`` collects the content of a run folder and its data, ``findings`` and ``embedding`` compute what is
shown, ``page`` writes it as HTML, ``figures`` as SVG and PNG. All of it reads finished runs; nothing here can
change their scores.
"""

from __future__ import annotations

from gsmflow.report.figures import draw
from gsmflow.report.page import render
from gsmflow.report.reading import Record, read

__all__ = ["Record", "draw", "read", "render"]
