"""``gsmflow predict``: label new features with a finished run."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from gsmflow.cli import options
from gsmflow.errors import InputError


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Table to write, .csv or .parquet.  [default: CSV on stdout]",
)
@click.option(
    "--top", default=3, show_default=True, type=click.IntRange(1), help="Classes listed for each sample."
)
@options.as_json
def predict(run: Path, file: Path, out: Path | None, top: int, as_json: bool) -> None:
    """Label the features in FILE (.npz, .csv or .parquet) with the classifier of RUN.

    Writes a table with one row a sample: the class, its probability, whether it is an unseen class,
    and the next most probable classes.
    """
    import polars as pl

    from gsmflow.files import write_bytes
    from gsmflow.run import load_classifier
    from gsmflow.sources.table import read_features

    if out and out.suffix not in (".csv", ".parquet"):
        raise InputError(f"{out}: expected a name ending in .csv or .parquet")
    classifier = load_classifier(run)
    features, labels, ids = read_features(file)
    if features.shape[1] != classifier.transform.in_dim:
        raise InputError(
            f"{file}: {features.shape[1]} feature dimensions, but {run} was trained on "
            f"{classifier.transform.in_dim}"
        )
    probabilities = classifier.probabilities(features)
    count = min(top, len(classifier.classes))
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    names = np.array(classifier.classes)
    unseen = np.isin(order[:, 0], classifier.unseen)
    columns: dict[str, object] = {"sample": list(ids) if ids is not None else list(range(len(features)))}
    if labels is not None:
        columns["label"] = list(labels)
    columns |= {"class": names[order[:, 0]].tolist(), "unseen_class": unseen.tolist()}
    for rank in range(count):
        chosen = order[:, rank]
        if rank:
            columns[f"class_{rank + 1}"] = names[chosen].tolist()
        key = "probability" if rank == 0 else f"probability_{rank + 1}"
        columns[key] = probabilities[np.arange(len(chosen)), chosen].tolist()
    table = pl.DataFrame(columns)
    if out:
        import io

        buffer = io.BytesIO()
        table.write_csv(buffer) if out.suffix == ".csv" else table.write_parquet(buffer)
        write_bytes(out, buffer.getvalue())
    if as_json:
        click.echo(
            json.dumps(
                {
                    "run": str(run),
                    "samples": len(table),
                    "out": str(out) if out else None,
                    "predictions": None if out else table.to_dicts(),
                }
            )
        )
    elif out:
        click.echo(f"{len(table)} samples labelled, table in {out}", err=True)
    else:
        click.echo(table.write_csv(), nl=False)
