"""The HTML page: one file that needs nothing but itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import tomli_w

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.base.version import __version__
from gsmflow.report import charts, findings
from gsmflow.report.embedding import embed
from gsmflow.report.measures import GROUPS, MEASURES
from gsmflow.report.pictures import as_data_uri, strips
from gsmflow.report.reading import Record
from gsmflow.scores.gzsl import SCORES, paired_difference

_MEANING = {
    "U": "U, unseen classes",
    "S": "S, seen classes",
    "H": "H, harmonic mean",
    "T1": "T1, among unseen",
    "AUSUC": "AUSUC",
}


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Parameters
    ----------
    text : str
        What is shown.
    value : float | str | None
        What the column is sorted by; None: the text.
    number : bool
        It is set to the right, like all numbers.
    tone : str
        ``up``, ``down`` or empty: the colour of a difference.
    badge : str
        A short word shown beside the text.
    hint : str
        Shown when the cell is pointed at.
    """

    text: str
    value: float | str | None = None
    number: bool = False
    tone: str = ""
    badge: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Column:
    """A table's column.

    Parameters
    ----------
    name : str
        Its heading.
    number : bool
        It holds numbers.
    """

    name: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """A sortable table.

    Parameters
    ----------
    title : str
        Its heading.
    columns : list[Column]
        The columns, from left to right.
    rows : list[list[Cell]]
        One list of cells a row.
    """

    title: str
    columns: list[Column]
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    id : str
        Its anchor.
    title : str
        Its heading.
    text : str
        A paragraph of HTML under the heading.
    charts : list[int]
        Positions in the page's list of charts.
    tables : list[Table]
        Its tables.
    strips : list[dict[str, str]]
        Pictures of classes: heading and data URLs.
    """

    id: str
    title: str
    text: str = ""
    charts: list[int] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    strips: list[dict[str, str]] = field(default_factory=list)


def all_charts(records: list[Record], embeddings: tuple[str, ...]) -> dict[str, list[charts.Chart]]:
    """Every chart of a report, by the section it stands in; those without content are left out."""
    trainings = [findings.stages(record) for record in records]
    found: dict[str, list[charts.Chart | None]] = {
        "curve": [charts.curve_chart(records, [findings.curve(record) for record in records])],
        "classes": [charts.class_chart(records)],
        "confusions": [
            charts.confusion_chart(record, confused)
            for record in records
            if (confused := findings.confusion(record)) and confused.pairs
        ],
        "embedding": [
            charts.embedding_chart(record, embed(record.samples, embeddings), tuple(record.seen))
            for record in records
            if record.samples is not None and len(record.samples.labels) > 1
        ],
        "shifts": list(charts.shift_charts(records)),
        "training": [charts.loss_chart(records, trainings), charts.score_chart(records, trainings)],
    }
    several = len(records) > 1
    if several:
        for part in ("confusions", "embedding"):
            titled = zip(found[part], records, strict=False)
            found[part] = [each | {"title": f"{each['title']}: {r.label}"} for each, r in titled if each]
    return {part: [each for each in several_ if each] for part, several_ in found.items()}


def render(records: list[Record], embeddings: tuple[str, ...] = ("pca", "t-sne")) -> str:
    """The page of one run, or of several side by side.

    Raises
    ------
    InputError
        Jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise InputError(f"the report needs Jinja2: {installing('report')}") from None
    by_part = all_charts(records, embeddings)
    drawn = [chart for part in by_part.values() for chart in part]
    sections = _sections(records, by_part, drawn)
    folder = resources.files("gsmflow.report") / "template"
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        (folder / "page.html").read_text(encoding="utf-8")
    )
    # "<" would let a class name end the script element that holds the data.
    data = json.dumps({"charts": drawn}, allow_nan=False).replace("<", "\\u003c")
    return template.render(
        title=_title(records),
        subtitle=_subtitle(records),
        statement=_statement(records),
        tiles=_tiles(records),
        notes=[_note(r, n, len(records)) for r in records for n in r.missing],
        sections=sections,
        charts=drawn,
        runs=[
            {"label": r.label, "folder": str(r.folder), "config": tomli_w.dumps(r.config)} for r in records
        ],
        made_by=f"Made by gsmflow {__version__}.",
        css=Markup((folder / "page.css").read_text(encoding="utf-8")),
        script=Markup((folder / "charts.js").read_text(encoding="utf-8")),
        data=Markup(data),
    )


def _title(records: list[Record]) -> str:
    first = records[0].metrics
    if len(records) == 1:
        return f"{first['method']} on {first['problem']}"
    return f"{len(records)} runs compared"


def _subtitle(records: list[Record]) -> str:
    if len(records) > 1:
        return ", ".join(record.label for record in records)
    m = records[0].metrics
    return f"seed {m['seed']}, preset {m['preset']}, {m['seconds']['total']:.1f} seconds"


def _statement(records: list[Record]) -> str:
    said = {
        "validated": "Everything was chosen on validation problems cut from the training data; the test set was "
        "scored once.",
        "last": "The whole training budget was used and nothing was chosen by scores.",
    }
    protocols = list(dict.fromkeys(record.metrics["protocol"] for record in records))
    texts = [f"Protocol {name}: {said.get(name, '')}" for name in protocols]
    if any(record.metrics.get("oracle") for record in records):
        texts.append("Oracle scores were chosen on the test set: an upper bound, not a result.")
    return " ".join(texts)


def _note(record: Record, note: str, several: int) -> str:
    return f"{record.label}: {note}" if several > 1 else note


def _tiles(records: list[Record]) -> list[dict[str, Any]]:
    if len(records) > 1:
        return []
    metrics = records[0].metrics
    found = [{"name": _MEANING[s], "value": _percent(metrics[s]), "main": s == "H"} for s in SCORES]
    if metrics.get("oracle"):
        oracle = metrics["oracle"]["H"]
        found.append({"name": "oracle H (chosen on test)", "value": _percent(oracle), "main": False})
    return found


def _sections(
    records: list[Record], by_part: dict[str, list[charts.Chart]], drawn: list[charts.Chart]
) -> list[Section]:
    def places(part: str) -> list[int]:
        return [index for index, chart in enumerate(drawn) if any(chart is each for each in by_part[part])]

    found = []
    if len(records) > 1:
        found.append(Section("compared", "Side by side", tables=[_score_table(records)]))
    found.append(
        Section(
            "scores",
            "Seen and unseen",
            "Choose a part of a picture with the mouse to enlarge it; double-click to see all of it again.",
            charts=[*places("curve"), *places("classes")],
            tables=[_class_table(records)],
        )
    )
    if by_part["confusions"]:
        found.append(
            Section(
                "confusions", "Confusions", charts=places("confusions"), tables=_confusion_tables(records)
            )
        )
    pictures = [strip for record in records for strip in strips(record)] if len(records) == 1 else []
    if by_part["embedding"] or pictures:
        shown = [
            {"name": s.name, "real": as_data_uri(s.real), "synthetic": as_data_uri(s.synthetic)}
            for s in pictures
        ]
        found.append(
            Section("features", "Real and synthetic features", charts=places("embedding"), strips=shown)
        )
    if any(record.shifts for record in records):
        judge = next(record.shifts["judge"] for record in records if record.shifts)
        text = f"Judged by {judge}. Nothing was chosen by these numbers."
        found.append(
            Section(
                "shifts",
                "Generation shifts",
                text,
                charts=places("shifts"),
                tables=[_shift_table(records, group) for group in GROUPS],
            )
        )
    if by_part["training"]:
        found.append(Section("training", "Training", charts=places("training")))
    return found


def _score_table(records: list[Record]) -> Table:
    """Scores of every run, and what they differ from those of the first."""
    columns = [Column("run"), Column("protocol")]
    columns += [column for s in SCORES for column in (Column(s, True), Column(f"Δ {s}", True))]
    columns += [Column("oracle H (chosen on test)", True), Column("seconds", True)]
    rows = []
    for record in records:
        row = [Cell(record.label), Cell(record.metrics["protocol"])]
        for score in SCORES:
            value, first = record.metrics[score], records[0].metrics[score]
            row.append(_number(value))
            row.append(_difference(value, first) if record is not records[0] else Cell("", "", True))
        oracle = record.metrics.get("oracle")
        row.append(_number(oracle["H"] if oracle else None))
        seconds = record.metrics["seconds"]["total"]
        row.append(Cell(f"{seconds:.1f}", seconds, True))
        rows.append(row)
    return Table(f"Scores, and differences from {records[0].label}", columns, rows)


def _class_table(records: list[Record]) -> Table:
    counts = findings.test_counts(records[0])
    columns = [Column("class"), Column("kind"), *([Column("test samples", True)] if counts else [])]
    columns += [Column("accuracy" if len(records) == 1 else r.label, True) for r in records]
    if len(records) == 2:
        columns.append(Column("difference", True))
    names = list(dict.fromkeys(name for r in records for name in r.metrics["per_class"]))
    rows = []
    for name in names:
        seen = next(r.seen[name] for r in records if name in r.seen)
        kind = "seen" if seen else "unseen"
        row = [Cell(name), Cell(kind, badge=kind)]
        if counts:
            row.append(Cell(str(counts.get(name, 0)), counts.get(name, 0), True))
        values = [r.metrics["per_class"].get(name) for r in records]
        row += [_number(value) for value in values]
        if len(records) == 2:
            row.append(_difference(values[1], values[0]))
        rows.append(row)
    title = "Classes"
    if len(records) == 2:
        shared = [n for n in names if all(n in r.metrics["per_class"] for r in records)]
        pair = [[r.metrics["per_class"][n] for n in shared] for r in records]
        mean, half = paired_difference(pair[1], pair[0])
        title += f": mean difference over classes {100 * mean:+.1f} ± {100 * half:.1f} points"
    return Table(title, columns, rows)


def _confusion_tables(records: list[Record]) -> list[Table]:
    found = []
    for record in records:
        confused = findings.confusion(record)
        if not confused or not confused.pairs:
            continue
        rows = [
            [Cell(true), Cell(given), _number(rate), Cell(str(count), count, True)]
            for true, given, rate, count in confused.pairs
        ]
        title = "Most frequent confusions" + (f": {record.label}" if len(records) > 1 else "")
        columns = [Column("true class"), Column("called"), Column("share", True), Column("images", True)]
        found.append(Table(title, columns, rows))
    return found


def _shift_table(records: list[Record], group: str) -> Table:
    columns = [Column("measure"), Column("range"), Column("better")]
    for record in records:
        columns += [Column("value" if len(records) == 1 else record.label, True)]
    columns += [Column("ideal, or real features", True)]
    rows = []
    for measure in MEASURES[group]:
        row = [Cell(measure.title, hint=measure.meaning), Cell(measure.range), Cell(measure.better)]
        row += [_plain(measure.value(record.shifts)) for record in records]
        row.append(_plain(measure.of_real(records[0].shifts)))
        rows.append(row)
    return Table(f"{group}. {GROUPS[group]}", columns, rows)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> Cell:
    return Cell(_percent(value), "" if value is None else value, True)


def _plain(value: float | None) -> Cell:
    return Cell("–" if value is None else f"{value:.3g}", "" if value is None else value, True)


def _difference(value: float | None, base: float | None) -> Cell:
    if value is None or base is None:
        return Cell("–", "", True)
    gap = value - base
    return Cell(f"{100 * gap:+.1f}", gap, True, "up" if gap > 0 else "down" if gap < 0 else "")
