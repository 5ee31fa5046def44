"""Many runs: problems x variants x seeds. Each is a process of its own, and finished runs are not repeated.

A *variant* is a method with a preset and overrides, under a label. A *cell* is one run of one variant on one
problem with one seed, kept in ``<folder>/<problem>/<label>/seed<k>`` as an ordinary run folder. So an
interrupted bench continues where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gsmflow.base.errors import InputError
from gsmflow.base.registry import Registry
from gsmflow.methods import METHODS, find_method
from gsmflow.recipes.preset import preset_for
from gsmflow.recipes.recipe import make_recipe, transductive_override
from gsmflow.runs.folder import CONFIG, METRICS, Request, folder_name, read_config, read_metrics, refuse_taken
from gsmflow.sources import source_of_this_program
from gsmflow.sources.source import SOURCES


@dataclass(frozen=True)
class Variant:
    """One line of a comparison: a method with a preset and overrides, under a label.

    Parameters
    ----------
    label : str
        Its name in tables.
    method : str
        Name of the method.
    preset : str | None
        Name of the preset; None: the problem's own.
    overrides : tuple[str, ...]
        Options that are set, each as ``key=value``.
    """

    label: str
    method: str
    preset: str | None = None
    overrides: tuple[str, ...] = ()

    @staticmethod
    def parse(text: str, overrides: Sequence[str] = ()) -> Variant:
        """``METHOD`` or ``METHOD@PRESET``."""
        method, _, preset = text.partition("@")
        return Variant(text, method, preset or None, tuple(overrides))


def in_transductive_setting(variants: Sequence[Variant]) -> list[Variant]:
    """Those of the variants that have a transductive setting, in it and with a label of its own.

    Raises
    ------
    InputError
        None has.
    """
    able = [variant for variant in variants if find_method(variant.method).transductive]
    if not able:
        transductive_override(variants[0].method)
    return [
        replace(
            variant,
            label=f"{variant.label}+transductive",
            overrides=(*variant.overrides, transductive_override(variant.method)),
        )
        for variant in able
    ]


@dataclass(frozen=True)
class Cell:
    """One run of a study: its data, its method and options, and what is written.

    Parameters
    ----------
    problem : str
        Name or folder of the problem.
    variant : Variant
        Method, preset and overrides.
    seed : int
        Determines every random draw.
    protocol : str
        ``validated`` or ``last``.
    oracle : bool
        Score the oracle too.
    data_root : Path
        The folder that holds the named data sets.
    features : str | None
        Another feature file of the problem; None for the usual one.
    semantics : str | None
        Another file of class vectors; None for the usual one.
    preset : str | None
        The preset for variants that name none.
    device : str
        Where the run computes.
    place : Path | None
        Its run folder; None: one under the study's, named after the cell.
    resume : bool
        Whether an unfinished run in the folder may be continued; refused otherwise.
    checkpoint_seconds : float
        Between two checkpoints, about.
    keep_data : bool
        Keep the problem in the run folder.
    tensorboard : bool
        Write event files into the run folder.
    """

    problem: str
    variant: Variant
    seed: int
    protocol: str
    oracle: bool
    data_root: Path
    features: str | None = None
    semantics: str | None = None
    preset: str | None = None
    device: str = "auto"
    place: Path | None = None
    resume: bool = True
    checkpoint_seconds: float = 60.0
    keep_data: bool = False
    tensorboard: bool = False

    @property
    def name(self) -> str:
        """Description of the cell."""
        return f"{self.problem} {self.variant.label} seed {self.seed}"

    def folder(self, root: Path) -> Path:
        """Its run folder: under the study's `root`, unless it has a place of its own."""
        if self.place is not None:
            return self.place
        label = folder_name(self.variant.label, "variant")
        return root / folder_name(self.problem, "problem") / label / f"seed{self.seed}"

    @property
    def chosen_preset(self) -> str:
        """The preset of the variant, or the one given for the bench, or the problem's own."""
        return preset_for(self.problem, self.variant.preset or self.preset, self.variant.method)

    @property
    def request(self) -> Request:
        """The run asked for."""
        return Request(
            problem=self.problem,
            features=self.features,
            semantics=self.semantics,
            protocol=self.protocol,
            oracle=self.oracle,
            seed=self.seed,
        )

    def job(self, root: Path, threads: int) -> str:
        """What a worker needs to know, as JSON: the cell, its run folder under `root`, and its CPU threads."""
        return json.dumps({"cell": self.to_dict(), "folder": str(self.folder(root)), "threads": threads})

    @property
    def of_this_program(self) -> list[tuple[Registry[Any], str]]:
        """Its methods and its source, by registry and name, that this program alone registered.

        Other processes do not know them. A composite method counts with its members.
        """
        method = find_method(self.variant.method)
        names = [method.name, *(member.method for member in method.members)]
        used: list[tuple[Registry[Any], str]] = [(METHODS, name) for name in dict.fromkeys(names)]
        source = source_of_this_program(self.problem, data_root=self.data_root)
        if source:
            used.append((SOURCES, source))
        return [(registry, name) for registry, name in used if registry.is_of_this_program(name)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()
        }

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> Cell:
        """Inverse of [`to_dict`][gsmflow.studies.cells.Cell.to_dict]."""
        variant = content["variant"]
        return Cell(
            **dict(content)
            | {
                "variant": Variant(**variant | {"overrides": tuple(variant["overrides"])}),
                "data_root": Path(content["data_root"]),
                "place": Path(content["place"]) if content["place"] else None,
            }
        )

    def finished(self, root: Path) -> dict[str, Any] | None:
        """The metrics of the cell if it is finished, or None.

        Raises
        ------
        InputError
            The folder holds a run of another request, or one that is not to be continued.
        """
        folder = self.folder(root)
        if not self.resume:
            refuse_taken(folder)
        if not (folder / CONFIG).exists():
            return None
        recipe = make_recipe(self.variant.method, self.chosen_preset, self.variant.overrides)
        recorded = read_config(folder)
        wanted = {f"run.{key}": value for key, value in asdict(self.request).items()}
        wanted["run.method"] = self.variant.method
        wanted |= {f"options.{t}.{k}": v for t, values in recipe.tables().items() for k, v in values.items()}
        if not recipe.reward.tune:
            wanted["options.reward"] = None
        for key, value in wanted.items():
            value_there: Any = recorded
            for part in key.split("."):
                value_there = value_there.get(part) if isinstance(value_there, Mapping) else None
            if value_there != value:
                raise InputError(
                    f"{folder / CONFIG}: the run there has {key} = {value_there}, this command {value}",
                    remedy="choose another `out`, or remove that folder",
                )
        return read_metrics(folder) if (folder / METRICS).exists() else None


@dataclass(frozen=True)
class Finished:
    """A cell that has ended.

    Parameters
    ----------
    cell : Cell
        The cell.
    metrics : dict[str, Any] | None
        Its ``metrics.json``; None where it failed.
    failure : str
        Why it failed, in words.
    """

    cell: Cell
    metrics: dict[str, Any] | None
    failure: str = ""


def cells_of(
    problems: Iterable[str],
    variants: Sequence[Variant],
    seeds: Sequence[int],
    *,
    features: Mapping[str, str],
    semantics: Mapping[str, str],
    presets: Mapping[str, str],
    **common: Any,
) -> list[Cell]:
    """All cells, seed by seed, so that an interrupted bench has every variant for the first seeds.

    Parameters
    ----------
    problems : Iterable[str]
        Names or folders of the problems.
    variants : Sequence[Variant]
        What is compared.
    seeds : Sequence[int]
        One run a seed.
    features : Mapping[str, str]
        Feature file of each problem; the entry "" is for all others.
    semantics : Mapping[str, str]
        File of class vectors of each problem; the entry "" is for all others.
    presets : Mapping[str, str]
        Preset of each problem; the entry "" is for all others.
    **common : Any
        Further fields of every [`Cell`][gsmflow.studies.cells.Cell].

    Raises
    ------
    InputError
        A method is unknown.
    """
    for variant in variants:
        METHODS.check_name(variant.method)
    return [
        Cell(
            problem,
            variant,
            seed,
            features=features.get(problem, features.get("")),
            semantics=semantics.get(problem, semantics.get("")),
            preset=presets.get(problem, presets.get("")),
            **common,
        )
        for problem in problems
        for seed in seeds
        for variant in variants
    ]
