"""The tables of `gsmflow evaluate`: scores, and a line a class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gsmflow.base.suggest import listed
from gsmflow.cli.display import closing_table
from gsmflow.cli.display_concerns import tell_outside
from gsmflow.cli.display_images import tell_unreadable
from gsmflow.cli.saying import say
from gsmflow.cli.wide import show_table

if TYPE_CHECKING:
    from gsmflow.runs.evaluating import Measured

_NAMED = 6  # classes named in a sentence
_SHOWN = 40  # classes told one by one


def tell_evaluated(measured: Measured, where: str) -> None:
    """Print on stderr what a person has to know to read the scores right."""
    for note in measured.notes:
        say(note, indent=2)
    tell_outside(measured.outside, sum(measured.samples.values()), where)
    tell_unreadable(measured.unreadable, None)


def show_evaluation(result: Mapping[str, Any], measured: Measured, tested: str) -> None:
    """Print the scores, which of them are not known and why, and how often each class is right.

    Parameters
    ----------
    result : Mapping[str, Any]
        What ``--json`` prints.
    measured : Measured
        The scores.
    tested : str
        What the samples are, in a word or two.
    """
    console = Console(markup=False, highlight=False)
    total = sum(measured.samples.values())
    right = round(measured.accuracy * total) if total else 0
    closing_table(result, tested)
    if not total:
        console.print("Its test set has no samples; name labelled ones, such as a folder of class folders.")
        return
    sentences = [
        *_unknown(measured),
        f"{right} of {total} right. U and S are the percent right of unseen and of seen classes, as means over "
        "classes; H is the harmonic mean of both.",
    ]
    for line in sentences:
        console.print(line, soft_wrap=not console.is_terminal)
    lines = list(_lines(measured))
    show_table(console, ("class", "", "right", "taken for"), lines[:_SHOWN])
    if len(lines) > _SHOWN:
        console.print(f"and {len(lines) - _SHOWN} classes more, with as many right or more; all: --json")


def _unknown(measured: Measured) -> Iterator[str]:
    """Which scores cannot be known."""
    for score, classes, kind in (("U", measured.unseen, "without"), ("S", measured.seen, "with")):
        if not any(name in measured.samples for name in classes):
            few = f" ({listed(classes)})" if len(classes) <= _NAMED else ""
            there = f"no sample of the {len(classes)} classes {kind} training samples{few}" if classes else ""
            yield f"{score} and H are not known: {there or f'the run has no class {kind} training samples'}."


def _lines(measured: Measured) -> Iterator[tuple[str, str, str, str]]:
    """A line a class: unseen ones first, the least recognised of a kind first."""
    for kind, classes in (("unseen", measured.unseen), ("", measured.seen)):
        there = [name for name in classes if name in measured.samples]
        for name in sorted(there, key=lambda name: measured.scores.per_class[name]):
            count, wrong = measured.samples[name], measured.taken_for.get(name, {})
            most = ", ".join(f"{other} {times}" for other, times in list(wrong.items())[:2])
            yield name, kind, f"{count - sum(wrong.values())} of {count}", most
