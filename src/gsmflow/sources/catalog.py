"""The list of ``gsmflow data``: every known data set, whether it is there, and where to obtain it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.sources import presplit, xlsa17
from gsmflow.sources.file_names import file_names
from gsmflow.sources.layouts import find
from gsmflow.sources.published import KNOWN
from gsmflow.sources.source import SOURCES, layouts_of, named_problems


@dataclass(frozen=True)
class Survey:
    """What is known about one data set, and which of its files were found. Fields without information are empty.

    Parameters
    ----------
    name, title : str
        Its short and its long name.
    kind : str
        "xlsa17", "presplit", "built-in", or the package that provides it.
    found : bool
        Whether its files exist and could be read.
    citation : str
        The paper to cite, and where the files are obtained.
    folder : str
        The folder where its files are expected.
    expected : tuple[str, ...]
        Paths of its usual files.
    counts : dict[str, int]
        The fields of [`Counts`][gsmflow.data.problem.Counts].
    features, semantics : tuple[str, ...]
        What `features` and `semantics` can name.
    split : str
        Name of the split, if it is a published one.
    message : str
        What is wrong with its files, in one line.
    """

    name: str
    title: str
    kind: str
    found: bool
    citation: str
    folder: str = ""
    expected: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    semantics: tuple[str, ...] = ()
    split: str = ""
    message: str = ""


def survey(data_root: Path) -> list[Survey]:
    """All known data sets in a fixed order, the built-in ones first. Reads no features and never raises."""
    return [
        *(
            Survey(
                name=each.name,
                title=each.title,
                kind="built-in" if SOURCES.is_built_in(each.name) else SOURCES.giver(each.name),
                found=True,
                counts=asdict(each.counts()) if each.counts else {},
                split=each.split,
                citation=each.citation,
            )
            for each in named_problems()
        ),
        *(_published(data_root, name) for name in KNOWN),
    ]


def _published(data_root: Path, name: str) -> Survey:
    known = Survey(
        name=name,
        title=KNOWN[name].title,
        kind="xlsa17",
        found=False,
        citation=KNOWN[name].citation,
    )
    known = _expecting(known, data_root / name, f"{xlsa17.FEATURES}.mat", f"{xlsa17.SEMANTICS}_splits.mat")
    try:
        folder = find(data_root, name)
        return _look(known, folder) if folder else known
    except InputError as error:
        return replace(known, message=str(error))


def _look(known: Survey, folder: Path) -> Survey:
    """Fill in the fields from the files of an existing folder."""
    layouts = {each.name for each in layouts_of(file_names(folder))}
    if "presplit" in layouts and "xlsa17" not in layouts:
        known = replace(known, kind="presplit", features=(presplit.FEATURES,))
        known = _expecting(known, folder, presplit.DATA, presplit.LABEL)
        read = presplit.survey
    else:
        also = (presplit.FEATURES,) if "presplit" in layouts else ()
        known = replace(
            known,
            features=(*xlsa17.feature_files(folder), *also),
            semantics=xlsa17.semantics_files(folder),
        )
        known = _expecting(known, folder, *(Path(path).name for path in known.expected))
        read = xlsa17.survey
    try:
        counts, split = read(folder)
    except InputError as error:
        return replace(known, message=str(error))
    if counts is None:
        return replace(known, split=split, message=f"{folder}: no feature file")
    return replace(known, found=True, counts=asdict(counts), split=split)


def _expecting(known: Survey, folder: Path, *files: str) -> Survey:
    return replace(known, folder=str(folder), expected=tuple(str(folder / file) for file in files))
