"""Tables of finished runs: means with intervals over seeds, and paired differences, in several formats."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gsmflow.data.lending import Setting
from gsmflow.scores.gzsl import SCORES, mean_interval, paired_difference

_TEXTS = ("problem", "method", "setting")  # columns that hold no numbers
FEW = 3  # seeds from which an interval is shown: of two it is 6.4 times as wide as they are apart


@dataclass(frozen=True)
class Estimate:
    """Mean over seeds with its 95% interval (Student's t).

    Parameters
    ----------
    mean : float
        The mean; NaN without values.
    half : float
        Half the width of the interval; NaN with fewer than two values.
    count : int
        Number of values.
    """

    mean: float
    half: float
    count: int

    @staticmethod
    def of(values: Sequence[float | None]) -> Estimate:
        """The estimate from the values that are finite."""
        present = [v for v in values if v is not None]
        mean, half = mean_interval(present)
        return Estimate(mean, half, len(present))

    def text(self, factor: float = 100.0, digits: int = 1, sign: bool = False) -> str:
        """``54.8 ± 2.2``; the mean alone where there are fewer than three seeds; ``-`` where there is nothing."""
        if not math.isfinite(self.mean):
            return "-"
        shown = f"{factor * self.mean:{'+' if sign else ''}.{digits}f}"
        if self.count < FEW or not math.isfinite(self.half):
            return shown
        return f"{shown} ± {factor * self.half:.{digits}f}"

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain values, None for NaN."""
        return {
            "mean": self.mean if math.isfinite(self.mean) else None,
            "half_width": self.half if math.isfinite(self.half) else None,
            "seeds": self.count,
        }


def over_seeds(count: int) -> str:
    """What a table of so many seeds shows.

    >>> over_seeds(5), over_seeds(2)
    ('5 seeds, mean ± 95% interval', '2 seeds, mean (an interval takes 3)')
    """
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    return f"{seeds}, mean ± 95% interval" if count >= FEW else f"{seeds}, mean (an interval takes {FEW})"


@dataclass(frozen=True)
class Row:
    """One variant on one problem.

    Parameters
    ----------
    problem : str
        Name of the problem.
    label : str
        Label of the variant.
    protocol : str
        ``validated`` or ``last``.
    scores : dict[str, Estimate]
        U, S, H, T1, AUSUC on the test set under the protocol.
    seconds : Estimate
        Duration of a run.
    oracle : Estimate | None
        H of the best choice on the test set.
    difference : Estimate | None
        H minus that of the reference, paired by seed; None for the reference itself.
    others : dict[str, Estimate]
        What else was measured, by name.
    failed : tuple[int, ...]
        Seeds that gave no result.
    setting : Setting
        What its trainings knew of unseen classes. Only inductive rows compete.
    """

    problem: str
    label: str
    protocol: str
    scores: dict[str, Estimate]
    seconds: Estimate
    oracle: Estimate | None
    difference: Estimate | None
    others: dict[str, Estimate] = field(default_factory=dict)
    failed: tuple[int, ...] = ()
    setting: Setting = Setting.INDUCTIVE

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "problem": self.problem,
            "method": self.label,
            "protocol": self.protocol,
            "setting": self.setting.value,
            **{name: estimate.to_dict() for name, estimate in self.scores.items()},
            "seconds": self.seconds.to_dict(),
            "oracle_H": self.oracle.to_dict() if self.oracle else None,
            "difference_H": self.difference.to_dict() if self.difference else None,
            **{name: estimate.to_dict() for name, estimate in self.others.items()},
            "failed_seeds": list(self.failed),
        }


def rows_of(
    results: Mapping[tuple[str, str, int], dict[str, Any] | None],
    *,
    protocol: str,
    reference: str | None,
    others: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Row]:
    """The rows, problem by problem, in the order of the results.

    Parameters
    ----------
    results : Mapping[tuple[str, str, int], dict[str, Any] | None]
        Metrics by (problem, label, seed), None for a failed one.
    protocol : str
        ``validated`` or ``last``.
    reference : str | None
        The label that H is compared to.
    others : Mapping[str, tuple[str, ...]] | None
        Further numbers of the metrics by name, each with the path of its keys.
    """
    keys = list(dict.fromkeys((problem, label) for problem, label, _ in results))
    rows = []
    for problem, label in keys:
        by_seed = {seed: m for (p, n, seed), m in results.items() if (p, n) == (problem, label)}
        there = {seed: m for seed, m in by_seed.items() if m is not None}
        base = {s: m for (p, n, s), m in results.items() if (p, n) == (problem, reference) and m is not None}
        # Without test pictures of seen, or of unseen, classes there is no H.
        shared = [s for s in there if s in base and None not in (there[s]["H"], base[s]["H"])]
        setting, compared = (_setting_of(each.values()) for each in (there, base))
        difference = None
        # An upper bound is scored on other samples, so it is not ranked.
        bound = Setting.UPPER_BOUND in (setting, compared)
        if reference and label != reference and shared and not bound:
            mean, half = paired_difference([there[s]["H"] for s in shared], [base[s]["H"] for s in shared])
            difference = Estimate(mean, half, len(shared))
        rows.append(
            Row(
                problem,
                label,
                protocol,
                {name: Estimate.of([m[name] for m in there.values()]) for name in SCORES},
                Estimate.of([m["seconds"]["total"] for m in there.values()]),
                Estimate.of([m["oracle"]["H"] for m in there.values() if "oracle" in m])
                if any("oracle" in m for m in there.values())
                else None,
                difference,
                {
                    name: Estimate.of([_at(m, path) for m in there.values()])
                    for name, path in (others or {}).items()
                },
                tuple(s for s, m in by_seed.items() if m is None),
                setting,
            )
        )
    return sorted(rows, key=lambda row: [p for p, _ in keys].index(row.problem))


def _setting_of(metrics: Iterable[Mapping[str, Any]]) -> Setting:
    """The setting of runs of one variant."""
    return Setting(next((each["setting"] for each in metrics if "setting" in each), Setting.INDUCTIVE))


def _at(metrics: Any, path: Sequence[str]) -> float | None:
    for key in path:
        metrics = metrics.get(key) if isinstance(metrics, Mapping) else None
    return metrics if isinstance(metrics, int | float) else None


def cells(rows: Sequence[Row], reference: str | None) -> tuple[list[str], list[list[str]]]:
    """Names of the columns and texts of the cells, for tables of every format."""
    oracle = any(row.oracle for row in rows)
    told = any(row.setting is not Setting.INDUCTIVE for row in rows)
    names = ["problem", "method", *(["setting"] if told else []), *SCORES, "seconds"]
    names += [f"H minus {reference}'s"] if reference else []
    extra = list(rows[0].others) if rows else []
    names += extra
    names += ["oracle H (chosen on test)"] if oracle else []
    texts = []
    for row in rows:
        line = [row.problem, row.label + (f" ({len(row.failed)} failed)" if row.failed else "")]
        line += [row.setting.value] if told else []
        line += [row.scores[name].text() for name in SCORES]
        line.append(_seconds(row.seconds.mean) if row.seconds.count else "-")
        if reference:
            line.append(row.difference.text(sign=True) if row.difference else "")
        line += [row.others[name].text(1, 2) for name in extra]
        if oracle:
            line.append(row.oracle.text() if row.oracle else "-")
        texts.append(line)
    return names, texts


def _seconds(mean: float) -> str:
    return f"{mean:.0f}" if mean >= 10 else f"{mean:.1f}"


def markdown(rows: Sequence[Row], reference: str | None) -> str:
    """A Markdown table."""
    names, texts = cells(rows, reference)
    lines = [names, ["---" if name in _TEXTS else "---:" for name in names], *texts]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def latex(rows: Sequence[Row], reference: str | None) -> str:
    r"""A LaTeX tabular for booktabs; the highest mean of H of each problem, of inductive rows alone, is bold."""
    names, texts = cells(rows, reference)
    competing = [row for row in rows if row.setting is Setting.INDUCTIVE]
    best = {
        row.problem: max(r.scores["H"].mean for r in competing if r.problem == row.problem)
        for row in competing
    }
    h = names.index("H")
    lines = [
        r"\begin{tabular}{" + "".join("l" if name in _TEXTS else "r" for name in names) + "}",
        r"\toprule",
        _latex_row(names),
        r"\midrule",
    ]
    for row, line in zip(rows, texts, strict=True):
        shown = [_escaped(cell) for cell in line]
        if row in competing and row.scores["H"].mean == best[row.problem]:
            shown[h] = r"\textbf{" + shown[h] + "}"
        lines.append(" & ".join(shown) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _latex_row(texts: Sequence[str]) -> str:
    return " & ".join(map(_escaped, texts)) + r" \\"


def _escaped(text: str) -> str:
    special = {c: "\\" + c for c in "&%$#_{}"} | {
        "±": r"$\pm$",
        "\\": r"\textbackslash{}",
        "~": r"\~{}",
        "^": r"\^{}",
    }
    return "".join(special.get(c, c) for c in text)


def comma_separated(rows: Sequence[Row]) -> str:
    """CSV with one line a row; means and half widths are fractions in columns of their own."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    columns: list[str] = []
    lines = []
    for row in rows:
        flat: dict[str, Any] = {"problem": row.problem, "method": row.label, "protocol": row.protocol}
        flat["setting"] = row.setting.value
        for name, value in row.to_dict().items():
            if isinstance(value, dict):
                flat |= {name: value["mean"], f"{name}_half_width": value["half_width"]}
        flat["seeds"], flat["failed"] = row.scores["H"].count, len(row.failed)
        columns = list(dict.fromkeys([*columns, *flat]))
        lines.append(flat)
    table.writerow(columns)
    table.writerows([["" if line.get(c) is None else line[c] for c in columns] for line in lines])
    return out.getvalue()


def findings(rows: Sequence[Row], reference: str) -> list[str]:
    """A sentence for each row: what its paired interval says about the difference to the reference."""
    said = []
    for row in rows:
        d = row.difference
        if d is None:
            continue
        label = row.label if row.setting is Setting.INDUCTIVE else f"{row.label} ({row.setting.value})"
        text = f"{row.problem}: H of {label} is {100 * abs(d.mean):.1f} points "
        text += ("above" if d.mean > 0 else "below") + f" that of {reference}"
        if d.count < FEW or not math.isfinite(d.half):
            seeds = "one seed allows" if d.count == 1 else f"{d.count} seeds allow"
            said.append(f"{text}; {seeds} no conclusion.")
        elif abs(d.mean) > d.half:
            said.append(
                f"{text}, and the 95% interval over {d.count} seeds (± {100 * d.half:.1f}) excludes zero."
            )
        else:
            said.append(
                f"{text}, but the 95% interval over {d.count} seeds (± {100 * d.half:.1f}) includes zero: no "
                "difference is shown."
            )
    return said
