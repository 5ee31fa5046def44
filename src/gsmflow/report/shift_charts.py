"""The charts of the generation shifts, one for each of the three."""

from __future__ import annotations

from typing import Any

import numpy as np

from gsmflow.report.charts import Chart, chart
from gsmflow.report.record import Record


def shift_charts(records: list[Record]) -> list[Chart]:
    """One chart for each of the three shifts; runs without measures are left out."""
    runs = [(index, r, r.shifts) for index, r in enumerate(records) if r.shifts]
    alone = len(runs) == 1
    semantic: list[dict[str, Any]] = []
    directions: list[dict[str, Any]] = []
    pairs: list[dict[str, Any]] = []
    for index, record, shifts in runs:
        names, recovery = shifts["classes"], shifts["semantic"]
        if recovery["class_cosine"]:
            order = np.argsort(recovery["class_real_cosine"], kind="stable")[::-1].tolist()
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
                        "y": [round(recovery[key][i], 4) for i in order],
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
    if len(runs) == 1:
        title = title[0].upper() + title[1:]
    said = [
        (f"{r.label}: " if len(runs) > 1 else "") + f"{title} {shifts[part][key]:.3g}"
        for _, r, shifts in runs
        if shifts[part][key] is not None
    ]
    return "; ".join(said)
