"""What `benchmarks.stacks` measured, as tables of docs/results.md."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from scipy.stats import spearmanr

from benchmarks.drawn import Drawn
from benchmarks.measure import records, where_measured
from benchmarks.stacks import ALONE, FILE, PUBLISHED, SMALL, WHOLE, WITHOUT
from gsmflow.scores.gzsl import mean_interval

Lines = dict[str, dict[str, str]]
"""The lines of one problem and seed, by what was measured."""
_FLOWS = ("gsmflow", "plain gsmflow")


def runs() -> dict[tuple[str, str], Lines]:
    """What is on record, by problem and seed, in the order in which problems are measured."""
    grouped: dict[tuple[str, str], Lines] = defaultdict(dict)
    for line in records(FILE):
        grouped[line["problem"], line["seed"]][line["what"]] = line
    order = [drawn.name for drawn in (*PUBLISHED, *SMALL)]
    return {key: grouped[key] for key in sorted(grouped, key=lambda key: (order.index(key[0]), key[1]))}


def autos(problem: str) -> dict[str, dict[str, str]]:
    """The scores of auto on a problem, by seed."""
    return {seed: lines[WHOLE] for (name, seed), lines in runs().items() if name == problem}


def stacks_table() -> str | None:
    """H of auto on every problem beside that of its members alone; None where nothing is on record."""
    measured = runs()
    if not measured:
        return None
    rows = [
        "| problem | seeds | auto | with the best bias | the member that validation ranks first | auto minus that | "
        "the best flow alone | ranks: validation and test |",
        "| --- " * 8 + "|",
    ]
    gains: list[float] = []
    by_problem: list[float] = []
    for problem in dict.fromkeys(name for name, _ in measured):
        of_problem = [lines for (name, _), lines in measured.items() if name == problem]
        own = [_percent(lines[WHOLE]) for lines in of_problem]
        first = [_first(lines) for lines in of_problem]
        differences = [one - _percent(other) for one, other in zip(own, first, strict=True)]
        gains += differences
        by_problem.append(sum(differences) / len(differences))
        flows = [best for best in map(_best_flow, of_problem) if best is not None]
        names = ", ".join(dict.fromkeys(line["what"].removeprefix(ALONE) for line in first))
        best = [_percent(lines[WHOLE], "oracle_H") for lines in of_problem]
        rows.append(
            f"| {problem} | {len(own)} | {_text(own)} | {_text(best)} | "
            f"{_text(map(_percent, first))} ({names}) | {_text(differences, sign=True)} | "
            f"{_text(flows) if flows else 'left out'} | {_text(map(_ranks, of_problem), digits=2)} |"
        )
    rows += [
        "",
        f"Over all {len(gains)} runs: {_text(gains, sign=True)}; the worst run {min(gains):+.1f}, the worst "
        f"problem on average {min(by_problem):+.1f}.",
    ]
    where = where_measured(line for each in measured.values() for line in each.values())
    return "\n".join([*rows, "", f"Measured on {where}; one thread, beside other work."])


def curves_table() -> str | None:
    """H of auto, and in brackets of the best flow alone, by seen classes and images of each; None without runs."""
    measured = runs()
    counts = sorted({drawn.seen for drawn in SMALL})
    rows = [
        f"| drawn from | images a class | {' | '.join(f'{count} seen classes' for count in counts)} | all |",
        "| --- " * (len(counts) + 3) + "|",
    ]
    for base in PUBLISHED:
        whole = _auto_and_flow(measured, base.name)
        for images in sorted({drawn.images for drawn in SMALL if drawn.base == base.base}):
            cells = [_auto_and_flow(measured, Drawn(base.base, count, images).name) for count in counts]
            rows.append(f"| {base.name} | {images} | {' | '.join(cells)} | {whole} |")
    return "\n".join(rows) if measured else None


def _auto_and_flow(measured: dict[tuple[str, str], Lines], problem: str) -> str:
    """Mean H of auto, and in brackets of the best flow if it was judged in every run; empty without runs."""
    of_problem = [lines for (name, _), lines in measured.items() if name == problem]
    if not of_problem:
        return ""
    own = np.mean([_percent(lines[WHOLE]) for lines in of_problem])
    flows = [best for best in map(_best_flow, of_problem) if best is not None]
    return f"{own:.1f} ({f'{np.mean(flows):.1f}' if len(flows) == len(of_problem) else 'left out'})"


def without_table() -> str | None:
    """What auto loses without each of its members, over all runs in which that had a weight."""
    lost: dict[str, list[float]] = defaultdict(list)
    for lines in runs().values():
        for what, line in lines.items():
            if what.startswith(WITHOUT):
                lost[what.removeprefix(WITHOUT)].append(_percent(lines[WHOLE]) - _percent(line))
    if not lost:
        return None
    lines = [
        "| member | runs in which it has a weight | H of auto minus H without it |",
        "| --- | --- | --- |",
    ]
    for name, values in sorted(lost.items(), key=lambda item: -len(item[1])):
        lines.append(f"| {name} | {len(values)} | {_text(values, sign=True)} |")
    return "\n".join(lines)


def _first(lines: Lines) -> dict[str, str]:
    """The member alone with the highest H on validation."""
    alone = [line for what, line in lines.items() if what.startswith(ALONE)]
    return max(alone, key=lambda line: float(line["validation_H"]))


def _best_flow(lines: Lines) -> float | None:
    """H of the flow that validation ranks first; None where both were left out."""
    flows = [lines[ALONE + name] for name in _FLOWS if ALONE + name in lines]
    return _percent(max(flows, key=lambda line: float(line["validation_H"]))) if flows else None


def _ranks(lines: Lines) -> float:
    """Spearman's correlation of members' H on validation and, with the best bias, on the test set."""
    alone = [line for what, line in lines.items() if what.startswith(ALONE)]
    validation, test = ([float(line[name]) for line in alone] for name in ("validation_H", "oracle_H"))
    return float(np.asarray(spearmanr(validation, test))[0])


def _percent(line: dict[str, str], name: str = "H") -> float:
    return 100 * float(line[name])


def _text(values: Iterable[float], *, sign: bool = False, digits: int = 1) -> str:
    """Mean and interval; the values themselves where they are two at most."""
    each = list(values)
    form = f"{'+' if sign else ''}.{digits}f"
    if len(each) < 3:
        return ", ".join(f"{value:{form}}" for value in each)
    mean, half = mean_interval(each)
    return f"{mean:{form}} ± {half:.{digits}f}"
