"""``gsmflow extract``: images in, a table of features out."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gsmflow.cli import options


@click.command()
@click.argument("images", type=click.Path(path_type=Path))
@click.option(
    "--backbone",
    required=True,
    metavar="NAME|FILE",
    help="A model of timm, such as resnet101, vit_small_patch14_dinov2 or vit_base_patch16_clip_224.openai; or an "
    ".onnx or TorchScript (.pt) file. A TorchScript file is a program: open only what you trust.",
)
@options.weights
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("features.npz"),
    show_default=True,
    help="Table to write.",
)
@click.option(
    "--root", type=click.Path(path_type=Path), help="Folder of a CSV's paths.  [default: the CSV's]"
)
@click.option("--size", type=int, help="Side of the pictures a model file takes, in pixels.  [default: 224]")
@click.option("--crop", type=float, help="That side as a fraction of the shorter side.  [default: 0.875]")
@click.option("--interpolation", metavar="KIND", help="bilinear or bicubic.  [default: bicubic]")
@click.option("--normalize", metavar="KIND", help="imagenet, clip, half or none.  [default: imagenet]")
@click.option("--output", default="", metavar="NAME", help="Output of an ONNX model.  [default: its first]")
@options.batch_size
@options.on
@options.worker_threads
@options.device
@options.as_json
def extract(
    images: Path,
    backbone: str,
    weights: str,
    out: Path,
    root: Path | None,
    size: int | None,
    crop: float | None,
    interpolation: str | None,
    normalize: str | None,
    output: str,
    batch_size: int,
    on: str | None,
    threads: int | None,
    device: str,
    as_json: bool,
) -> int:
    """Turn IMAGES into a table of features to train on.

    IMAGES is a folder with one folder a class (or with train/ and test/ that hold those), or a CSV with columns
    path, label and optionally split. Interrupted, even by kill -9? The same command continues. Images that cannot be
    read are left out, listed beside OUT in NAME.unreadable.csv, and the exit code is 3.
    """
    # Late: loading torch takes over a second that --help need not wait for.
    from gsmflow.cli.display_images import (
        classes_of,
        counting,
        tell_passed_over,
        tell_unreadable,
        tell_without_images,
    )
    from gsmflow.compute.devices import resolve_device
    from gsmflow.images.backbone import BackboneSpec
    from gsmflow.images.extraction import extract as carry_out
    from gsmflow.images.feature_table import unreadable_file
    from gsmflow.images.listing import list_labelled
    from gsmflow.images.opening import open_backbone

    cluster = options.place(on, threads)
    given = {"size": size, "crop": crop, "interpolation": interpolation, "normalization": normalize}
    spec = BackboneSpec.of(
        backbone,
        weights=weights,
        output=output,
        preprocessing={name: value for name, value in given.items() if value is not None},
    )
    listing = list_labelled(images, root)
    tell_passed_over(listing)
    opened = open_backbone(spec, resolve_device(device))
    there = out.exists()
    with counting("images") as told:
        made = carry_out(
            opened, listing, out, batch_size=batch_size, cluster=cluster, device=device, told=told
        )
    tell_unreadable(made.unreadable, unreadable_file(out))
    tell_without_images(listing, made.unreadable)
    count, dims = made.shape
    if as_json:
        found = {
            "out": str(out),
            "images": len(listing.names),
            "features": [count, dims],
            "classes": len(classes_of(listing, made.unreadable)),
            "unreadable": [{"path": each.name, "reason": each.reason} for each in made.unreadable],
            "backbone": opened.spec.to_dict(),
        }
        click.echo(json.dumps(found))
    else:
        state = "were there already, made of these images by this backbone" if there else "written"
        click.echo(f"{out}: {count} features of {dims} dimensions {state}", err=True)
    return 3 if made.unreadable else 0
