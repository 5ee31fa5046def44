"""The tables of the page: a leaderboard, classes, confusions, measures, members."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gsmflow.data.lending import Setting
from gsmflow.report import findings
from gsmflow.report.cards import estimates, percent
from gsmflow.report.measures import GROUPS, MEASURES
from gsmflow.report.record import Record
from gsmflow.scores.gzsl import SCORES, paired_difference


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Parameters
    ----------
    text : str
        The visible text.
    value : float | str | None
        The key by which the column is sorted; None: the text.
    number : bool
        Whether it is aligned to the right, as all numbers are.
    tone : str
        ``up``, ``down`` or empty: the colour of a difference.
    badge : str
        A short word shown beside the text.
    hint : str
        Shown when the mouse is over the cell.
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
        Whether it holds numbers.
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
        One list of cells for each row.
    below : list[tuple[str, str]]
        What has no place in a row: a name and a sentence about it, each on a line of the table's whole width.
    """

    title: str
    columns: list[Column]
    rows: list[list[Cell]]
    below: list[tuple[str, str]] = field(default_factory=list)


def leaderboard(records: list[Record]) -> Table:
    """Scores of every run, the best first, and their differences from those of the run that was named first.

    Each setting has its own ranking, inductive runs first; upper bounds come last and are not ranked.
    """
    expected = [estimates(record.metrics) for record in records]
    settings = [record.setting for record in records]
    told = any(setting is not Setting.INDUCTIVE for setting in settings)
    columns = [
        Column("place", True),
        Column("run"),
        *([Column("setting")] if told else []),
        Column("protocol"),
    ]
    columns += [column for s in SCORES for column in (Column(s, True), Column(f"Δ {s}", True))]
    columns += [Column("H on validation", True)] if any(expected) else []
    oracles = any(record.metrics.get("oracle") for record in records)
    columns += [Column("oracle H (chosen on test)", True)] if oracles else []
    columns += [Column("seconds", True)]

    def standing(index: int) -> tuple[int, bool, float]:
        """Inductive runs come first; within a setting, runs with H on the test set, then those with an estimate."""
        measured, rank = records[index].metrics["H"], list(Setting).index(settings[index])
        return rank, measured is None, -(expected[index].get("H", 0.0) if measured is None else measured)

    rows = []
    places: Counter[Setting] = Counter()
    for index in sorted(range(len(records)), key=standing):
        record, setting = records[index], settings[index]
        places[setting] += 1
        ranked = setting is not Setting.UPPER_BOUND
        row = [Cell(str(places[setting]) if ranked else "–", len(rows) + 1, True), Cell(record.label)]
        row += [Cell(setting.short)] if told else []
        row.append(Cell(record.metrics["protocol"]))
        for score in SCORES:
            value, first = record.metrics[score], records[0].metrics[score]
            row.append(_number(value))
            row.append(_difference(value, first) if index else Cell("", "", True))
        if any(expected):
            row.append(_number(expected[index].get("H")))
        if oracles:
            oracle = record.metrics.get("oracle")
            row.append(_number(oracle["H"] if oracle else None))
        seconds = record.metrics["seconds"]["total"]
        row.append(Cell(f"{seconds:.1f}", seconds, True))
        rows.append(row)
    return Table(f"Leaderboard, with differences from {records[0].label}", columns, rows)


def member_table(record: Record) -> Table | None:
    """The methods that a run tried or combines, the best in validation first; None for a run of one method."""
    members = record.metrics.get("members")
    if not isinstance(members, list) or not members:
        return None
    columns = [
        Column("method"),
        Column("H on validation", True),
        Column("weight", True),
        Column("seconds", True),
    ]
    rows = []
    for member in sorted(members, key=lambda each: -(each.get("H") or 0.0) * each.get("ranks", True)):
        weight, seconds = member.get("weight"), member.get("seconds")
        rows.append(
            [
                Cell(str(member.get("label") or member.get("name", ""))),
                _number(member.get("H") if member.get("ranks", True) else None),
                Cell("–" if weight is None else f"{weight:.2f}", "" if weight is None else weight, True),
                Cell("–" if seconds is None else f"{seconds:.1f}", "" if seconds is None else seconds, True),
            ]
        )
    left_out = record.metrics.get("left_out")
    below = [(f"{label} was left out", str(why)) for label, why in left_out.items()] if left_out else []
    return Table("Methods tried, best first", columns, rows, below)


def class_table(records: list[Record]) -> Table:
    """Accuracy of every class in each run."""
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


def confusion_tables(records: list[Record]) -> list[Table]:
    """The most frequent confusions of each run."""
    tables = []
    for record in records:
        confused = findings.confusion(record)
        if not confused or not confused.pairs:
            continue
        rows = [
            [Cell(true), Cell(given), _number(rate), Cell(str(count), count, True)]
            for true, given, rate, count in confused.pairs
        ]
        title = "Most frequent confusions" + (f": {record.label}" if len(records) > 1 else "")
        columns = [Column("true class"), Column("taken for"), Column("share", True), Column("samples", True)]
        tables.append(Table(title, columns, rows))
    return tables


def shift_table(records: list[Record], group: str) -> Table:
    """The measures of one generation shift in each run."""
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


def _number(value: float | None) -> Cell:
    return Cell(percent(value), "" if value is None else value, True)


def _plain(value: float | None) -> Cell:
    return Cell("–" if value is None else f"{value:.3g}", "" if value is None else value, True)


def _difference(value: float | None, base: float | None) -> Cell:
    if value is None or base is None:
        return Cell("–", "", True)
    gap = value - base
    return Cell(f"{100 * gap:+.1f}", gap, True, "up" if gap > 0 else "down" if gap < 0 else "")
