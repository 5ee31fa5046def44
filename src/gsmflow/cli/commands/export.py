"""``gsmflow export``: a run's classifier for programs without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options
from gsmflow.cli.saying import say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--onnx", is_flag=True, expose_value=False, help="Write an ONNX graph, the default.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="File to write.  [default: classifier.onnx in RUN]"
)
@click.option(
    "--images", is_flag=True, help="Begin with pictures: include the backbone of RUN, which is an ONNX file."
)
@click.option("--backbone", metavar="FILE", help="Where that file lies now, if it was moved.")
@options.as_json
def export(run: Path, out: Path | None, images: bool, backbone: str | None, as_json: bool) -> None:
    """Write the classifier of RUN as one file: features in, class probabilities out.

    The file is an ONNX graph, for onnxruntime and other programs. Its metadata hold the names of the classes.
    """
    from gsmflow.files.atomic import check_writable
    from gsmflow.runs.finished import check_finished
    from gsmflow.runs.folder import load_backbone, load_classifier

    if out and out.suffix != ".onnx":
        raise InputError(f"{out}: expected a name ending in .onnx")
    check_finished(run)
    file = out or run / "classifier.onnx"
    check_writable(file.parent)
    if backbone and not images:
        raise InputError(f"--backbone {backbone}: is for --images; add that, or leave it out")
    spec = load_backbone(run).moved(backbone, None) if images else None
    classifier = load_classifier(run)

    from gsmflow.serve import onnx  # late, because it loads torch

    onnx.export(classifier, file, spec)
    told = {
        "run": str(run),
        "out": str(file),
        "takes": "pictures" if images else f"{classifier.transform.in_dim} features",
        "classes": len(classifier.classes),
        "bytes": file.stat().st_size,
    }
    if as_json:
        click.echo(json.dumps(told))
    else:
        say(
            f"{file}: {told['takes']} to {told['classes']} classes, {told['bytes'] / 1024:.0f} KiB", err=False
        )
