"""The charts of a run's training: losses, and scores while choosing."""

from __future__ import annotations

from typing import Any

from gsmflow.report.charts import Chart, chart
from gsmflow.report.findings import Stage, is_final, stage_title
from gsmflow.report.record import Record


def loss_chart(records: list[Record], trainings: list[list[Stage]]) -> Chart | None:
    """Losses in each stage, with a view for each loss."""
    views: dict[str, list[dict[str, Any]]] = {}
    for index, (record, stages) in enumerate(zip(records, trainings, strict=True)):
        for position, stage in enumerate(sorted(stages, key=lambda s: not is_final(s.name))):
            for loss, (steps, values) in stage.losses.items():
                several = len(records) > 1
                name = f"{record.label}: {stage_title(stage.name)}" if several else stage_title(stage.name)
                views.setdefault(loss.replace("_", " "), []).append(
                    {
                        "name": name,
                        "group": name,
                        "type": "line",
                        "colour": index if several else position,
                        "faint": not is_final(stage.name),
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
    """U, S and H by step, on validation problems and, for the oracle, along the final training. Stages that are scored
    once are left out.
    """
    views: dict[str, list[dict[str, Any]]] = {}
    for index, (record, stages) in enumerate(zip(records, trainings, strict=True)):
        for stage in stages:
            if max((len(steps) for steps, _ in stage.scores.values()), default=0) < 2:
                continue  # scored at its end alone: nothing to draw
            for number, (score, (steps, values)) in enumerate(stage.scores.items()):
                title = "test set (oracle)" if is_final(stage.name) else stage_title(stage.name)
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
        f"best H, {title}: {max(v for s in series if s['name'].endswith('H') for v in s['y']):.1%}"
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
