"""Kinds of files that are not read, recognised by their endings, and what to do with them."""

from __future__ import annotations

from pathlib import Path

_REMEDIES = {
    (".tsv", ".txt", ".tab", ".dat"): "rename it to {stem}.csv (tabs may separate cells)",
    (".xlsx", ".xls", ".xlsm", ".ods", ".numbers"): (
        "open it in the spreadsheet program and save it as {stem}.csv"
    ),
    (".gz", ".zip", ".bz2", ".xz", ".zst", ".7z"): "unpack it",
    (".feather", ".arrow", ".ipc", ".jsonl", ".json", ".ndjson"): (
        "save it as {stem}.parquet, such as with polars or pandas"
    ),
    (".pt", ".pth", ".pkl", ".pickle"): (
        "it may run code when it is opened; save it where it was made with numpy.savez(features=...)"
    ),
    (".h5", ".hdf5", ".mat"): "save its arrays with numpy.savez(features=...)",
}


def remedy_of_ending(path: Path, stem: str | None = None) -> str:
    """What to do with a file of another kind; empty if its ending is not known.

    >>> remedy_of_ending(Path("new.TSV")), remedy_of_ending(Path("new.abc"))
    ('rename it to new.csv (tabs may separate cells)', '')
    """
    ending = path.suffix.casefold()
    known = (text for endings, text in _REMEDIES.items() if ending in endings)
    return next(known, "").format(stem=stem or path.stem)
