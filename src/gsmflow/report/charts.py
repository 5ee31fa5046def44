"""The charts of the page, as plain values that its script draws; the same numbers the figures show.

A chart: ``kind`` ("xy" or "heat"), ``title``, ``summary`` in words for who cannot see it, axes ``x`` and ``y`` (label,
and whether values are percentages), ``views`` (a name and its series, more than one where the reader may
choose), ``guides`` (reference lines). A series: ``name``, ``group`` (its legend entry), ``type`` (line, area, points
or bars), ``colour`` (a number in the palette, or "seen" / "unseen"), ``mark``, ``x``, ``y``, ``names`` of its points.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gsmflow.report.embedding import TITLES, Embedding
from gsmflow.report.findings import Confusion, Curve, Stage, stage_title
from gsmflow.report.reading import Record

Chart = dict[str, Any]

COLOURS = 7
MARKS = ("circle", "square", "triangle", "diamond")


def chart(
    title: str, summary: str, x: str, y: str, views: dict[str, list[dict[str, Any]]], **more: Any
) -> Chart:
    """An xy chart; `more`: guides, percent (axes in percent), log (axes), square, key (a line above it)."""
    shown = [{"name": name, "series": series} for name, series in views.items()]
    return {"kind": "xy", "title": title, "summary": summary, "x": x, "y": y, "views": shown} | more


def curve_chart(records: list[Record], curves: list[Curve | None]) -> Chart | None:
    """Seen against unseen accuracy, each run with its operating point."""
    series: list[dict[str, Any]] = []
    words: list[str] = []
    for index, (record, found) in enumerate(zip(records, curves, strict=True)):
        if found is None:
            continue
        group = record.label if len(records) > 1 else "curve"
        line = {
            "name": record.label,
            "group": group,
            "type": "line",
            "colour": index,
            "x": found.unseen,
            "y": found.seen,
        }
        series.append(line | {"area": len(records) == 1})
        unseen, seen = found.at
        note = f"{record.label}: this classifier, U {unseen:.1%}, S {seen:.1%}"
        point = {"type": "points", "colour": index, "mark": "circle", "size": 7, "x": [unseen], "y": [seen]}
        here = group if len(records) > 1 else "this classifier"
        series.append(point | {"name": "this classifier", "group": here, "names": [note]})
        oracle = record.metrics.get("oracle")
        if oracle:
            u, s = oracle["U"], oracle["S"]
            star = {"type": "points", "colour": index, "mark": "cross", "size": 6, "x": [u], "y": [s]}
            text = f"{record.label}: oracle, chosen on the test set, U {u:.1%}, S {s:.1%}"
            here = group if len(records) > 1 else "oracle (chosen on the test set)"
            series.append(star | {"name": "oracle", "group": here, "names": [text]})
        words.append(f"{record.label}: area {found.area:.3f}, operating point U {unseen:.1%}, S {seen:.1%}")
    if not series:
        return None
    return chart(
        "Seen–unseen curve",
        "Accuracy on seen against unseen test images as unseen classes are favoured more and more. "
        + "; ".join(words),
        "accuracy on unseen classes, U",
        "accuracy on seen classes, S",
        {"curve": series},
        percent=["x", "y"],
        zero=True,
        square=True,
    )


def loss_chart(records: list[Record], trainings: list[list[Stage]]) -> Chart | None:
    """Losses along each stage, one view a loss."""
    views: dict[str, list[dict[str, Any]]] = {}
    for index, (record, found) in enumerate(zip(records, trainings, strict=True)):
        for position, stage in enumerate(sorted(found, key=lambda s: s.name != "final")):
            for loss, (steps, values) in stage.losses.items():
                several = len(records) > 1
                name = f"{record.label}: {stage_title(stage.name)}" if several else stage_title(stage.name)
                views.setdefault(loss.replace("_", " "), []).append(
                    {
                        "name": name,
                        "group": name,
                        "type": "line",
                        "colour": index if several else position,
                        "faint": stage.name != "final",
                        "x": steps,
                        "y": values,
                    }
                )
    if not views:
        return None
    last = [
        f"{name}: {series[0]['y'][-1]:.4g} at the end" for name, series in views.items() if series[0]["y"]
    ]
    return chart("Losses", "Training losses by step. " + "; ".join(last), "step", "loss", views)


def score_chart(records: list[Record], trainings: list[list[Stage]]) -> Chart | None:
    """U, S and H on validation problems (and of the oracle along the final training), by step."""
    views: dict[str, list[dict[str, Any]]] = {}
    for index, (record, found) in enumerate(zip(records, trainings, strict=True)):
        for stage in found:
            for number, (score, (steps, values)) in enumerate(stage.scores.items()):
                title = "test set (oracle)" if stage.name == "final" else stage_title(stage.name)
                several = len(records) > 1
                views.setdefault(title, []).append(
                    {
                        "name": f"{record.label}: {score}" if several else score,
                        "group": f"{record.label}: {score}" if several else score,
                        "type": "line",
                        "colour": index if several else ("unseen", "seen", 2)[number % 3],
                        "dash": several and score != "H",
                        "dots": True,
                        "x": steps,
                        "y": values,
                    }
                )
    if not views:
        return None
    best = [
        f"best H on the {title}: {max(v for s in series if s['name'].endswith('H') for v in s['y']):.1%}"
        for title, series in views.items()
        if any(s["name"].endswith("H") and s["y"] for s in series)
    ]
    return chart(
        "Scores while choosing",
        "U, S and H along the training, each with the best bias there. " + "; ".join(best),
        "step",
        "accuracy",
        views,
        percent=["y"],
    )


def class_chart(records: list[Record]) -> Chart:
    """Accuracy of every class, sorted by that of the first run."""
    first = records[0].metrics["per_class"]
    names = sorted(first, key=lambda name: -first[name])
    series: list[dict[str, Any]] = []
    if len(records) == 1:
        for seen, kind in ((True, "seen"), (False, "unseen")):
            places = [i for i, name in enumerate(names) if records[0].seen.get(name, True) == seen]
            series.append(
                {
                    "name": f"{kind} classes",
                    "group": f"{kind} classes",
                    "type": "bars",
                    "colour": kind,
                    "hatch": not seen,
                    "x": [i + 1 for i in places],
                    "y": [round(first[names[i]], 5) for i in places],
                    "names": [names[i] for i in places],
                }
            )
    else:
        for index, record in enumerate(records):
            for seen, kind in ((True, "seen"), (False, "unseen")):
                values = record.metrics["per_class"]
                places = [i for i, n in enumerate(names) if n in values and record.seen.get(n, True) == seen]
                series.append(
                    {
                        "name": f"{record.label}, {kind}",
                        "group": record.label,
                        "type": "points",
                        "colour": index,
                        "mark": "circle",
                        "hollow": not seen,
                        "x": [i + 1 for i in places],
                        "y": [round(values[names[i]], 5) for i in places],
                        "names": [f"{names[i]} ({kind})" for i in places],
                    }
                )
    ends = (
        f"Highest: {names[0]}, {first[names[0]]:.1%}; lowest: {names[-1]}, {first[names[-1]]:.1%}"
        if names
        else ""
    )
    return chart(
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


def confusion_chart(record: Record, found: Confusion) -> Chart:
    """A picture of the confusion matrix of the most confused classes."""
    worst = "; ".join(f"{rate:.0%} of {true} called {given}" for true, given, rate, _ in found.pairs[:3])
    return {
        "kind": "heat",
        "title": "Most confused classes",
        "summary": f"Rows: true class, columns: label given, in percent of the row's test images. Worst: {worst}",
        "classes": found.classes,
        "unseen": [not record.seen.get(name, True) for name in found.classes],
        "rates": found.rates,
    }


def embedding_chart(record: Record, placed: Embedding, names: tuple[str, ...]) -> Chart:
    """Real and synthetic features in a plane, one view a method."""
    views: dict[str, list[dict[str, Any]]] = {}
    half = len(placed.labels)
    for method, places in placed.places.items():
        series = []
        spread = np.ptp(places, axis=0).max() or 1.0
        scaled = np.round((places - places.mean(axis=0)) / spread * 100, 2)
        for order, label in enumerate(np.unique(placed.labels)):
            rows = np.flatnonzero(placed.labels == label)
            for kind, chosen in (("real", rows), ("synthetic", rows + half)):
                series.append(
                    {
                        "name": f"{names[label]}, {kind}",
                        "group": names[label],
                        "type": "points",
                        "colour": order % COLOURS,
                        "mark": MARKS[order // COLOURS % len(MARKS)],
                        "hollow": kind == "synthetic",
                        "x": scaled[chosen, 0].tolist(),
                        "y": scaled[chosen, 1].tolist(),
                    }
                )
        views[TITLES[method]] = series
    return chart(
        "Real and synthetic features",
        f"{half} real and as many synthetic features of {len(np.unique(placed.labels))} classes, placed together. "
        "The numbers behind it are in the measures below.",
        "",
        "",
        views,
        key="filled: real, hollow: synthetic",
        plain=True,
        square=True,
    )


def shift_charts(records: list[Record]) -> list[Chart]:
    """One picture for each of the three shifts; runs without measures are left out."""
    runs = [(index, r, r.shifts) for index, r in enumerate(records) if r.shifts]
    alone = len(runs) == 1
    semantic: list[dict[str, Any]] = []
    directions: list[dict[str, Any]] = []
    pairs: list[dict[str, Any]] = []
    for index, record, shifts in runs:
        names, found = shifts["classes"], shifts["semantic"]
        if found["class_cosine"]:
            order = np.argsort(found["class_real_cosine"], kind="stable")[::-1].tolist()
            for kind, key in (("real", "class_real_cosine"), ("synthetic", "class_cosine")):
                title = f"{kind} features" if alone else f"{record.label}: {kind}"
                semantic.append(
                    {
                        "name": title,
                        "group": title,
                        "type": "points",
                        "colour": index if not alone else ("seen" if kind == "real" else "unseen"),
                        "mark": "circle" if kind == "real" else "diamond",
                        "hollow": kind != "real",
                        "size": 4.5,
                        "x": list(range(1, len(order) + 1)),
                        "y": [round(found[key][i], 4) for i in order],
                        "names": [names[i] for i in order],
                    }
                )
        along = shifts["variance"]["directions"]
        if along:
            directions.append(
                {
                    "name": record.label if not alone else "synthetic / real",
                    "group": record.label if not alone else "synthetic / real",
                    "type": "line",
                    "dots": True,
                    "colour": index if not alone else "unseen",
                    "x": list(range(1, len(along) + 1)),
                    "y": [round(v, 4) for v in along],
                }
            )
        between = shifts["structure"]["pairs"]
        if between:
            pairs.append(
                {
                    "name": record.label if not alone else "pairs of classes",
                    "group": record.label if not alone else "pairs of classes",
                    "type": "points",
                    "colour": index if not alone else "unseen",
                    "mark": "circle",
                    "size": 3.5,
                    "x": [round(p[2], 4) for p in between],
                    "y": [round(p[3], 4) for p in between],
                    "names": [f"{names[p[0]]} – {names[p[1]]}" for p in between],
                }
            )
    charts = [
        chart(
            "Semantics recovered, class by class",
            _spoken(runs, "semantic", "cosine", "mean cosine"),
            "class, sorted by what real features give",
            "cosine",
            {"classes": semantic},
            whole=True,
            guides=[{"y": 0}],
        ),
        chart(
            "Variance along principal directions",
            _spoken(runs, "variance", "ratio", "total ratio"),
            "principal direction, widest first",
            "synthetic / real",
            {"directions": directions},
            whole=True,
            zero=True,
            guides=[{"y": 1, "label": "as real"}],
        ),
        chart(
            "Distances between class centres",
            _spoken(runs, "structure", "spearman", "Spearman correlation"),
            "between real centres",
            "between synthetic centres",
            {"pairs": pairs},
            guides=[{"diagonal": True, "label": "as real"}],
        ),
    ]
    return [each for each in charts if each["views"][0]["series"]]


def _spoken(runs: list[tuple[int, Record, Any]], part: str, key: str, title: str) -> str:
    said = [
        f"{r.label}: {title} {shifts[part][key]:.3g}"
        for _, r, shifts in runs
        if shifts[part][key] is not None
    ]
    return "; ".join(said)
