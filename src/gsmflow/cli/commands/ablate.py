"""``gsmflow ablate``: a method without each of its parts."""

from __future__ import annotations

from pathlib import Path

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options
from gsmflow.cli.grouping import grouped
from gsmflow.cli.options import DataOptions, StudyOptions
from gsmflow.cli.setting import SettingOptions

_FULL, _METHOD = "full", "gsmflow"
_SHIFTS = {f"{name} shift": ("shifts", name) for name in ("semantic", "variance", "structure")}


@click.command()
@click.option("--method", help=f"A method that names its parts, of `gsmflow methods`.  [default: {_METHOD}]")
@grouped(data=DataOptions, study=StudyOptions, preset=SettingOptions)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the runs and tables.  [default: runs/ablate-PROBLEM, or runs/ablate-PROBLEM-METHOD with "
    "--method]",
)
@options.as_json
def ablate(
    method: str | None,
    data: DataOptions,
    study: StudyOptions,
    preset: SettingOptions,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run a method on PROBLEM whole, and again without each of its parts.

    The parts of GSMFlow are its three remedies and the prototype loss; it is also run without any of them. All
    variants use the same seeds. The table has H and the measures of the three generation shifts.
    """
    from gsmflow.cli.many_runs import check_failures, run_cells, write_tables
    from gsmflow.compute.devices import check_device
    from gsmflow.methods import find_method
    from gsmflow.recipes.recipe import make_recipe
    from gsmflow.studies.cells import Variant, cells_of
    from gsmflow.studies.tables import findings, over_seeds, rows_of

    chosen = find_method(method or _METHOD, "--method")
    if not chosen.parts:
        raise InputError(
            f"--method {chosen.name}: says no parts that could be left out; choose another, or compare options of it "
            "by `gsmflow bench`"
        )
    seeds = options.parse_seeds(study.seeds)
    check_device(study.device)
    root = out or Path("runs") / (f"ablate-{Path(data.problem).name}" + (f"-{method}" if method else ""))
    variants = [
        Variant(label.replace(" ", "-"), chosen.name, preset.preset, (*preset.of(chosen.name), *off))
        for label, off in {_FULL: (), **chosen.parts}.items()
    ]
    cells = cells_of(
        [data.problem],
        variants,
        seeds,
        features={"": data.features} if data.features else {},
        semantics={"": data.semantics} if data.semantics else {},
        presets={},
        protocol=study.protocol,
        oracle=False,
        data_root=data.data_root,
        device=study.device,
    )
    for cell in cells:  # refused before anything runs
        make_recipe(cell.variant.method, cell.chosen_preset, cell.variant.overrides)
    results = run_cells(cells, root, study.jobs, study.threads, study.on)
    rows = rows_of(
        {(c.problem, c.variant.label, c.seed): m for c, m in results.items()},
        protocol=study.protocol,
        reference=_FULL,
        others=_SHIFTS,
    )
    title = f"Percent, {over_seeds(len(seeds))}, test set, protocol {study.protocol}"
    write_tables(rows, _FULL, root, title, findings(rows, _FULL), as_json)
    check_failures(results)
