"""Whether a folder holds a finished run, and which run may be meant where it does not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from gsmflow.base.errors import InputError
from gsmflow.base.suggest import instead_of, listed

METRICS, CONFIG = "metrics.json", "config.toml"
_MAKE = "`gsmflow train` makes one under runs/"


def check_finished(folder: Path) -> None:
    """Refuse a folder that holds no finished run.

    Raises
    ------
    InputError
        There is no such folder, or it holds no run or an unfinished one.
    """
    if folder.is_file():
        raise InputError(f"{folder}: is a file, expected the folder of a run; {_MAKE}")
    if not folder.is_dir():
        beside = [str(run) for run in _runs_in(folder.parent)]
        other = instead_of(str(folder), beside) if beside else _MAKE
        raise InputError(f"{folder}: no such run folder; {other}")
    if not (folder / METRICS).exists():
        if (folder / CONFIG).exists():
            raise InputError(
                f"{folder}: holds an unfinished run; finish it first, by the command it was started with and --resume"
            )
        inside = _runs_in(folder)
        other = f"name one in it: {listed(map(str, inside))}" if inside else _MAKE
        raise InputError(f"{folder}: holds no run; {other}")


def check_order(run: Path, data: Path, command: str) -> None:
    """Refuse a run that is named after the data.

    Raises
    ------
    InputError
        `data` is a run and `run` is none.
    """
    if _is_run(data) and not _is_run(run):
        raise InputError(f"{data}: is a run, which is named first: `gsmflow {command} {data} {run}`")


def _is_run(path: Path) -> bool:
    return (path / CONFIG).is_file() and (path / METRICS).is_file()


def _runs_in(folder: Path) -> list[Path]:
    """The finished runs directly in a folder, the newest first."""
    with suppress(OSError):
        runs = [path for path in folder.iterdir() if _is_run(path)]
        return sorted(runs, key=lambda path: -(path / METRICS).stat().st_mtime)
    return []
