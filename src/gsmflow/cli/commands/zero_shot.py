"""``gsmflow zero-shot``: a run of class names alone."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options
from gsmflow.cli.saying import say


@click.command("zero-shot")
@click.argument("model")
@click.option(
    "--classes",
    required=True,
    metavar="NAMES|FILE",
    help="The classes: names such as zebra,okapi, a .txt file with one name a line, or a CSV with names and, if you "
    "like, sentences.",
)
@options.template_option
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/names-zero-shot-last-seed0]"
)
@options.device_option
@options.as_json
def zero_shot(
    model: str, classes: str, template: tuple[str, ...], out: Path | None, device: str, as_json: bool
) -> None:
    """Make a run from class names alone, without any training pictures.

    MODEL is a model of images and texts (CLIP, SigLIP): clip:openai/clip-vit-base-patch32 or clip:FOLDER. The run
    labels pictures (`predict`, `serve`), can be exported and takes new classes, like any other run. If you have
    pictures of some classes, `train --method zero-shot --backbone MODEL` also measures how well it does.
    """
    from gsmflow.compute.devices import check_device, resolve_device
    from gsmflow.files.image_text import check_model, folder_of, is_named
    from gsmflow.recipes.recipe import make_recipe
    from gsmflow.runs.folder import Request, new_folder, refuse_taken
    from gsmflow.semantics.describing import Texts, described_by
    from gsmflow.semantics.description_table import source_of

    check_device(device)
    if not is_named(model):
        raise InputError(f"{model}: expected a model of images and texts, as clip:FOLDER or clip:OWNER/NAME")
    check_model(model, "")
    file, names = source_of(classes)
    texts = described_by(file, names, templates=template, encoder=model)
    if not isinstance(texts, Texts):
        raise InputError(f"{classes}: holds attributes; give names or sentences")
    if len(texts.names) < 2:
        raise InputError(f"{classes}: a single class; give two or more", parameter="classes")
    if out is None:
        request = Request("names", None, None, "last", False, 0)
        out = new_folder(Path("runs"), request, make_recipe("zero-shot", "best"), resume=False)
    refuse_taken(out)
    folder_of(model, "")

    from gsmflow.runs.from_names import run_on_names

    run_on_names(texts, device=resolve_device(device), folder=out)
    count = len(texts.sentences[0])
    said = f"{count} sentences" if count > 1 else "1 sentence"
    say(f"{out}: {len(texts.names)} classes, {said} a class, such as '{texts.sentences[0][0]}'", indent=2)
    if as_json:
        click.echo(json.dumps({"run": str(out), "classes": list(texts.names), "model": model}))
    else:
        say(f"label pictures: gsmflow predict {out} PICTURES/ -o labels.csv", indent=2)
