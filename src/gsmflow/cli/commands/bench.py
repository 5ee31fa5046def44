"""``gsmflow bench``: methods compared on the same problems and seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options
from gsmflow.cli.grouping import grouped
from gsmflow.cli.options import StudyOptions

_problems = click.argument("problems", nargs=-1, required=True)
_preset = click.option(
    "--preset",
    multiple=True,
    metavar="[PROBLEM=]PRESET",
    help="Preset to use instead of the problem's own. Repeatable.",
)
_features = click.option(
    "--features",
    multiple=True,
    metavar="[PROBLEM=]NAME",
    help="Feature file, as for train. Repeatable.",
)
_semantics = click.option(
    "--semantics", multiple=True, metavar="[PROBLEM=]NAME", help="Class semantics, as for train. Repeatable."
)


@dataclass(frozen=True)
class ProblemsOptions:
    """Several problems, each with files and a preset of its own."""

    problems: Annotated[tuple[str, ...], _problems]
    preset: Annotated[tuple[str, ...], _preset]
    features: Annotated[tuple[str, ...], _features]
    semantics: Annotated[tuple[str, ...], _semantics]
    data_root: Annotated[Path, options.data_root_option]

    def by_problem(self, option: str) -> dict[str, str]:
        """The values of an option: ``VALUE`` for all problems, under "", or ``PROBLEM=VALUE`` for one.

        Raises
        ------
        InputError
            A problem that is not among them.
        """
        values: dict[str, str] = {}
        for text in getattr(self, option):
            problem, separator, value = text.rpartition("=")
            if separator and problem not in self.problems:
                raise InputError(
                    f"--{option} {text}: '{problem}' is not among the problems {', '.join(self.problems)}"
                )
            values[problem] = value
        return values


_methods = click.option(
    "--methods",
    default="gsmflow,eszsl,lda",
    show_default=True,
    help="Methods, separated by commas. METHOD@PRESET uses that preset. 'all' stands for all methods.",
)
_against = click.option(
    "--against",
    metavar="METHOD",
    help="The method that the others' H is compared with, seed by seed.  [default: the first]",
)
_oracle = click.option(
    "--oracle/--no-oracle",
    default=True,
    show_default=True,
    help="Also report the best choice on the test set, labelled oracle.",
)
_transductive = click.option(
    "--transductive",
    is_flag=True,
    help="Also each method that can in the transductive setting, as a row METHOD+transductive of its own.",
)
_overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one option. Repeatable."
)


@dataclass(frozen=True)
class ComparisonOptions:
    """What is compared with what."""

    methods: Annotated[str, _methods]
    against: Annotated[str | None, _against]
    oracle: Annotated[bool, _oracle]
    transductive: Annotated[bool, _transductive]
    overrides: Annotated[tuple[str, ...], _overrides]


@click.command()
@grouped(problems=ProblemsOptions, comparison=ComparisonOptions, study=StudyOptions)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/bench"),
    show_default=True,
    help="Folder for the runs and tables. Runs that are finished there are not repeated.",
)
@options.as_json
def bench(
    problems: ProblemsOptions, comparison: ComparisonOptions, study: StudyOptions, out: Path, as_json: bool
) -> None:
    """Compare methods on PROBLEMS: means and 95% intervals over seeds, and differences paired by seed.

    Runs go in parallel, as many as there are cores. Interrupt it at any moment; the same command continues.
    """
    from gsmflow.cli.many_runs import check_failures, run_cells, write_tables
    from gsmflow.compute.devices import check_device
    from gsmflow.methods import find_method, method_names
    from gsmflow.recipes.recipe import make_recipe
    from gsmflow.studies.cells import Variant, cells_of, in_transductive_setting
    from gsmflow.studies.tables import findings, over_seeds, rows_of

    methods = comparison.methods
    names = [name.strip() for name in methods.split(",")]
    if methods == "all":  # but those that are not for every problem, and upper bounds, which do not compete
        every = map(find_method, method_names())
        names = [method.name for method in every if method.needs is None and not method.upper_bound]
    variants = [Variant.parse(name, comparison.overrides) for name in dict.fromkeys(names)]
    if comparison.transductive:
        variants += in_transductive_setting(variants)
    labels = [variant.label for variant in variants]
    reference = comparison.against or labels[0]
    if reference not in labels:
        raise InputError(f"--against {reference}: not among the methods {', '.join(labels)}")
    seeds = options.parse_seeds(study.seeds)
    check_device(study.device)
    cells = cells_of(
        dict.fromkeys(problems.problems),
        variants,
        seeds,
        features=problems.by_problem("features"),
        semantics=problems.by_problem("semantics"),
        presets=problems.by_problem("preset"),
        protocol=study.protocol,
        oracle=comparison.oracle,
        data_root=problems.data_root,
        device=study.device,
    )
    for cell in cells:  # refused before anything runs
        make_recipe(cell.variant.method, cell.chosen_preset, cell.variant.overrides)
    results = run_cells(cells, out, study.jobs, study.threads, study.on)
    rows = rows_of(
        {(c.problem, c.variant.label, c.seed): m for c, m in results.items()},
        protocol=study.protocol,
        reference=reference if len(variants) > 1 else None,
    )
    title = f"Percent, {over_seeds(len(seeds))}, test set, protocol {study.protocol}"
    notes = findings(rows, reference) if len(seeds) > 1 else []
    write_tables(rows, reference if len(variants) > 1 else None, out, title, notes, as_json)
    check_failures(results)
