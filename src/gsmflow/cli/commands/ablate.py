"""``gsmflow ablate``: the method without each of its parts."""

from __future__ import annotations

from pathlib import Path

import click

from gsmflow.cli import options

_PARTS = {
    "full": (),
    "without semantics in every layer": ("semantics_in_every_layer=off",),
    "without perturbation": ("perturbation=0",),
    "without relative positioning": ("relative_positioning=off",),
    "without prototype loss": ("prototype_weight=0",),
    "only the flow": (
        "semantics_in_every_layer=off",
        "perturbation=0",
        "relative_positioning=off",
        "prototype_weight=0",
    ),
}
_SHIFTS = {f"{name} shift": ("shifts", name) for name in ("semantic", "variance", "structure")}


@click.command()
@click.argument("problem")
@options.seeds
@options.protocol
@click.option("--preset", help="A preset's name or a .toml file.  [default: the problem's own]")
@click.option("--features", metavar="NAME", help="Feature file, as for train.")
@click.option("--semantics", metavar="NAME", help="Class embeddings, as for train.")
@options.overrides
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the runs and tables.  [default: runs/ablate-PROBLEM]",
)
@options.jobs
@options.on
@options.threads
@options.data_root
@options.device
@options.as_json
def ablate(
    problem: str,
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
    """GSMFlow on PROBLEM, whole, without each remedy, without the prototype loss, and without any of them.

    The same seeds for all; the table has H and the measures of the three generation shifts.
    """
    from gsmflow.cli.many_runs import check_failures, run_cells, write_tables
    from gsmflow.studies.cells import Variant, cells_of
    from gsmflow.studies.tables import findings, rows_of

    chosen_seeds = options.parse_seeds(seeds)
    root = out or Path("runs") / f"ablate-{Path(problem).name}"
    variants = [
        Variant(label.replace(" ", "-"), "gsmflow", preset, (*overrides, *off))
        for label, off in _PARTS.items()
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
        reference="full",
        others=_SHIFTS,
    )
    title = f"Percent, mean ± 95% interval over {len(chosen_seeds)} seeds, test set, protocol {protocol}"
    write_tables(rows, "full", root, title, findings(rows, "full"), as_json)
    check_failures(results)
