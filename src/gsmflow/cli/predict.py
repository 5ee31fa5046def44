"""``gsmflow predict``: label new features, or new images, with a finished run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from gsmflow.cli import options
from gsmflow.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gsmflow.classifier import FittedClassifier
    from gsmflow.images.extraction import Unreadable


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", metavar="NEW", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Table to write, .csv or .parquet.  [default: CSV on stdout]",
)
@click.option(
    "--top", default=3, show_default=True, type=click.IntRange(1), help="Classes listed for each sample."
)
@click.option(
    "--unsure",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Add a column 'unsure': whether the best class has a probability below P.",
)
@click.option(
    "--root", type=click.Path(path_type=Path), help="Folder of a CSV's paths.  [default: the CSV's]"
)
@click.option(
    "--backbone",
    metavar="FILE",
    help="Where the run's own .onnx or TorchScript file lies now, if it was moved.",
)
@click.option("--weights", metavar="FILE", help="Where the weights of the run's timm backbone lie now.")
@options.batch_size
@options.device
@options.as_json
def predict(
    run: Path,
    file: Path,
    out: Path | None,
    top: int,
    unsure: float | None,
    root: Path | None,
    backbone: str | None,
    weights: str | None,
    batch_size: int,
    device: str,
    as_json: bool,
) -> int:
    """Label NEW with the classifier of RUN.

    NEW is a table of features (.npz, .csv or .parquet); or, where the run was trained on images, a folder of
    images, a single one, or a CSV with a column path.

    Writes a table with one row a sample: the class, whether it is an unseen class, the probability that it is
    one of them, the probability of the class, and the next most probable classes. Images that cannot be read
    are named on stderr and left out; the exit code is then 3.
    """
    from gsmflow.run import load_classifier

    if out and out.suffix not in (".csv", ".parquet"):
        raise InputError(f"{out}: expected a name ending in .csv or .parquet")
    classifier = load_classifier(run)
    unreadable: tuple[Unreadable, ...] = ()
    if _holds_images(file):
        features, labels, ids, unreadable = _of_images(
            run, file, root=root, backbone=backbone, weights=weights, batch_size=batch_size, device=device
        )
    else:
        for name, given in (("--root", root), ("--backbone", backbone), ("--weights", weights)):
            if given is not None:
                raise InputError(f"{name} {given}: is for images, but {file} holds features; leave it out")
        features, labels, ids = _of_table(run, file)
    if features.shape[1] != classifier.transform.in_dim:
        raise InputError(
            f"{file}: {features.shape[1]} feature dimensions, but {run} was trained on "
            f"{classifier.transform.in_dim}"
        )
    columns: dict[str, object] = {"sample": list(ids) if ids is not None else list(range(len(features)))}
    if labels is not None:
        columns["label"] = list(labels)
    _show(columns | _columns(classifier, features, top, unsure), run, out, unreadable, as_json)
    return 3 if unreadable else 0


def _holds_images(file: Path) -> bool:
    """A folder, an image, or a CSV that lists paths: everything that a table of features is not."""
    from gsmflow.images.listing import is_image
    from gsmflow.sources.reading import first_bytes

    if file.suffix.lower() == ".csv":
        header = first_bytes(file, 4096).decode("utf-8", "replace").lstrip("\ufeff").splitlines()
        return bool(header) and "path" in header[0].replace('"', "").split(",")
    if not file.exists():
        raise InputError(f"{file}: no such file or folder")
    return file.is_dir() or is_image(file)


def _of_images(
    run: Path,
    file: Path,
    *,
    root: Path | None,
    backbone: str | None,
    weights: str | None,
    batch_size: int,
    device: str,
) -> tuple[NDArray[np.float32], Sequence[str] | None, Sequence[str], tuple[Unreadable, ...]]:
    """Features, labels, names and what could not be read of images, through the backbone of the run."""
    from gsmflow.cli.image_display import counting, tell_passed_over, tell_unreadable
    from gsmflow.devices import resolve_device
    from gsmflow.images.backbone import open_backbone
    from gsmflow.images.extraction import features_of
    from gsmflow.images.listing import list_any
    from gsmflow.run import load_backbone

    spec = load_backbone(run).moved(backbone, weights)
    listing = list_any(file, root)
    tell_passed_over(listing)
    opened = open_backbone(spec, resolve_device(device))
    with counting("images") as told:
        made = features_of(opened, listing, batch_size=batch_size, told=told)
    tell_unreadable(made.unreadable, None)
    labels = None if listing.labels is None else [listing.labels[index] for index in made.kept]
    return made.features, labels, [listing.names[index] for index in made.kept], made.unreadable


def _of_table(
    run: Path, file: Path
) -> tuple[NDArray[np.float32], Sequence[str] | None, Sequence[str] | None]:
    """Features, labels and names of a table; one made of images has to be of the run's own backbone."""
    from gsmflow.images.backbone import BackboneSpec
    from gsmflow.run import load_backbone, read_config
    from gsmflow.sources.table import read_rows

    rows = read_rows(file)
    if rows.backbone and "backbone" in read_config(run):
        made, trained = BackboneSpec.from_dict(rows.backbone, f"{file}: backbone"), load_backbone(run)
        if not made.same_as(trained):
            other = f"another backbone ({made.model}) than {run} was trained on ({trained.model})"
            if made.sha256 == trained.sha256:
                other = f"images prepared otherwise than those {run} was trained on"
            raise InputError(f"{file}: features of {other}; give it the images themselves")
    return rows.features, rows.labels, rows.names


def _columns(
    classifier: FittedClassifier, features: NDArray[np.float32], top: int, unsure: float | None
) -> dict[str, object]:
    probabilities = classifier.probabilities(features)
    count = min(top, len(classifier.classes))
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    names = np.array(classifier.classes)
    rows = np.arange(len(order))
    best = probabilities[rows, order[:, 0]]
    columns: dict[str, object] = {
        "class": names[order[:, 0]].tolist(),
        "unseen_class": np.isin(order[:, 0], classifier.unseen).tolist(),
        "unseen_probability": probabilities[:, classifier.unseen].sum(axis=1).clip(0, 1).tolist(),
    }
    if unsure is not None:
        columns["unsure"] = (best < unsure).tolist()
    for rank in range(count):
        chosen = order[:, rank]
        if rank:
            columns[f"class_{rank + 1}"] = names[chosen].tolist()
        key = "probability" if rank == 0 else f"probability_{rank + 1}"
        columns[key] = probabilities[rows, chosen].tolist()
    return columns


def _show(
    columns: dict[str, object], run: Path, out: Path | None, unreadable: tuple[Unreadable, ...], as_json: bool
) -> None:
    import polars as pl

    from gsmflow.files import make_folder, write_file

    table = pl.DataFrame(columns)
    if out:
        make_folder(out.parent)
        write_file(
            out, lambda file: table.write_csv(file) if out.suffix == ".csv" else table.write_parquet(file)
        )
    if as_json:
        click.echo(
            json.dumps(
                {
                    "run": str(run),
                    "samples": len(table),
                    "out": str(out) if out else None,
                    "unreadable": [{"path": each.name, "reason": each.reason} for each in unreadable],
                    "predictions": None if out else table.to_dicts(),
                }
            )
        )
    elif out:
        click.echo(f"{len(table)} samples labelled, table in {out}", err=True)
    else:
        click.echo(table.write_csv(), nl=False)
