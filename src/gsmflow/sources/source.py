"""What a source of problems is, and the door for others' sources."""

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
            One that [`Layout.owns`][gsmflow.sources.source.Layout].
        name : str
            What the problem is called.
        features, semantics : str | None
            What a person gave as `features` and `semantics`, to choose among several files.
        seed : int
            For what is drawn.

        Raises
        ------
        InputError
            The folder holds no problem of this layout.
        """
        ...


@dataclass(frozen=True)
class Layout:
    """A way in which data lie in a folder.

    Parameters
    ----------
    name : str
        Letters, digits and ``. _ -``.
    files : str
        The files it is known by, in words, for messages: "x.npy and y.npy".
    owns : Callable[[Sequence[str]], bool]
        (names of what lies in a folder) -> whether the folder is of this layout. Opens no file.
    load : Load
        Reads such a folder.
    features : Callable[[Path], Sequence[str]]
        What `features` can name in a folder, to choose between layouts where a folder has several.
    begun : Callable[[Sequence[str]], bool]
        Like `owns`, for a folder that has only a part of the files: the layout is chosen where no other owns the
        folder, so that `load` can say what is missing.
    semantics : Callable[[Path, str], NamedSemantics] | None
        (folder, name) -> those semantics alone, to be joined with others; None: they are taken from a problem that
        is loaded with them.
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
    """A problem that has a name and no folder: it comes with a package or is made on the spot.

    Parameters
    ----------
    name : str
        Letters, digits and ``. _ -``.
    title : str
        What it is, for ``gsmflow data``.
    citation : str
        The paper to cite, or the origin of the data.
    load : Callable[[str, int], Problem]
        (details, seed) -> the problem; details are what a person wrote behind ``name:``, or empty.
    counts : Callable[[], Counts] | None
        Its sizes without details, where they are known without loading it.
    split : str
        How its split came to be.
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
    """Add a layout of folders, or a problem with a name, to those of this program.

    A package gives it by an entry point in the group ``gsmflow.sources``, named as the source.

    Raises
    ------
    InputError
        Another source has that name, or something about it is not as it has to be.
    """
    SOURCES.register(source.name, source)


def named_problems() -> list[NamedProblem]:
    """Those with a name, the built-in ones first."""
    return [source for source in SOURCES.each() if isinstance(source, NamedProblem)]


def layouts_of(names: Sequence[str]) -> list[Layout]:
    """The layouts that a folder with these files has: usually one, none if it is no data set."""

    def owns(source: Layout | NamedProblem) -> bool:
        return isinstance(source, Layout) and source.owns(names)

    def begun(source: Layout | NamedProblem) -> bool:
        return isinstance(source, Layout) and source.begun(names)

    return [s for s in SOURCES.those(owns) or SOURCES.those(begun) if isinstance(s, Layout)]
