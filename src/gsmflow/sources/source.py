"""Sources of problems, and the registration of other people's sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gsmflow.base.registry import Registry
from gsmflow.data.problem import Counts, Problem
from gsmflow.sources.joining import NamedSemantics


class Load(Protocol):
    """Reads a folder of a layout."""

    def __call__(
        self, folder: Path, name: str, *, features: str | None, semantics: str | None, seed: int
    ) -> Problem:
        """The problem in a folder.

        Parameters
        ----------
        folder : Path
            A folder for which [`Layout.owns`][gsmflow.sources.source.Layout] returns true.
        name : str
            The name of the problem.
        features, semantics : str | None
            The user's `features` and `semantics`, which choose among several files.
        seed : int
            Determines all random draws.

        Raises
        ------
        InputError
            The folder holds no problem of this layout.
        """
        ...


@dataclass(frozen=True)
class Layout:
    """A layout of data in a folder.

    Parameters
    ----------
    name : str
        Its name: letters, digits and ``. _ -``.
    files : str
        The files that identify it, in words, for messages: "x.npy and y.npy".
    owns : Callable[[Sequence[str]], bool]
        (names of the files in a folder) -> whether the folder has this layout. Opens no file.
    load : Load
        Reads such a folder.
    features : Callable[[Path], Sequence[str]]
        The possible values of `features` for a folder; they decide between layouts if a folder has several.
    begun : Callable[[Sequence[str]], bool]
        Like `owns`, for a folder with only a part of the files. If no layout owns the folder, this layout is chosen,
        so that `load` can say what is missing.
    semantics : Callable[[Path, str], NamedSemantics] | None
        (folder, name) -> these semantics alone, to join them with others; None: the problem is loaded with them.
    """

    name: str
    files: str
    owns: Callable[[Sequence[str]], bool]
    load: Load
    features: Callable[[Path], Sequence[str]] = lambda folder: ()
    begun: Callable[[Sequence[str]], bool] = lambda names: False
    semantics: Callable[[Path, str], NamedSemantics] | None = None


@dataclass(frozen=True)
class NamedProblem:
    """A problem with a name and without a folder: it comes with a package or is generated.

    Parameters
    ----------
    name : str
        Its name: letters, digits and ``. _ -``.
    title : str
        What it is, for ``gsmflow data``.
    citation : str
        The paper to cite, or the origin of the data.
    load : Callable[[str, int], Problem]
        (details, seed) -> the problem; details are the text that the user wrote after ``name:``, or empty.
    counts : Callable[[], Counts] | None
        Its sizes without details, if they are known without loading it.
    split : str
        How it is split.
    """

    name: str
    title: str
    citation: str
    load: Callable[[str, int], Problem]
    counts: Callable[[], Counts] | None = None
    split: str = ""


def _complaint(name: str, value: Any) -> str:
    if not isinstance(value, Layout | NamedProblem):
        return f"is a {type(value).__name__}, expected a Layout or a NamedProblem of gsmflow.sources"
    return "" if value.name == name else f"is named '{value.name}', expected '{name}'"


SOURCES: Registry[Layout | NamedProblem] = Registry(
    "source",
    "gsmflow.sources",
    {
        "digits": "gsmflow.sources.digits:SOURCE",
        "synthetic": "gsmflow.sources.synthetic:SOURCE",
        "xlsa17": "gsmflow.sources.xlsa17:LAYOUT",
        "presplit": "gsmflow.sources.presplit:LAYOUT",
        "table": "gsmflow.sources.table:LAYOUT",
    },
    _complaint,
)


def register_source(source: Layout | NamedProblem) -> None:
    """Register a layout of folders, or a named problem, in this program.

    A package registers it by an entry point in the group ``gsmflow.sources`` with the name of the source.

    Raises
    ------
    InputError
        Another source has that name, or the source is not valid.
    """
    SOURCES.register(source.name, source)


def named_problems() -> list[NamedProblem]:
    """All named problems, the built-in ones first."""
    return [source for source in SOURCES.each() if isinstance(source, NamedProblem)]


def layouts_of(names: Sequence[str]) -> list[Layout]:
    """The layouts of a folder with these files: usually one; none if it is not a data set."""

    def owns(source: Layout | NamedProblem) -> bool:
        return isinstance(source, Layout) and source.owns(names)

    def begun(source: Layout | NamedProblem) -> bool:
        return isinstance(source, Layout) and source.begun(names)

    return [s for s in SOURCES.those(owns) or SOURCES.those(begun) if isinstance(s, Layout)]
