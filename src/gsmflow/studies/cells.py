"""Many runs side by side: problems x variants x seeds, each in a process of its own, finished ones never
repeated.

A *variant* is a method with a preset and overrides, under a label. A *cell* is one run of one variant on one
problem with one seed, kept in ``<folder>/<problem>/<label>/seed<k>`` as an ordinary run folder. What was
finished stays finished, so that an interrupted bench continues where it stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gsmflow.base.errors import InputError
from gsmflow.recipes.recipe import make_recipe, preset_for
from gsmflow.runs.folder import CONFIG, METRICS, Request, folder_name, read_config, read_metrics, refuse_taken


@dataclass(frozen=True)
class Variant:
    """What is compared: a method with a preset and overrides, under a label.

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


@dataclass(frozen=True)
class Cell:
    """One run: where its data are and what is done with them.

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

    @property
    def name(self) -> str:
        """The cell in words."""
        return f"{self.problem} {self.variant.label} seed {self.seed}"

    def folder(self, root: Path) -> Path:
        """Its run folder under the bench's."""
        label = folder_name(self.variant.label, "variant")
        return root / folder_name(self.problem, "problem") / label / f"seed{self.seed}"

    @property
    def chosen_preset(self) -> str:
        """The preset of the variant, or the one given for the bench, or the problem's own."""
        return preset_for(self.problem, self.variant.preset or self.preset)

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

    def command(self, root: Path, threads: int) -> list[str]:
        """The command that makes the run."""
        words = [sys.executable, "-m", "gsmflow", "train", self.problem, "--method", self.variant.method]
        words += ["--preset", self.chosen_preset, "--seed", str(self.seed), "--protocol", self.protocol]
        words += ["--data-root", str(self.data_root), "--device", self.device, "--threads", str(threads)]
        words += [word for override in self.variant.overrides for word in ("--set", override)]
        words += ["--features", self.features] if self.features else []
        words += ["--semantics", self.semantics] if self.semantics else []
        words += ["--oracle"] if self.oracle else []
        return [*words, "--out", str(self.folder(root)), "--resume", "--json", "--stop-with-parent"]

    def finished(self, root: Path) -> dict[str, Any] | None:
        """The metrics of the cell where it is finished.

        Raises
        ------
        InputError
            The folder holds a run of another request.
        """
        folder = self.folder(root)
        if not (folder / CONFIG).exists():
            return None
        recipe = make_recipe(self.variant.method, self.chosen_preset, self.variant.overrides)
        kept = read_config(folder)
        wanted = {f"run.{key}": value for key, value in asdict(self.request).items()}
        wanted["run.method"] = self.variant.method
        wanted |= {f"options.{t}.{k}": v for t, values in recipe.tables().items() for k, v in values.items()}
        for key, value in wanted.items():
            found: Any = kept
            for part in key.split("."):
                found = found.get(part) if isinstance(found, Mapping) else None
            if found != value:
                raise InputError(
                    f"{folder / CONFIG}: the run there has {key} = {found}, this command "
                    f"{value}; choose another --out, or remove that folder"
                )
        return read_metrics(folder) if (folder / METRICS).exists() else None


@dataclass(frozen=True, kw_only=True)
class SeedRun(Cell):
    """One of the runs of ``gsmflow train --seeds``: in a folder of its own, with options of that command.

    Parameters
    ----------
    place : Path
        The run folder.
    more : tuple[str, ...]
        More words for its command line.
    resume : bool
        Continue an unfinished run in the folder.
    """

    place: Path
    more: tuple[str, ...] = ()
    resume: bool = False

    def folder(self, root: Path) -> Path:
        """Its run folder, wherever the others have theirs."""
        return self.place

    def command(self, root: Path, threads: int) -> list[str]:
        """The command that makes the run."""
        return [*super().command(root, threads), *self.more]

    def finished(self, root: Path) -> dict[str, Any] | None:
        """The metrics of the run where it is finished.

        Raises
        ------
        InputError
            The folder holds a run of another request, or one that was not to be continued.
        """
        if not self.resume:
            refuse_taken(self.place)
        return super().finished(root)


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
    """
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
