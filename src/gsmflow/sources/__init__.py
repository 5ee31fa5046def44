"""How problems come to be: names and folders in, a checked :class:`gsmflow.problem.Problem` out."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path

from gsmflow.errors import InputError
from gsmflow.problem import Problem
from gsmflow.sources import digits, presplit, synthetic, table, xlsa17
from gsmflow.sources.known import KNOWN

BUILT_IN = {
    "digits": ("handwritten digits in four views", "scikit-learn; Alpaydin and Kaynak, UCI 1998"),
    "synthetic": (
        "drawn with a known truth; synthetic:n=1000,d=32 or synthetic:AWA2 set the sizes",
        "made on the spot",
    ),
}


@dataclass(frozen=True)
class Survey:
    """What is known about one name, and what was found of it.

    found: its files are there. loads: whether they could be read as a problem; `message` says why not.
    """

    name: str
    kind: str
    title: str
    found: bool
    citation: str
    expected: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    semantics: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    split: str = ""
    message: str = ""


def load(
    problem: str,
    *,
    data_root: Path,
    features: str | None = None,
    semantics: str | None = None,
    seed: int = 0,
) -> Problem:
    """The problem of that name or folder.

    Parameters
    ----------
    problem: ``digits``, ``synthetic`` (with ``:options``), a known name found under `data_root`, or
        the path of a folder in one of the layouts.
    features, semantics: other files of an xlsa17 folder, by name.
    seed: draws the test split of a table without one.

    Raises
    ------
    InputError: unknown name, missing files, or data that are wrong.
    """
    kind, _, detail = problem.partition(":")
    if kind in BUILT_IN:
        if features or semantics:
            raise InputError(
                f"{kind}: is built in and has no other files; leave --features and --semantics out"
            )
        if kind == "digits" and detail:
            raise InputError(f"{problem}: digits has no options; use 'digits'")
        return digits.load() if kind == "digits" else synthetic.make(synthetic.parse(detail))[0]
    folder = _folder(problem, data_root)
    if xlsa17.looks_like(folder):
        return xlsa17.load(folder, features=features, semantics=semantics)
    if features or semantics:
        raise InputError(
            f"{folder}: --features and --semantics name files of the xlsa17 layout, but there is no "
            "att_splits.mat"
        )
    if presplit.looks_like(folder):
        return presplit.load(folder)
    if table.looks_like(folder):
        return table.load(folder, seed=seed)
    raise InputError(
        f"{folder}: no data set there; expected att_splits.mat and res101.mat (xlsa17), data.mat and "
        "label.mat (pre-split), or features.npz/.csv/.parquet and classes.csv (table)"
    )


def _folder(problem: str, data_root: Path) -> Path:
    """The folder a name or path stands for."""
    known = KNOWN.get(problem.upper())
    if known:
        folder = data_root / known.name
        if not folder.is_dir():
            raise InputError(
                f"{folder}: not there; put res101.mat and att_splits.mat of {known.name} in it, or name its "
                f"parent with --data-root; obtain them from: {known.citation}"
            )
        return folder
    folder = Path(problem)
    try:
        if folder.is_dir():
            return folder
        if folder.exists():
            raise InputError(f"{folder}: is a file, expected the folder of a data set")
        under = data_root / problem
        if problem and ".." not in under.parts and under.is_dir():
            return under
    except (OSError, ValueError) as error:  # names no file system would have
        raise InputError(f"problem '{problem}': not a usable name ({error})") from None
    names = [*BUILT_IN, *KNOWN]
    near = difflib.get_close_matches(problem, names, 1) or difflib.get_close_matches(
        problem.upper(), names, 1
    )
    hint = f"did you mean '{near[0]}'?" if near else f"known names: {', '.join(names)}"
    raise InputError(f"problem '{problem}': neither a known name nor a folder; {hint}")


def survey(data_root: Path) -> list[Survey]:
    """Every known name, whether it was found under `data_root`, and what its files hold."""
    found = [
        Survey(name, "built in", title, True, source, counts=_counts(load(name, data_root=data_root)))
        for name, (title, source) in BUILT_IN.items()
    ]
    for name, known in KNOWN.items():
        folder = data_root / name
        expected = [str(folder / "res101.mat"), str(folder / "att_splits.mat")]
        if not folder.is_dir():
            found.append(Survey(name, "xlsa17", known.title, False, known.citation, expected))
            continue
        kind = "presplit" if presplit.looks_like(folder) and not xlsa17.looks_like(folder) else "xlsa17"
        features = xlsa17.feature_files(folder) if kind == "xlsa17" else ["data"]
        chosen = "res101" if "res101" in features or not features else features[0]
        counts, split, message = {}, "", ""
        try:
            problem = presplit.load(folder) if kind == "presplit" else xlsa17.load(folder, features=chosen)
            counts = _counts(problem)
            split = problem.notes["split"]
        except InputError as error:
            message = str(error)
        found.append(
            Survey(
                name,
                kind,
                known.title,
                bool(counts),
                known.citation,
                expected,
                features,
                xlsa17.semantics_files(folder) if kind == "xlsa17" else ["data"],
                counts,
                split,
                message,
            )
        )
    return found


def _counts(problem: Problem) -> dict[str, int]:
    return {
        "samples": len(problem.labels),
        "feature_dim": problem.feature_dim,
        "semantic_dim": problem.semantic_dim,
        "seen": len(problem.seen),
        "unseen": len(problem.unseen),
        "train": len(problem.train),
        "test_seen": len(problem.test_seen),
        "test_unseen": len(problem.test_unseen),
    }
