"""Whether the files of a run exist and are complete, as far as that is known without loading torch."""

from __future__ import annotations

from pathlib import Path

from gsmflow.files.checksums import check
from gsmflow.files.tensor_header import check_tensor_file
from gsmflow.runs.classes import class_names
from gsmflow.runs.finished import check_finished
from gsmflow.runs.folder import HEAD, SEMANTICS, read_config, read_metrics


def check_classifier(folder: Path) -> None:
    """Refuse a run whose classifier is missing or damaged.

    Raises
    ------
    InputError
        The run is not finished, or the names of its classes or its head are missing or damaged.
    """
    check_finished(folder)
    class_names(folder)
    check_tensor_file(folder / HEAD)


def check_whole(folder: Path) -> None:
    """Refuse a run if anything that is shown or served is missing or damaged.

    Raises
    ------
    InputError
        The run is not finished, or its configuration, metrics, classes, semantics or head is missing or damaged.
    """
    check_classifier(folder)
    read_config(folder)
    read_metrics(folder)
    if (folder / SEMANTICS).exists():
        check(folder / SEMANTICS)
