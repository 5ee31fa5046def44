"""From names and folders to a checked [`Problem`][gsmflow.data.problem.Problem].

Importing this package is light: scipy, scikit-learn, polars and h5py are imported when a file needs them.
"""

from __future__ import annotations

from os.path import exists, isdir  # these return False for text that is not a path, unlike Path's methods
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import instead_of
from gsmflow.data.problem import Problem
from gsmflow.files.missing import similar
from gsmflow.sources import xlsa17
from gsmflow.sources.catalog import Survey, survey
from gsmflow.sources.file_names import file_names
from gsmflow.sources.layouts import find, load_folder
from gsmflow.sources.published import KNOWN
from gsmflow.sources.source import SOURCES, Layout, NamedProblem, layouts_of, named_problems, register_source
from gsmflow.sources.table import ENDINGS, FEATURES

__all__ = [
    "Layout",
    "NamedProblem",
    "Survey",
    "check_name",
    "is_named",
    "load",
    "register_source",
    "source_of_this_program",
    "survey",
]


def load(
    problem: str,
    *,
    data_root: Path,
    features: str | None = None,
    semantics: str | None = None,
    seed: int = 0,
) -> Problem:
    """The problem that `problem` names.

    Parameters
    ----------
    problem : str
        ``digits``; ``synthetic``, ``synthetic:AWA2`` or ``synthetic:n=5000,d=128``; AWA1, AWA2, APY, CUB, SUN
        or FLO, or any other folder under `data_root`, in upper or lower case; or the path of a folder. A folder
        has one of the layouts xlsa17, pre-split or table, or a registered layout
        ([`register_source`][gsmflow.sources.source.register_source]). Other names may be registered too.
    data_root : Path
        The folder that holds the named data sets.
    features, semantics : str | None
        Names of the feature file or the class embedding, if a folder has several. Names with commas between them,
        ``att,text``, join the semantics ([`gsmflow.data.semantic_blocks`][gsmflow.data.semantic_blocks]).
    seed : int
        Determines a synthetic problem without a seed of its own, and the split of a table without a split column.

    Raises
    ------
    InputError
        The name is unknown, or files are missing, damaged or contradict each other.
    """
    name, _, details = problem.partition(":")
    source = SOURCES.find(name) if name in SOURCES.names() else None
    if isinstance(source, NamedProblem):
        _check_no_choice(name, features, semantics)
        return source.load(details, seed)
    folder, name = _folder(problem, data_root, features, semantics)
    return load_folder(folder, name, features=features, semantics=semantics, seed=seed)


def check_name(
    problem: str, *, data_root: Path, features: str | None = None, semantics: str | None = None
) -> None:
    """Refuse a problem that [`load`][gsmflow.sources.load] would not find, without reading it.

    Raises
    ------
    InputError
        The name is unknown, there is no such folder, or files are named for a problem that has no files.
    """
    name, _, details = problem.partition(":")
    if name == "synthetic":
        from gsmflow.sources import synthetic

        synthetic.parse(details, seed=0)
    if name in SOURCES.names() and isinstance(SOURCES.find(name), NamedProblem):
        _check_no_choice(name, features, semantics)
    else:
        _folder(problem, data_root, features, semantics)


def _check_no_choice(name: str, features: str | None, semantics: str | None) -> None:
    """Refuse a choice of files for a problem that has no files."""
    given = [each for each, value in (("`features`", features), ("`semantics`", semantics)) if value]
    if given:
        raise InputError(f"{name} has no files to choose from", remedy=f"leave out {' and '.join(given)}")


def source_of_this_program(problem: str, *, data_root: Path) -> str:
    """The source of a problem if only this program registered it, so that other processes lack it; otherwise empty.

    Parameters
    ----------
    problem : str
        A name or folder that [`load`][gsmflow.sources.load] takes. Only the names of its files are read.
    data_root : Path
        The folder that holds the named data sets.

    Raises
    ------
    InputError
        The name is unknown, or there is no such folder.
    """
    name = problem.partition(":")[0]
    if name in SOURCES.names() and isinstance(SOURCES.find(name), NamedProblem):
        sources = [name]
    elif not any(map(SOURCES.is_of_this_program, SOURCES.names())):
        return ""
    else:
        sources = [layout.name for layout in layouts_of(file_names(_folder(problem, data_root)[0]))]
    return next((source for source in sources if SOURCES.is_of_this_program(source)), "")


def is_named(problem: str, data_root: Path) -> bool:
    """Whether a name stands for a built-in problem or an existing known data set, and not for a folder."""
    known = KNOWN.get(problem.upper())
    return problem.partition(":")[0] in SOURCES.names() or bool(known and find(data_root, known.name))


def _of_file(file: Path) -> str:
    """What to do with a file where a folder is expected, by its ending."""
    if file.suffix.lower() in ENDINGS and file.stem != FEATURES:
        return (
            f"name the folder it lies in; there a table of features is called {FEATURES}{file.suffix.lower()} and the "
            "classes are in classes.csv, and a list of pictures is called images.csv"
        )
    return "name the folder it lies in"


def _folder(
    problem: str, data_root: Path, features: str | None = None, semantics: str | None = None
) -> tuple[Path, str]:
    """The folder that a name or path stands for, and the name of the problem in it."""
    known = KNOWN.get(problem.upper())
    named = find(data_root, known.name if known else problem)
    if known and named:
        return named, known.name
    if isdir(problem):
        return Path(problem), Path(problem).resolve().name
    if named:
        return named, named.name
    if known:
        raise InputError(
            f"{data_root / known.name}: no such folder",
            remedy=f"put {features or xlsa17.FEATURES}.mat and {semantics or xlsa17.SEMANTICS}_splits.mat there "
            f"(gsmflow data get {known.name} brings them), or name another place by `data_root`; {known.citation}",
        )
    if exists(problem):
        raise InputError(f"{problem}: is a file; {_of_file(Path(problem))}")
    names = (*(each.name for each in named_problems()), *KNOWN)
    near = similar(problem, "folder")
    hint = f"did you mean '{near}'?" if near else instead_of(problem, names)
    raise InputError(f"'{problem}' is neither a known name nor a folder; {hint}")
