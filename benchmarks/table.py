"""Writes the tables of docs/performance.md and results.md from benchmarks/results: ``python -m benchmarks.table``."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import fair, methods
from benchmarks.measure import RESULTS, where_measured
from benchmarks.sizes import SYNTHETIC
from benchmarks.soak import WARM_UP
from benchmarks.stack_tables import autos, curves_table, stacks_table, without_table
from benchmarks.variants import OPTIONS, Option
from gsmflow.methods import find_method, method_names
from gsmflow.studies.tables import SCORES, Row, rows_of

DOCS = Path(__file__).parent.parent / "docs"


def step_table(measured: dict[str, Any]) -> str:
    """Seconds a step of every way, and how many times as fast."""
    lines = _step_lines("cpu", measured["cpu"], digits=0)
    key = "log-determinant in bfloat16, largest relative error"
    if key in measured:
        lines += [
            "",
            f"Log-determinant in bfloat16 against float64: off by {measured[key]:.1e} of its value at most.",
        ]
    return "\n".join([*lines, "", machine_line(measured["machine"])])


def _step_lines(device: str, part: dict[str, Any], digits: int) -> list[str]:
    lines = [
        "| device | way | ms a step (median, least to most) | times as fast |",
        "| --- | --- | --- | --- |",
    ]
    for way, seconds in part["seconds a step"].items():
        median, least, most = (f"{1000 * seconds[k]:.{digits}f}" for k in ("median", "least", "most"))
        lines.append(f"| {device} | {way} | {median} ({least} to {most}) | {part['ratios'][way]:.2f} |")
    return lines


def gpu_table(measured: dict[str, Any]) -> str:
    """The same on a GPU, what the hardware allows, and the whole run."""
    lines = [
        *_step_lines("gpu", measured, digits=2),
        "",
        "| products in | arithmetic, ms | memory, ms | step over the larger floor |",
        "| --- | --- | --- | --- |",
    ]
    for way, floor in measured["floors"].items():
        arithmetic, memory = (1000 * floor[f"{what}, seconds"] for what in ("arithmetic", "memory"))
        lines.append(f"| {way} | {arithmetic:.2f} | {memory:.2f} | {floor['times the larger floor']:.2f} |")
    rates = measured["rates"]
    products = ", ".join(
        f"{rates[f'{way} operations a second'] / 1e12:.0f} in {way}" for way in measured["floors"]
    )
    lines += [
        "",
        f"Measured rates: copy {rates['bytes a second'] / 1e12:.2f} TB/s, products {products} TFLOP/s.",
    ]
    whole = measured["whole run"]
    parts = whole["parts"]
    lines += [
        "",
        f"Whole run of 45,500 steps: {whole['seconds']:.0f} s from start to end of the program, of which training "
        f"{parts['final']:.0f}, synthesis {parts['synthesize']:.1f}, head {parts['head']:.1f}, measures of the "
        f"shifts {parts['shifts']:.0f}.",
    ]
    return "\n".join([*lines, "", machine_line(measured["machine"])])


def run_table(measured: dict[str, Any]) -> str:
    """Synthesis and head, and the whole run."""
    lines = ["| what | way | seconds | peak memory, GiB |", "| --- | --- | --- | --- |"]
    for way, seconds in measured["a tenth of the synthetic features, seconds"].items():
        lines.append(f"| synthesis and head, a tenth, in turn | {way} | {seconds['median']:.1f} | |")
    for way, facts in measured["full size"].items():
        seconds, peak = f"{facts['seconds']:.0f}", f"{facts['peak memory, GiB']:.2f}"
        lines.append(f"| synthesis and head, full size | {way} | {seconds} | {peak} |")
    whole = measured.get("whole run, 1/50 of the epochs")
    if whole:
        lines.append(
            f"| whole run, 1/50 of the epochs | this program | {whole['seconds']:.0f} | "
            f"{whole['peak memory, GiB']:.2f} |"
        )
    lines += [
        "",
        f"Synthesis and head in turn: {measured['ratio']:.2f} times as fast. Seconds of {measured['of']}.",
    ]
    return "\n".join([*lines, "", machine_line(measured["machine"])])


def validated_table(measured: dict[str, Any]) -> str:
    """A validated run over its final training, side by side and in turn, as medians of ratios of one round."""
    ratios = (
        "side by side over the final training",
        "in turn over the final training",
        "in turn over side by side",
    )
    lines = [f"| problem | {' | '.join(ratios)} |", "| --- " * (len(ratios) + 1) + "|"]
    lines += [
        f"| {row['problem']} | {' | '.join(f'{row[name]:.2f}' for name in ratios)} |"
        for row in measured["rows"]
    ]
    rounds = len(next(iter(measured["rows"][0]["seconds"].values())))
    return "\n".join([*lines, "", f"{rounds} rounds. {machine_line(measured['machine'])}"])


def members_table(measured: dict[str, Any]) -> str:
    """`auto` side by side and in turn: seconds, and ratios as medians over rounds."""
    lines = [
        "| way | seconds (median) | of processor time | over side by side |",
        "| --- | --- | --- | --- |",
    ]
    for way, seconds in measured["seconds"].items():
        ratio = measured["over side by side"].get(way)
        told = "" if ratio is None else f"{ratio:.2f}"
        spent = statistics.median(measured["processor seconds"][way])
        lines.append(f"| {way} | {statistics.median(seconds):.0f} | {spent:.0f} | {told} |")
    rounds = len(next(iter(measured["seconds"].values())))
    return "\n".join([*lines, "", f"{rounds} rounds. {machine_line(measured['machine'])}"])


def sizes_table(measured: dict[str, Any]) -> str:
    """Time a step and peak memory as sizes grow."""
    lines = [
        "| what grows | size | ms a step, of the processor | peak memory, GiB |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['grows']} | {row['size']:,} | {1000 * row['processor seconds']:,.0f} | "
        f"{row['peak memory, GiB']:.2f} |"
        for row in measured["rows"]
    ]
    lines += [
        "",
        f"Synthesis of {SYNTHETIC:,} features in all and an epoch of the head:",
        "",
        "| unseen classes | seconds of the processor | peak memory, GiB |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| {row['size']:,} | {row['processor seconds']:.0f} | {row['peak memory, GiB']:.2f} |"
        for row in measured["synthesis and head"]
    ]
    shard = measured["stream"]
    lines += [
        "",
        f"A stream of {shard['features in all']:,} features, real and synthetic, in {shard['shards']} shards: "
        f"{shard['processor seconds']:.1f} seconds of the processor a shard, head included; at most "
        f"{shard['peak memory, GiB']:.2f} GiB.",
    ]
    return "\n".join([*lines, "", machine_line(measured["machine"])])


def soak_table(measured: dict[str, Any]) -> str:
    """What trainer and service held, and how much more at the end than after the warm-up."""
    answers = measured["answers"]
    refused = answers["refused"]
    lines = [
        f"{measured['minutes']:g} minutes, {measured['runs']} whole runs; {sum(answers.values()):,} requests answered, "
        f"{refused:,} of them refused as they should be, {answers['add']} classes learned.",
        "",
        "| process | private memory, MiB: start, after a quarter, end | the fitted line rises by | file handles |",
        "| --- | --- | --- | --- |",
    ]
    rows, count = measured["rows"], measured["runs"] - int(WARM_UP * measured["runs"])
    quarter = next(row for row in rows if row["minutes"] >= rows[-1]["minutes"] / 4)
    for who in ("trainer", "service"):
        memory = ", ".join(f"{row[f'{who} MiB']:.0f}" for row in (rows[0], quarter, rows[-1]))
        rise = measured["growth a run"][f"{who} MiB"] * count
        handles = sorted({row[f"{who} handles"] for row in rows})
        lines.append(f"| {who} | {memory} | {rise:+.1f} | {' to '.join(map(str, handles))} |")
    return "\n".join([*lines, "", machine_line(measured["machine"])])


def answers_table(measured: dict[str, Any]) -> str:
    """Seconds from a command to its answer, and how long it may take."""
    lines = ["| command | seconds (median, least to most) | at most |", "| --- | --- | --- |"]
    for command, seconds in measured["seconds"].items():
        median, least, most = (f"{seconds[name]:.2f}" for name in ("median", "least", "most"))
        lines.append(f"| `{command}` | {median} ({least} to {most}) | {seconds['allowed'] or ''} |")
    return "\n".join([*lines, "", machine_line(measured["machine"])])


def machine_line(facts: dict[str, Any], threads: int | None = None) -> str:
    """The machine in a sentence; threads: of a run, where that is not what the benchmark itself had."""
    half = "with" if facts["bfloat16 hardware"] else "without"
    return (
        f"Measured {facts['date']} on {facts['cores']} cores of {facts['processor']}, {half} bfloat16 "
        f"hardware, GPU: {facts['gpu'] or 'none'}; torch {facts['torch']}, threads: {threads or facts['threads']}."
    )


def methods_table(problem: str) -> str | None:
    """Scores of all methods on a problem, the highest H first, and what the intervals allow to say; None without runs.

    Those of ``auto`` are from `benchmarks.stacks`, with the same seeds and protocol.
    """
    lines = {key: record for key, record in methods.kept().items() if key[0] == problem}
    if not lines:
        return None
    lines |= {(problem, "auto", int(seed)): line for seed, line in autos(problem).items()}
    results = {
        key: {name: float(record[name]) for name in SCORES} | {"seconds": {"total": float(record["seconds"])}}
        for key, record in lines.items()
    }
    rows = rows_of(results, protocol="validated", reference=methods.REFERENCE)
    rows.sort(key=lambda row: -row.scores["H"].mean)
    table = [
        f"| method | seeds | {' | '.join(SCORES)} | H minus {methods.REFERENCE}'s | seconds a run |",
        "| --- " * (len(SCORES) + 4) + "|",
    ]
    for row in rows:
        scores = " | ".join(row.scores[name].text() for name in SCORES)
        count, seconds = row.scores["H"].count, f"{row.seconds.mean:.3g}"
        table.append(f"| {row.label} | {count} | {scores} | {_difference(row)} | {seconds} |")
    measured = {method for _, method, _ in lines}
    others = [name for name in method_names() if name not in measured and not _apart(name)]
    if others:
        table += ["", f"Not run with this preset yet: {', '.join(others)}."]
    where = where_measured(lines.values())
    return "\n".join(
        [
            *table,
            "",
            f"Measured on {where}; one thread a run, beside other work, so seconds are upper bounds.",
        ]
    )


def _apart(name: str) -> bool:
    """Whether a method is no competitor on these problems: an upper bound, or one that takes an image-text model."""
    method = find_method(name)
    return method.upper_bound or method.untrained


def fair_table(problem: str) -> str | None:
    """Every method with what tuning on validation problems found in the same time, the highest H first."""
    records = {key: record for key, record in fair.kept().items() if key[0] == problem}
    if not records:
        return None
    results = {
        (problem, method, int(seed)): {name: float(record[name]) for name in SCORES}
        | {"seconds": {"total": float(record["seconds"])}}
        for (_, method, seed), record in records.items()
    }
    rows = sorted(
        rows_of(results, protocol="validated", reference="auto"), key=lambda row: -row.scores["H"].mean
    )
    lines = [
        f"| method | seeds | {' | '.join(SCORES)} | H minus auto's | features | trials | seconds a run |",
        "| --- " * (len(SCORES) + 6) + "|",
    ]
    for row in rows:
        record = next(one for (_, method, _), one in records.items() if method == row.label)
        features, trials = "chosen for each member", "none"
        if int(record["trials"]):
            components = int(record["components"])
            features = (
                f"{record['scaling']}, {f'{components} components' if components else 'all dimensions'}"
            )
            trials = f"{record['trials']} in {record['tuning_seconds']} s"
        scores = " | ".join(row.scores[name].text() for name in SCORES)
        lines.append(
            f"| {row.label} | {row.scores['H'].count} | {scores} | {_difference(row)} | {features} | {trials} | "
            f"{row.seconds.mean:.3g} |"
        )
    where = where_measured(records.values())
    return "\n".join([*lines, "", f"Measured on {where}; one thread, beside other work."])


def variants_table(measured: dict[str, Any], option: Option) -> str:
    """H and time by the value of an option, against the reference's."""
    results = {
        (row["problem"], row["value"], row["seed"]): row | {"seconds": {"total": row["seconds"]}}
        for row in measured["rows"]
    }
    lines = [
        f"| problem | `{option.name}` | seeds | H | T1 | H minus that of {option.reference} | seconds a run |",
        "| --- " * 7 + "|",
    ]
    lines += [
        f"| {row.problem} | {row.label} | {row.scores['H'].count} | {row.scores['H'].text()} | "
        f"{row.scores['T1'].text()} | {_difference(row)} | {row.seconds.mean:.3g} |"
        for row in rows_of(results, protocol="validated", reference=option.reference)
    ]
    return "\n".join([*lines, "", machine_line(measured["machine"], threads=1)])


def _difference(row: Row) -> str:
    """H minus the reference's, bold where the interval excludes zero."""
    if row.difference is None:
        return ""
    text = row.difference.text(sign=True)
    return f"**{text}**" if abs(row.difference.mean) > row.difference.half else text


def from_json(name: str, table: Callable[[dict[str, Any]], str]) -> str | None:
    """The table of a result file, None where there is none."""
    file = RESULTS / f"{name}.json"
    return table(json.loads(file.read_text())) if file.exists() else None


TABLES: dict[str, dict[str, Callable[[], str | None]]] = {
    "performance.md": {
        name: partial(from_json, name, table)
        for name, table in (
            ("step", step_table),
            ("gpu", gpu_table),
            ("run", run_table),
            ("sizes", sizes_table),
            ("validated", validated_table),
            ("members", members_table),
            *((name, partial(variants_table, option=option)) for name, option in OPTIONS.items()),
            ("soak", soak_table),
            ("answers", answers_table),
        )
    },
    "results.md": {f"methods {problem}": partial(methods_table, problem) for problem in methods.PROBLEMS}
    | {f"fair {problem}": partial(fair_table, problem) for problem in methods.PROBLEMS}
    | {"stacks": stacks_table, "curves": curves_table, "without": without_table},
}


def filled(page: str, tables: dict[str, Callable[[], str | None]]) -> str:
    """The page with every table as the results say."""
    for name, make in tables.items():
        table = make()
        if table is None:
            continue
        block = f"<!-- {name} -->\n{table}\n<!-- end -->"
        page = re.sub(rf"<!-- {name} -->.*?<!-- end -->", lambda _, block=block: block, page, flags=re.DOTALL)
    return page


if __name__ == "__main__":
    for name, tables in TABLES.items():
        page = DOCS / name
        page.write_text(filled(page.read_text(), tables))
        print(f"written to {page}")
