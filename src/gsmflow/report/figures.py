"""The charts of a report as SVG and PNG for papers: column width, small type, colours that everyone can tell apart."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.files.atomic import make_folder, write_bytes
from gsmflow.report.charts import Chart
from gsmflow.report.page import all_charts
from gsmflow.report.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 3.3  # inches, a column of a two-column paper
# Okabe and Ito (2008), which people with every kind of colour vision can distinguish.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_FAINT = "#B8BEC4"  # colour of everything that is not highlighted
_MOST_NAMES = 60  # most names along an axis
_NAMED = {"seen": "#0072B2", "unseen": "#D55E00"}
_MARKS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "cross": "x"}


def draw(records: list[Record], folder: Path, embeddings: tuple[str, ...] = ("pca", "t-sne")) -> list[Path]:
    """Write every chart of the report as SVG and as PNG of 300 dots an inch; returns the files.

    Raises
    ------
    InputError
        Matplotlib is not installed, or the folder cannot be written to.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(f"figures need Matplotlib: {installing('report')}") from None
    make_folder(folder)
    style: dict[Any, Any] = {
        "font.size": 7.5,
        "axes.titlesize": 8,
        "axes.linewidth": 0.6,
        "lines.linewidth": 1.2,
        "legend.fontsize": 6.5,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "gsmflow",  # so that the same run gives the same file
    }
    written: list[Path] = []
    with rc_context(style):
        for part, charts in all_charts(records, embeddings).items():
            for number, chart in enumerate(charts):
                for view in range(1 if chart["kind"] == "heat" else len(chart["views"])):
                    square = chart.get("square") or chart["kind"] == "heat"
                    figure = Figure(figsize=(WIDTH, WIDTH * (0.9 if square else 0.62)), layout="constrained")
                    axes = figure.add_subplot()
                    suffix = _heat(axes, chart) if chart["kind"] == "heat" else _xy(axes, chart, view)
                    name = f"{part}-{number + 1}{suffix}"
                    for kind in ("svg", "png"):
                        buffer = io.BytesIO()
                        figure.savefig(
                            buffer, format=kind, dpi=300, metadata={"Date": None} if kind == "svg" else None
                        )
                        written.append(folder / f"{name}.{kind}")
                        write_bytes(written[-1], buffer.getvalue())
    return written


def _colour(value: Any) -> str:
    if value is None:
        return _FAINT
    return _NAMED[value] if isinstance(value, str) else PALETTE[value % len(PALETTE)]


def _xy(axes: Axes, chart: Chart, view: int) -> str:
    shown = chart["views"][view]
    named: set[str] = set()
    highlight = chart.get("highlight", [])
    # Highlighted points are drawn last, over the rest.
    for series in sorted(shown["series"], key=lambda each: each["group"] in highlight):
        group = series["group"]
        colour = _colour(highlight.index(group) if group in highlight else series["colour"])
        label = group if group not in named and (not highlight or group in highlight) else None
        if label:
            named.add(group)
        x, y = np.asarray(series["x"], float), np.asarray(series["y"], float)
        if series["type"] == "line":
            faint = 0.55 if series.get("faint") else 1.0
            dash = "--" if series.get("dash") else "-"
            mark = "." if series.get("dots") else None
            axes.plot(x, y, dash, color=colour, alpha=faint, label=label, marker=mark, markersize=3)
            if series.get("area"):
                axes.fill_between(x, y, alpha=0.12, color=colour, linewidth=0)
        elif series["type"] == "bars":
            hatch = "////" if series.get("hatch") else None
            axes.bar(
                x,
                y,
                0.8,
                color=colour,
                alpha=0.85,
                label=label,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.2,
            )
        else:
            mark = _MARKS[series.get("mark", "circle")]
            hollow = series.get("hollow") and mark != "x"
            size = 3 * series.get("size", 3.0)
            dots = axes.scatter(x, y, s=size, marker=mark, label=label, linewidths=0.6, color=colour)
            if hollow:
                dots.set_facecolor("none")
    for guide in chart.get("guides", []):
        if guide.get("diagonal"):
            axes.axline((0, 0), slope=1, color="0.5", linestyle=":", linewidth=0.8)
        else:
            axes.axhline(guide["y"], color="0.5", linestyle=":", linewidth=0.8)
    axes.set_xlabel(chart["x"])
    axes.set_ylabel(chart["y"])
    rows = [row["name"] for row in chart.get("rows", [])]
    if 0 < len(rows) <= _MOST_NAMES:
        places = range(1, len(rows) + 1)
        axes.set_xticks(places, [_short(name) for name in rows], rotation=90, fontsize=4.5)
    for axis in chart.get("percent", []):
        getattr(axes, f"{axis}axis").set_major_formatter(lambda v, _: f"{100 * v:.0f}%")
    if chart.get("zero"):
        axes.set_ylim(bottom=0)
    if chart.get("plain"):
        axes.set_axis_off()
    if len(named) > 4 or (chart.get("plain") and len(named) > 1):
        axes.legend(  # beneath, where it hides nothing
            loc="upper center",
            bbox_to_anchor=(0.5, -0.02 if chart.get("plain") else -0.22),
            ncols=3,
            handlelength=1.2,
            columnspacing=1.0,
            labelspacing=0.3,
        )
    elif len(named) > 1:
        axes.legend(handlelength=1.4, labelspacing=0.3)
    if len(chart["views"]) == 1:
        return ""
    return "-" + re.sub(r"[^a-z0-9]+", "-", shown["name"].lower()).strip("-")


def _short(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:15]}…"


def _heat(axes: Axes, chart: Chart) -> str:
    rates = 100 * np.asarray(chart["rates"], float)
    axes.imshow(rates, cmap="Blues", vmin=0, vmax=100)
    places = range(len(chart["classes"]))
    short = [_short(name) for name in chart["classes"]]
    axes.set_xticks(places, short, rotation=55, ha="right", fontsize=5.5)
    axes.set_yticks(places, short, fontsize=5.5)
    for i, row in enumerate(rates):
        for j, rate in enumerate(row):
            if rate >= 0.5:
                axes.text(
                    j, i, f"{rate:.0f}", ha="center", va="center", fontsize=5, color="w" if rate > 55 else "k"
                )
    return ""
