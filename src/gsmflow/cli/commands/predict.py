"""``gsmflow predict``: label new features, or new images, with a finished run."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options
from gsmflow.cli.grouping import grouped
from gsmflow.cli.options import MovedOptions, WorkerOptions
from gsmflow.cli.saying import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gsmflow.cli.class_counts import ClassCounts
    from gsmflow.files.spool import LongTable
    from gsmflow.images.feature_table import Unreadable


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
@options.root_option
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
    from gsmflow.cli.new_samples import holds_images, of_images, of_table, refuse_for_images
    from gsmflow.cli.progress import counting
    from gsmflow.compute.devices import check_device
    from gsmflow.compute.distributed_map import results
    from gsmflow.files.atomic import folder_for
    from gsmflow.files.spool import LongTable
    from gsmflow.runs.finished import check_order
    from gsmflow.runs.whole import check_classifier

    if out and out.suffix not in (".csv", ".parquet"):
        raise InputError(f"{out}: expected a name ending in .csv or .parquet")
    check_device(workers.device)
    check_order(run, file, "predict")
    check_classifier(run)
    cluster = workers.cluster()
    named = run
    if cluster:  # whose workers have other working folders
        run, file, root = run.absolute(), file.absolute(), root and root.absolute()
    if holds_images(run, file):
        from gsmflow.images.listing import list_any

        new = of_images(
            run, lambda: list_any(file, root), moved, batch_size=batch_size, device=workers.device
        )
    else:
        refuse_for_images(file, root, moved)
        new = of_table(run, file)
    if cluster and new.images:
        from gsmflow.images.backbone import BACKBONES

        BACKBONES.check_known_elsewhere(new.images.spec.kind)
    from gsmflow.runs.labelling import Labelling  # late, as it loads torch

    work = Labelling(run, file, top, unsure, new.images)
    unreadable: list[Unreadable] = []
    counts, outside = ClassCounts(unsure), 0
    with folder_for(out) if out else nullcontext(), LongTable() as table:
        with counting(new.what) as told:
            for labelled in results(work, new.parts, cluster):
                unreadable += labelled.unreadable
                outside += labelled.outside
                if len(labelled.table):
                    table.add(labelled.table)
                    counts.add(labelled.table)
                if len(new.parts) > 1:
                    told(table.rows + len(unreadable), new.total)
        if not table.rows:
            one = unreadable[0]
            raise InputError(f"{one.name}: {one.reason}; none of the {len(unreadable)} images can be read")
        tell_unreadable(unreadable, None)
        tell_outside(outside, table.rows, file)
        _show(table, named, out, unreadable, counts, as_json)
    return 3 if unreadable else 0


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
            say(line, indent=2)
        say(f"{table.rows} samples labelled, table in {out}", indent=2)
    else:
        for index, some in enumerate(table.batches()):
            click.echo(some.write_csv(include_header=index == 0, float_precision=DIGITS), nl=False)
