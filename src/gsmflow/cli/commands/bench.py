"""``gsmflow bench``: methods compared on the same problems and seeds."""

from __future__ import annotations

from pathlib import Path

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options


@click.command()
@click.argument("problems", nargs=-1, required=True)
@click.option(
    "--methods",
    default="gsmflow,eszsl,lda",
    show_default=True,
    help="With commas between; METHOD@PRESET for another preset than the problem's; 'all' for all methods.",
)
@options.seeds
@options.protocol
@click.option(
    "--against", metavar="METHOD", help="Compare H with this method's, by seed.  [default: the first]"
)
@click.option(
    "--oracle/--no-oracle", default=True, show_default=True, help="Also the best on the test set, labelled."
)
@click.option(
    "--preset", multiple=True, metavar="[PROBLEM=]PRESET", help="Instead of the problem's own; repeatable."
)
@click.option(
    "--features", multiple=True, metavar="[PROBLEM=]NAME", help="Feature file, as for train; repeatable."
)
@click.option("--semantics", multiple=True, metavar="[PROBLEM=]NAME", help="Class embeddings; repeatable.")
@options.overrides
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/bench"),
    show_default=True,
    help="Folder of the runs and tables; what is finished there is not run again.",
)
@options.jobs
@options.on
@options.threads
@options.data_root
@options.device
@options.as_json
def bench(
    problems: tuple[str, ...],
    methods: str,
    seeds: str,
    protocol: str,
    against: str | None,
    oracle: bool,
    preset: tuple[str, ...],
    features: tuple[str, ...],
    semantics: tuple[str, ...],
    overrides: tuple[str, ...],
    out: Path,
    jobs: int | None,
    on: str | None,
    threads: int | None,
    data_root: Path,
    device: str,
    as_json: bool,
) -> None:
    """Compare methods on PROBLEMS: means with 95% intervals over seeds, and differences paired by seed.

    Runs go in parallel processes where cores allow. Interrupt it at any moment; the same command continues.
    """
    from gsmflow.cli.many_runs import by_problem, check_failures, run_cells, write_tables
    from gsmflow.methods import method_names
    from gsmflow.recipes.recipe import make_recipe
    from gsmflow.studies.cells import Variant, cells_of
    from gsmflow.studies.tables import findings, rows_of

    names = method_names() if methods == "all" else [name.strip() for name in methods.split(",")]
    variants = [Variant.parse(name, overrides) for name in dict.fromkeys(names)]
    reference = against or variants[0].label
    if reference not in [v.label for v in variants]:
        raise InputError(
            f"--against {reference}: not among the methods {', '.join(v.label for v in variants)}"
        )
    chosen_seeds = options.parse_seeds(seeds)
    cells = cells_of(
        dict.fromkeys(problems),
        variants,
        chosen_seeds,
        features=by_problem(features, "--features", problems),
        semantics=by_problem(semantics, "--semantics", problems),
        presets=by_problem(preset, "--preset", problems),
        protocol=protocol,
        oracle=oracle,
        data_root=data_root,
        device=device,
    )
    for cell in cells:
        make_recipe(
            cell.variant.method, cell.chosen_preset, cell.variant.overrides
        )  # refused before anything runs
    results = run_cells(cells, out, jobs, threads, on)
    rows = rows_of(
        {(c.problem, c.variant.label, c.seed): m for c, m in results.items()},
        protocol=protocol,
        reference=reference if len(variants) > 1 else None,
    )
    title = f"Percent, mean ± 95% interval over {len(chosen_seeds)} seeds, test set, protocol {protocol}"
    notes = findings(rows, reference) if len(chosen_seeds) > 1 else []
    write_tables(rows, reference if len(variants) > 1 else None, out, title, notes, as_json)
    check_failures(results)
