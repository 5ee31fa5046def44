"""``gsmflow ablate``: a method without each of its parts."""

from __future__ import annotations

from pathlib import Path

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options

_FULL, _METHOD = "full", "gsmflow"
_SHIFTS = {f"{name} shift": ("shifts", name) for name in ("semantic", "variance", "structure")}


@click.command()
@click.argument("problem")
@click.option("--method", help=f"One of `gsmflow methods` that has parts.  [default: {_METHOD}]")
@options.seeds
@options.protocol
@click.option("--preset", help="A preset's name or a .toml file.  [default: the problem's own]")
@click.option("--features", metavar="NAME", help="Feature file, as for train.")
@click.option("--semantics", metavar="NAME", help="Class embeddings, as for train.")
@options.overrides
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the runs and tables.  [default: runs/ablate-PROBLEM, with -METHOD where one is given]",
)
@options.jobs
@options.on
@options.threads
@options.data_root
@options.device
@options.as_json
def ablate(
    problem: str,
    method: str | None,
    seeds: str,
    protocol: str,
    preset: str | None,
    features: str | None,
    semantics: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
    jobs: int | None,
    on: str | None,
    threads: int | None,
    data_root: Path,
    device: str,
    as_json: bool,
) -> None:
    """A method on PROBLEM, whole and without each of its parts.

    GSMFlow's are its three remedies and the prototype loss; last, it is run without any of them. The same seeds for
    all; the table has H and the measures of the three generation shifts.
    """
    from gsmflow.cli.many_runs import check_failures, run_cells, write_tables
    from gsmflow.methods import find_method
    from gsmflow.studies.cells import Variant, cells_of
    from gsmflow.studies.tables import findings, rows_of

    chosen = find_method(method or _METHOD, "--method")
    if not chosen.parts:
        raise InputError(
            f"--method {chosen.name}: says no parts that could be left out; choose another, or compare options of it "
            "by `gsmflow bench`"
        )
    chosen_seeds = options.parse_seeds(seeds)
    name = f"ablate-{Path(problem).name}" + (f"-{method}" if method else "")
    root = out or Path("runs") / name
    variants = [
        Variant(label.replace(" ", "-"), chosen.name, preset, (*overrides, *off))
        for label, off in {_FULL: (), **chosen.parts}.items()
    ]
    cells = cells_of(
        [problem],
        variants,
        chosen_seeds,
        features={"": features} if features else {},
        semantics={"": semantics} if semantics else {},
        presets={},
        protocol=protocol,
        oracle=False,
        data_root=data_root,
        device=device,
    )
    results = run_cells(cells, root, jobs, threads, on)
    rows = rows_of(
        {(c.problem, c.variant.label, c.seed): m for c, m in results.items()},
        protocol=protocol,
        reference=_FULL,
        others=_SHIFTS,
    )
    title = f"Percent, mean ± 95% interval over {len(chosen_seeds)} seeds, test set, protocol {protocol}"
    write_tables(rows, _FULL, root, title, findings(rows, _FULL), as_json)
    check_failures(results)
