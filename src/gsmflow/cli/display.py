"""Tables and findings that a command prints at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gsmflow.cli.saying import say
from gsmflow.cli.wide import show_table
from gsmflow.data.problem import Problem
from gsmflow.scores.gzsl import GZSL_SCORES, SCORES

if TYPE_CHECKING:
    from gsmflow.runs.add_classes import Addition


def closing_table(result: Mapping[str, Any], tested: str = "test set") -> None:
    """Print the scores of a run on what was tested."""
    from gsmflow.protocol.choice import ChosenOn
    from gsmflow.runs.metrics import Chosen

    title = f"{result['problem']}: {result['method']}, seed {result['seed']}"
    table = Table(title=title + _setting(result), title_justify="left")
    table.add_column("")
    for column in SCORES:
        table.add_column(column, justify="right")
    table.add_row(
        f"{tested}, protocol {result['protocol']}",
        *(_percent(result[c]) for c in SCORES),
    )
    chosen, oracle = result.get("chosen"), result.get("oracle")
    trusted = False
    if chosen:
        trusted = Chosen.from_dict(chosen, "chosen").on is ChosenOn.VALIDATION
        table.add_row(
            "validation problem, where it was chosen" if trusted else chosen["on"],
            *(_percent(chosen[c]) if trusted or c == "S" else "" for c in GZSL_SCORES),
            "",
            "",
            style="dim",
        )
    if oracle:
        table.add_row(
            "oracle (chosen on the test set)",
            *(_percent(oracle[c]) for c in GZSL_SCORES),
            "",
            "",
            style="dim",
        )
    console = Console(markup=False)
    console.print(table)
    if chosen and trusted and result["U"] is None and chosen.get("U"):
        console.print(
            f"U, for classes without test samples, is not known; expect about {100 * chosen['U']:.0f} %, as classes "
            "held out for validation reached.",
            highlight=False,
            soft_wrap=not console.is_terminal,
        )
    facts = []
    if "seconds" in result:
        facts.append(f"{result['seconds']['total']:.1f} seconds")
    if result.get("same_data") is False:
        facts.append("on other data than it was trained on")
    say(", ".join([*facts, f"run in {result['run']}"]), err=False)


def addition_table(addition: Addition) -> None:
    """Print how adding classes changed the accuracy of the old ones."""
    table = Table(title=Text(f"added: {', '.join(addition.added)}"), title_justify="left")
    table.add_column("old classes, test set")
    for column in GZSL_SCORES:
        table.add_column(column, justify="right")
    before, after = addition.before.to_dict(), addition.after.to_dict()
    for name, scores in (("before", before), ("after", after)):
        table.add_row(name, *(_percent(scores[column]) for column in GZSL_SCORES))
    console = Console(markup=False)
    console.print(table)
    old = addition.before.per_class
    lost = sorted((addition.after.per_class[name] - value, name) for name, value in old.items())
    worst = [f"{name} {100 * change:+.1f}" for change, name in lost[:3] if change < 0]
    facts = [f"{addition.seconds:.1f} seconds", *([f"most lost: {', '.join(worst)}"] if worst else [])]
    if not old:
        facts.append("no test samples to score")
    say(", ".join([*facts, f"new version in {addition.folder}"]), err=False)


def seeds_table(results: Sequence[Mapping[str, Any]]) -> None:
    """Print the mean of each score and, of three seeds or more, its 95% interval."""
    from gsmflow.studies.tables import Estimate, over_seeds

    title = f"{over_seeds(len(results))}, protocol {results[0]['protocol']}"
    table = Table(title=title + _setting(results[0]), title_justify="left")
    for column in SCORES:
        table.add_column(column, justify="right")
    table.add_row(*(Estimate.of([each[column] for each in results]).text() for column in SCORES))
    Console().print(table)


def _setting(result: Mapping[str, Any]) -> str:
    """What a run knew of unseen classes, where that is not the usual."""
    return f" ({result['setting']})" if "setting" in result else ""


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def problem_table(problem: Problem) -> None:
    """Print what `gsmflow data PROBLEM` shows."""
    console = Console(markup=False)
    soft = not console.is_terminal
    counts = problem.summary()
    console.print(Text(f"{problem.name}: read and checked", style="italic"))
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in counts["counts"].items():
        table.add_row(name.replace("_", " "), str(value))
    console.print(table)
    for kind in ("seen", "unseen"):
        names = counts["classes"][kind]
        shown = ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
        console.print(f"{kind} classes: {shown}", highlight=False, markup=False, soft_wrap=soft)
    few = [f"{name} ({count})" for name, count in counts["training_samples"].items() if 0 < count < 10]
    if few:
        console.print(
            f"few training samples: {', '.join(few[:12])}",
            highlight=False,
            markup=False,
            soft_wrap=soft,
        )
    for key, note in counts["notes"].items():
        console.print(
            f"{key.replace('_', ' ')}: {note}",
            highlight=False,
            markup=False,
            soft_wrap=soft,
        )


def data_table(known: Sequence[Any], data_root: Path) -> None:
    """Print what `gsmflow data` shows."""
    console = Console()
    soft = not console.is_terminal
    names = (
        "name",
        "found",
        "samples",
        "features",
        "semantics",
        "seen + unseen",
        "train / test seen / unseen",
    )
    lines = []
    for each in known:
        counts = each.counts
        lines.append(
            (
                each.name,
                "yes" if each.found else "unreadable" if each.message else "no",
                str(counts["samples"]) if counts else "",
                f"{counts['feature_dim']}-d {', '.join(each.features)}"
                if counts
                else ", ".join(each.features),
                f"{counts['semantic_dim']}-d {', '.join(each.semantics)}" if counts else "",
                f"{counts['seen']} + {counts['unseen']}" if counts else "",
                f"{counts['train']} / {counts['test_seen']} / {counts['test_unseen']}" if counts else "",
            )
        )
    show_table(console, names, lines, title=f"Data sets, looked for under {data_root}")
    for each in known:
        lines = [f"{each.name}: {each.title}"]
        if each.split:
            lines.append(f"split: {each.split}")
        if each.message:
            lines.append(each.message)
        if each.expected and not each.found:
            lines.append(f"expected: {', '.join(each.expected)}")
            lines.append(f"bring it: gsmflow data get {each.name}")
        lines.append(f"from: {each.citation}")
        console.print("\n  ".join(lines), highlight=False, markup=False, soft_wrap=soft)
