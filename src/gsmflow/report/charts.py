"""The charts of the page, as plain values that its script draws. The figures for papers show the same numbers.

A chart has ``kind`` ("xy", "rows" or "heat"), ``title``, ``summary`` (the chart in words, for readers who cannot
see it), axes ``x`` and ``y`` (label, and whether values are percentages), ``views`` (a name and its series; more
than one if the reader can choose), ``guides`` (reference lines), ``rows`` (class names, one for each row), and
``highlight`` (groups that stand out). A series has ``name``, ``group`` (its legend entry), ``type`` (line, area,
points or bars), ``colour`` (a number in the palette, "seen", "unseen", or none), ``mark``, ``x``, ``y``, and
``names`` of its points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gsmflow.report.embedding import TITLES, Embedding
from gsmflow.report.findings import Confusion, Curve
from gsmflow.report.record import Record

Chart = dict[str, Any]

_HIGHLIGHTED = 4  # classes that stand out in the plot of features, until the reader chooses others


def chart(
    title: str, summary: str, x: str, y: str, views: dict[str, list[dict[str, Any]]], **more: Any
) -> Chart:
    """An xy chart; `more` may have guides, percent (axes in percent), log (axes), square, key (a line above)."""
    shown = [{"name": name, "series": series} for name, series in views.items()]
    return {"kind": "xy", "title": title, "summary": summary, "x": x, "y": y, "views": shown} | more


def curve_chart(records: list[Record], curves: list[Curve | None]) -> Chart | None:
    """Seen against unseen accuracy, each run with its operating point."""
    series: list[dict[str, Any]] = []
    words: list[str] = []
    for index, (record, curve) in enumerate(zip(records, curves, strict=True)):
        if curve is None:
            continue
        group = record.label if len(records) > 1 else "curve"
        whose = f"{record.label}: " if len(records) > 1 else ""
        line = {
            "name": record.label,
            "group": group,
            "type": "line",
            "colour": index,
            "x": curve.unseen,
            "y": curve.seen,
        }
        series.append(line | {"area": len(records) == 1})
        unseen, seen = curve.at
        note = f"{whose}this classifier, U {unseen:.1%}, S {seen:.1%}"
        point = {"type": "points", "colour": index, "mark": "circle", "size": 7, "x": [unseen], "y": [seen]}
        here = group if len(records) > 1 else "this classifier"
        series.append(point | {"name": "this classifier", "group": here, "names": [note]})
        oracle = record.metrics.get("oracle")
        if oracle:
            u, s = oracle["U"], oracle["S"]
            star = {"type": "points", "colour": index, "mark": "cross", "size": 6, "x": [u], "y": [s]}
            text = f"{whose}oracle, chosen on the test set, U {u:.1%}, S {s:.1%}"
            here = group if len(records) > 1 else "oracle (chosen on the test set)"
            series.append(star | {"name": "oracle", "group": here, "names": [text]})
        words.append(
            f"{whose or 'The '}area below the curve is {curve.area:.3f}; this classifier has U {unseen:.1%}, "
            f"S {seen:.1%}"
        )
    if not series:
        return None
    return chart(
        "Seen–unseen curve",
        "Accuracy on seen against unseen test samples as unseen classes are favoured more and more. "
        + "; ".join(words),
        "accuracy on unseen classes, U",
        "accuracy on seen classes, S",
        {"curve": series},
        percent=["x", "y"],
        zero=True,
        square=True,
    )


def class_chart(records: list[Record]) -> Chart:
    """Accuracy of every class, one row for each, sorted by the accuracy in the first run."""
    first = records[0].metrics["per_class"]
    names = sorted(first, key=lambda name: -first[name])
    series: list[dict[str, Any]] = []
    for index, record in enumerate(records):
        values, alone = record.metrics["per_class"], len(records) == 1
        for seen, kind in ((True, "seen"), (False, "unseen")):
            places = [i for i, n in enumerate(names) if n in values and record.seen.get(n, True) == seen]
            series.append(
                {
                    "name": f"{kind} classes" if alone else f"{record.label}, {kind}",
                    "group": f"{kind} classes" if alone else record.label,
                    "type": "bars" if alone else "points",
                    "colour": kind if alone else index,
                    "mark": "circle",
                    "hatch": not seen,
                    "hollow": not seen,
                    "x": [i + 1 for i in places],
                    "y": [round(values[names[i]], 5) for i in places],
                    "names": [names[i] if alone else f"{names[i]} ({kind})" for i in places],
                }
            )
    ends = (
        f"Highest: {names[0]}, {first[names[0]]:.1%}; lowest: {names[-1]}, {first[names[-1]]:.1%}"
        if names
        else ""
    )
    shown = chart(
        "Accuracy of every class",
        f"{len(names)} classes, sorted. {ends}",
        "class, sorted by accuracy",
        "accuracy",
        {"classes": [s for s in series if s["x"]]},
        percent=["y"],
        zero=True,
        whole=True,
        key="" if len(records) == 1 else "filled: seen classes, hollow: unseen classes",
    )
    rows = [{"name": name, "unseen": not records[0].seen.get(name, True)} for name in names]
    return shown | {"kind": "rows", "rows": rows}


def confusion_chart(record: Record, confusion: Confusion) -> Chart:
    """A picture of the confusion matrix of the most confused classes."""
    worst = "; ".join(f"{rate:.0%} of {true} called {given}" for true, given, rate, _ in confusion.pairs[:3])
    return {
        "kind": "heat",
        "title": "Most confused classes",
        "summary": f"Rows: true class, columns: label given, in percent of the row's test samples. Worst: {worst}",
        "classes": confusion.classes,
        "unseen": [not record.seen.get(name, True) for name in confusion.classes],
        "rates": confusion.rates,
    }


def embedding_chart(record: Record, placed: Embedding, names: tuple[str, ...]) -> Chart:
    """Real and synthetic features in a plane, one view for each method; the worst recognised classes stand out."""
    views: dict[str, list[dict[str, Any]]] = {}
    half = len(placed.labels)
    labels = np.unique(placed.synthetic_labels)
    present = [names[label] for label in labels]
    for method, places in placed.places.items():
        series = []
        spread = np.ptp(places, axis=0).max() or 1.0
        scaled = np.round((places - places.mean(axis=0)) / spread * 100, 2)
        for label in labels:
            rows = np.flatnonzero(placed.labels == label)
            kinds = [("real", rows), ("synthetic", np.flatnonzero(placed.synthetic_labels == label) + half)]
            for kind, chosen in kinds:
                if not len(chosen):
                    continue  # a class without real features
                series.append(
                    {
                        "name": f"{names[label]}, {kind}",
                        "group": names[label],
                        "type": "points",
                        "colour": None,
                        "mark": "circle",
                        "unseen": not record.seen.get(names[label], True),
                        "hollow": kind == "synthetic",
                        "x": scaled[chosen, 0].tolist(),
                        "y": scaled[chosen, 1].tolist(),
                    }
                )
        views[TITLES[method]] = series
    rates = record.metrics["per_class"]
    # Classes without real features come first: their synthetic features are the most interesting ones.
    highlight = sorted(present, key=lambda name: (name in rates, rates.get(name, 0.0)))[:_HIGHLIGHTED]
    alone = len(placed.synthetic_labels) - half
    more = f" Of classes without real features {alone} synthetic ones." if alone else ""
    return chart(
        "Real and synthetic features",
        f"{half} real and as many synthetic features of {len(present)} classes, placed together.{more} Highlighted: "
        f"{', '.join(highlight)}. The numbers behind it are in the measures below.",
        "",
        "",
        views,
        key="filled: real, hollow: synthetic",
        plain=True,
        square=True,
        highlight=highlight,
    )
