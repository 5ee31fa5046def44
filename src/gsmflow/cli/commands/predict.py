"""``gsmflow predict``: label new features, or new images, with a finished run."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options
from gsmflow.cli.grouping import grouped
from gsmflow.cli.options import MovedOptions, WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gsmflow.cli.class_counts import ClassCounts
    from gsmflow.files.chunks import Part
    from gsmflow.files.spool import LongTable
    from gsmflow.images.feature_table import Unreadable
    from gsmflow.runs.labelling import Labelling, Pictures


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
    "--top",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="How many classes to list for each sample.",
)
@click.option(
    "--unsure",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Add a column 'unsure': true where the best class has a probability below P.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    help="Folder that paths in a CSV are relative to.  [default: the CSV's own]",
)
@grouped(moved=MovedOptions)
@options.batch_size_option
@grouped(workers=WorkerOptions)
@options.as_json
def predict(
    run: Path,
    file: Path,
    out: Path | None,
    top: int,
    unsure: float | None,
    root: Path | None,
    moved: MovedOptions,
    batch_size: int,
    workers: WorkerOptions,
    as_json: bool,
) -> int:
    """Label NEW with the classifier of RUN.

    NEW is a table of features (.npz, .csv, .npy or .parquet), a folder of .parquet files, or a pattern for them
    ('day*/*.parquet'). If the run was trained on images, NEW may also be a folder of images, a single image, or a CSV
    with a column `path`. Parquet files, .npy files and images are read in parts and may be larger than memory.

    Writes a table with one row a sample: the most probable class, whether it is an unseen class, the probability that
    the sample is of any unseen class, the probability of the class, and the next most probable classes. Images that
    cannot be read are named on stderr and left out; the exit code is then 3.
    """
    from gsmflow.cli.class_counts import ClassCounts
    from gsmflow.cli.display_concerns import tell_outside
    from gsmflow.cli.display_images import tell_unreadable
    from gsmflow.cli.progress import counting
    from gsmflow.compute.devices import check_device
    from gsmflow.compute.distributed_map import results
    from gsmflow.files.atomic import folder_for
    from gsmflow.files.spool import LongTable
    from gsmflow.runs.whole import check_classifier

    if out and out.suffix not in (".csv", ".parquet"):
        raise InputError(f"{out}: expected a name ending in .csv or .parquet")
    check_device(workers.device)
    check_classifier(run)
    cluster = workers.cluster()
    if cluster:  # whose workers have other working folders
        run, file, root = run.absolute(), file.absolute(), root and root.absolute()
    if _holds_images(run, file):
        work, parts, total = _of_images(
            run, file, root=root, moved=moved, batch_size=batch_size, device=workers.device
        )
        what = "images"
    else:
        for name, given in (("--root", root), ("--backbone", moved.backbone), ("--weights", moved.weights)):
            if given is not None:
                raise InputError(f"{name} {given}: is for images, but {file} holds features; leave it out")
        work, parts, total = _of_table(run, file)
        what = "samples"
    if cluster and work.images:
        from gsmflow.images.backbone import BACKBONES

        BACKBONES.check_known_elsewhere(work.images.spec.kind)
    work = replace(work, top=top, unsure=unsure)
    unreadable: list[Unreadable] = []
    counts, outside = ClassCounts(unsure), 0
    with folder_for(out) if out else nullcontext(), LongTable() as table:
        with counting(what) as told:
            for labelled in results(work, parts, cluster):
                unreadable += labelled.unreadable
                outside += labelled.outside
                if len(labelled.table):
                    table.add(labelled.table)
                    counts.add(labelled.table)
                if len(parts) > 1:
                    told(table.rows + len(unreadable), total)
        if not table.rows:
            one = unreadable[0]
            raise InputError(f"{one.name}: {one.reason}; none of the {len(unreadable)} images can be read")
        tell_unreadable(unreadable, None)
        tell_outside(outside, table.rows, file)
        _show(table, run, out, unreadable, counts, as_json)
    return 3 if unreadable else 0


def _holds_images(run: Path, file: Path) -> bool:
    """A folder, an image, or a CSV that lists paths: everything that a table of features is not."""
    from gsmflow.files.chunks import shards
    from gsmflow.files.column_names import is_path, role_of
    from gsmflow.files.encoding import header_words
    from gsmflow.images.listing import is_image
    from gsmflow.runs.folder import feature_names, read_config

    if file.suffix.lower() == ".csv":
        words = header_words(file)
        names = feature_names(read_config(run))
        if names is not None and words >= {name.casefold() for name in names}:
            return False
        alone = all(role_of(word) for word in words)
        return "path" in words or (alone and any(is_path(word) for word in words))
    if shards(file) is not None:
        return False
    if not file.exists():
        raise InputError(f"{file}: no such file or folder")
    return file.is_dir() or is_image(file)


def _of_images(
    run: Path,
    file: Path,
    *,
    root: Path | None,
    moved: MovedOptions,
    batch_size: int,
    device: str,
) -> tuple[Labelling, Sequence[Pictures], int]:
    """What to do to images with the run's backbone, in parts, and how many images there are."""
    from gsmflow.cli.display_images import tell_passed_over
    from gsmflow.images.listing import list_any
    from gsmflow.runs.folder import load_backbone

    spec = load_backbone(run).moved(moved.backbone, moved.weights)
    listing = list_any(file, root)
    spec.check()
    from gsmflow.images.shards import SHARD, Reading  # late, as what follows loads torch
    from gsmflow.runs.labelling import Labelling, Pictures

    tell_passed_over(listing)
    total, labels = len(listing.names), listing.labels
    parts = [
        Pictures(listing.names[start : start + SHARD], labels and labels[start : start + SHARD])
        for start in range(0, total, SHARD)
    ]
    images = Reading(listing.root, spec, batch_size, device)
    return Labelling(run, file, images=images), parts, total


def _of_table(run: Path, file: Path) -> tuple[Labelling, Sequence[Part], int]:
    """What to do to a table, in parts, and how many rows it has; made of images, it is of the run's own backbone."""
    from gsmflow.files.chunks import parts_of
    from gsmflow.images.backbone import BackboneSpec
    from gsmflow.runs.folder import check_width, feature_names, load_backbone, read_config

    config = read_config(run)
    parts, known, total = parts_of(file, feature_names(config))
    if known and "backbone" in config:
        origin, trained = BackboneSpec.from_dict(known, f"{file}: backbone"), load_backbone(run)
        if not origin.same_as(trained):
            other = f"another backbone ({origin.model}) than {run} was trained on ({trained.model})"
            if origin.sha256 == trained.sha256:
                other = f"images prepared otherwise than those {run} was trained on"
            raise InputError(f"{file}: features of {other}; give it the images themselves")
    if trained := config.get("data", {}).get("feature_dim"):
        check_width(file, parts[0].width(), run, trained, rows=total)
    from gsmflow.runs.labelling import Labelling  # late, as it loads torch

    return Labelling(run, file), parts, total


def _show(
    table: LongTable,
    run: Path,
    out: Path | None,
    unreadable: Sequence[Unreadable],
    counts: ClassCounts,
    as_json: bool,
) -> None:
    from gsmflow.files.spool import DIGITS

    if out:
        table.write(out)
    if as_json:
        rows = None if out else [row for some in table.batches() for row in some.to_dicts()]
        click.echo(
            json.dumps(
                {
                    "run": str(run),
                    "samples": table.rows,
                    "out": str(out) if out else None,
                    "unreadable": [{"path": each.name, "reason": each.reason} for each in unreadable],
                    "predictions": rows,
                }
            )
        )
    elif out:
        for line in counts.lines():
            click.echo(line, err=True)
        click.echo(f"{table.rows} samples labelled, table in {out}", err=True)
    else:
        for index, some in enumerate(table.batches()):
            click.echo(some.write_csv(include_header=index == 0, float_precision=DIGITS), nl=False)
