"""The HTML page, a single self-contained file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import tomli_w

from gsmflow.base.errors import InputError
from gsmflow.base.extras import installing
from gsmflow.base.version import __version__
from gsmflow.data.lending import Setting
from gsmflow.report import charts, findings, training_charts
from gsmflow.report.cards import cards, summary
from gsmflow.report.embedding import embed
from gsmflow.report.measures import GROUPS
from gsmflow.report.notices import notices
from gsmflow.report.page_pictures import Row, as_data_uri, rows, strips
from gsmflow.report.page_tables import (
    Table,
    class_table,
    confusion_tables,
    leaderboard,
    member_table,
    shift_table,
)
from gsmflow.report.record import Record
from gsmflow.report.shift_charts import shift_charts
from gsmflow.report.words import Reading, in_words

_SCRIPTS = ("drawing.js", "xy.js", "rows.js", "page.js")  # together one program, in this order


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    id : str
        Its anchor in the page.
    title : str
        Its heading.
    text : str
        A paragraph under the heading.
    zooms : bool
        Whether a hint says how to zoom in its charts.
    readings : list[Reading]
        The meaning of its numbers, in words.
    charts : list[int]
        Positions in the page's list of charts.
    tables : list[Table]
        Its tables.
    strips : list[dict[str, str]]
        Pictures of real and synthetic samples of classes: heading and data URLs.
    pictures : list[Row]
        Pictures of test samples, one row for each class.
    """

    id: str
    title: str
    text: str = ""
    zooms: bool = False
    readings: list[Reading] = field(default_factory=list)
    charts: list[int] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    strips: list[dict[str, str]] = field(default_factory=list)
    pictures: list[Row] = field(default_factory=list)


def all_charts(records: list[Record], embeddings: tuple[str, ...]) -> dict[str, list[charts.Chart]]:
    """Every chart of a report by its section; charts without content are left out."""
    trainings = [findings.stages(record) for record in records]
    by_section: dict[str, list[charts.Chart | None]] = {
        "curve": [charts.curve_chart(records, [findings.curve(record) for record in records])],
        "classes": [charts.class_chart(records)],
        "confusions": [
            charts.confusion_chart(record, confused)
            for record in records
            if (confused := findings.confusion(record)) and confused.pairs
        ],
        "embedding": [
            charts.embedding_chart(
                record, embed(record.samples, embeddings, unseen=record.unseen_samples), tuple(record.seen)
            )
            for record in records
            if record.samples is not None and len(record.samples.labels) > 1
        ],
        "shifts": list(shift_charts(records)),
        "training": [
            training_charts.loss_chart(records, trainings),
            training_charts.score_chart(records, trainings),
        ],
    }
    several = len(records) > 1
    if several:
        for part in ("confusions", "embedding"):
            titled = zip(by_section[part], records, strict=False)
            by_section[part] = [each | {"title": f"{each['title']}: {r.label}"} for each, r in titled if each]
    return {part: [each for each in several_ if each] for part, several_ in by_section.items()}


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
    program = "\n".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    alone = records[0] if len(records) == 1 else None
    data = json.dumps({"charts": drawn}, allow_nan=False).replace("<", "\\u003c")
    return template.render(
        title=_title(records),
        subtitle=_subtitle(records),
        statement=_statement(records),
        notices=_notices(records),
        cards=cards(alone) if alone else [],
        expectation=summary(alone) if alone else "",
        members=member_table(alone) if alone else None,
        notes=[_note(r, n, len(records)) for r in records for n in r.missing],
        sections=sections,
        charts=drawn,
        runs=[
            {"label": r.label, "folder": str(r.folder), "config": tomli_w.dumps(r.config)} for r in records
        ],
        made_by=f"Made by gsmflow {__version__}.",
        css=Markup((folder / "page.css").read_text(encoding="utf-8")),
        script=Markup(f"'use strict';\n(() => {{\n{program}}})();"),
        data=Markup(data),
    )


def _title(records: list[Record]) -> str:
    first = records[0].metrics
    if len(records) == 1:
        setting = records[0].setting
        return f"{first['method']} on {first['problem']}" + (
            f" ({setting.short})" if setting in _KNOWN else ""
        )
    return f"{len(records)} runs compared"


def _subtitle(records: list[Record]) -> str:
    if len(records) > 1:
        return ", ".join(record.label for record in records)
    m = records[0].metrics
    return f"Made in {m['seconds']['total']:.1f} seconds with preset {m['preset']} and seed {m['seed']}"


def _statement(records: list[Record]) -> str:
    said = {
        "validated": "Everything was chosen on validation problems cut from the training data; the test set was "
        "scored once.",
        "last": "The whole training budget was used and nothing was chosen by scores.",
    }
    protocols = list(dict.fromkeys(record.metrics["protocol"] for record in records))
    texts = [f"Protocol {name}: {said.get(name, '')}" for name in protocols]
    texts += [f"Setting {each.value}{_KNOWN[each]}" for each in Setting if _told(each, records)]
    if any(record.metrics.get("oracle") for record in records):
        texts.append("Oracle scores were chosen on the test set: an upper bound, not a result.")
    return " ".join(texts)


_KNOWN = {
    Setting.TRANSDUCTIVE: ": training used the features of the test samples of unseen classes, without their labels; "
    "not comparable with inductive runs.",
    Setting.UPPER_BOUND: ", half of those of the test set. The other half was scored; such runs are not ranked.",
}


def _told(setting: Setting, records: list[Record]) -> bool:
    return setting in _KNOWN and any(record.setting is setting for record in records)


def _notices(records: list[Record]) -> list[dict[str, Any]]:
    """The notices, each with the name of its run if there are several runs."""
    shown = []
    for record in records:
        for notice in notices(record, findings.taken_for(record)):
            text = f"{record.label}: {notice.text}" if len(records) > 1 else notice.text
            shown.append({"text": _pieces(text), "pair": notice.pair, "differ": notice.differ})
    return shown


def _pieces(text: str) -> list[tuple[str, bool]]:
    """A text in pieces, with whether each is code: what stands in backticks.

    >>> _pieces("Train with `--method lda`.")
    [('Train with ', False), ('--method lda', True), ('.', False)]
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a lone backtick is one
        return [(text, False)]
    return [(part, index % 2 == 1) for index, part in enumerate(parts)]


def _note(record: Record, note: str, several: int) -> str:
    return f"{record.label}: {note}" if several > 1 else note


def _sections(
    records: list[Record], by_part: dict[str, list[charts.Chart]], drawn: list[charts.Chart]
) -> list[Section]:
    def places(part: str) -> list[int]:
        return [index for index, chart in enumerate(drawn) if any(chart is each for each in by_part[part])]

    sections = []
    if len(records) > 1:
        sections.append(Section("compared", "Side by side", tables=[leaderboard(records)]))
    sections.append(
        Section(
            "scores",
            "Seen and unseen",
            zooms=True,
            charts=[*places("curve"), *places("classes")],
            tables=[class_table(records)],
        )
    )
    if by_part["confusions"]:
        sections.append(
            Section("confusions", "Confusions", charts=places("confusions"), tables=confusion_tables(records))
        )
    if len(records) == 1 and records[0].thumbnails:
        sections.append(
            Section(
                "pictures",
                "Pictures",
                "One row for each class, those with most mistakes first: test pictures with a wrong label, and of the "
                "recognised ones those with the highest and the lowest probability.",
                pictures=rows(records[0]),
            )
        )
    pictures = [strip for record in records for strip in strips(record)] if len(records) == 1 else []
    if by_part["embedding"] or pictures:
        shown = [
            {"name": s.name, "real": as_data_uri(s.real), "synthetic": as_data_uri(s.synthetic)}
            for s in pictures
        ]
        sections.append(
            Section(
                "features",
                "Real and synthetic features",
                "The classes named below the plot are highlighted; choose others by their names.",
                True,
                charts=places("embedding"),
                strips=shown,
            )
        )
    if any(record.shifts for record in records):
        alone = records[0].shifts if len(records) == 1 else None
        judge = next(record.shifts["judge"] for record in records if record.shifts)
        text = f"Compared with {judge}. These numbers were not used to choose anything."
        sections.append(
            Section(
                "shifts",
                "Generation shifts",
                text,
                True,
                readings=in_words(alone) if alone else [],
                charts=places("shifts"),
                tables=[shift_table(records, group) for group in GROUPS],
            )
        )
    if by_part["training"]:
        sections.append(Section("training", "Training", zooms=True, charts=places("training")))
    return sections
