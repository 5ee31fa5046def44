"""``gsmflow evaluate``: score a finished run on its own test set, on other data, or on labelled pictures or rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options
from gsmflow.cli.grouping import grouped
from gsmflow.cli.options import MovedOptions
from gsmflow.cli.saying import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gsmflow.data.problem import Problem
    from gsmflow.images.listing import Listing
    from gsmflow.runs.evaluating import Measured

_LOOKED_AT = 4096  # test samples, at most, that are compared with the training features


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@click.option("--features", metavar="NAME", help="Feature file, as for train.")
@options.data_root_option
@options.root_option
@grouped(moved=MovedOptions)
@options.batch_size_option
@options.device_option
@options.as_json
def evaluate(
    run: Path,
    data: str | None,
    features: str | None,
    data_root: Path,
    root: Path | None,
    moved: MovedOptions,
    batch_size: int,
    device: str,
    as_json: bool,
) -> int:
    """Score the classifier of RUN on DATA (default: the test set of the problem it was trained on).

    DATA is a folder of pictures in folders named after their classes, a CSV with columns `path` and `label`, a table of
    features with a column `label` (.csv, .npz, .parquet), or a problem as for train, whose test set is scored. U is
    known where DATA has samples of classes without training pictures, S where it has samples of the others.
    """
    from gsmflow.cli.display_evaluation import show_evaluation, tell_evaluated
    from gsmflow.cli.new_samples import refuse_for_images
    from gsmflow.compute.devices import check_device
    from gsmflow.runs.evaluation_data import holds_samples, is_own_table
    from gsmflow.runs.finished import check_order
    from gsmflow.runs.folder import read_config
    from gsmflow.runs.whole import check_classifier

    check_device(device)
    if data:
        check_order(run, Path(data), "evaluate")
    check_classifier(run)
    config = read_config(run)
    if data and is_own_table(Path(data), config):
        data = None  # its rows were trained on, but for the test part
    if features or data is None or not holds_samples(data, data_root=data_root):
        refuse_for_images(Path(data or run), root, moved)
        tested = "test set"
        name, same, measured = _of_problem(run, config, data, features, data_root)
    else:
        name, same = str(data), False
        measured, what = _of_samples(run, config, Path(name), root, moved, batch_size, device)
        tested = f"{sum(measured.samples.values())} {what}"
    asked = config["run"]
    result = {
        "run": str(run),
        "problem": name,
        "method": asked["method"],
        "seed": asked["seed"],
        "protocol": asked["protocol"],
        "same_data": same,
        **({"setting": asked["setting"]} if "setting" in asked else {}),
        **measured.to_dict(),
    }
    tell_evaluated(measured, name)
    if as_json:
        click.echo(json.dumps(result, allow_nan=False))
    else:
        show_evaluation(result, measured, tested)
    return 3 if measured.unreadable else 0


def _of_samples(
    run: Path,
    config: Mapping[str, Any],
    path: Path,
    root: Path | None,
    moved: MovedOptions,
    batch_size: int,
    device: str,
) -> tuple[Measured, str]:
    """The scores on labelled pictures, or on a table with labels; and what its samples are, in a word."""
    from gsmflow.cli.new_samples import holds_images, of_images, of_table, refuse_for_images
    from gsmflow.cli.progress import counting
    from gsmflow.runs.evaluation_data import labelled_pictures

    remarks: tuple[str, ...] = ()

    def listing() -> Listing:
        nonlocal remarks
        listed, remarks = labelled_pictures(run, path, config, root)
        return listed

    if holds_images(run, path):
        new = of_images(run, listing, moved, batch_size=batch_size, device=device)
    else:
        refuse_for_images(path, root, moved)
        new = of_table(run, path)
    for remark in remarks:
        say(remark, indent=2)
    from gsmflow.runs.evaluating import measured_of  # late, as what follows loads torch
    from gsmflow.runs.folder import load_classifier

    features_of = new.images.open() if new.images else None
    with counting(new.what) as told:
        measured = measured_of(
            run,
            path,
            load_classifier(run),
            new.parts,
            features_of=features_of,
            told=lambda done: told(done, new.total) if len(new.parts) > 1 else None,
        )
    return measured, new.what


def _of_problem(
    run: Path, config: Mapping[str, Any], problem: str | None, features: str | None, data_root: Path
) -> tuple[str, bool, Measured]:
    """The name of a problem, whether it is what the run was trained on, and the scores on its test parts."""
    import numpy as np

    from gsmflow.cli.display_concerns import tell_outside
    from gsmflow.files.class_names import matched
    from gsmflow.runs.classes import class_names
    from gsmflow.runs.folder import load_classifier, read_problem

    loaded, same = read_problem(run, config, data_root=data_root, problem=problem, features=features)
    known, width = class_names(run), int(config["data"].get("feature_dim", loaded.feature_dim))
    if problem and (len(loaded.classes) != len(known) or loaded.feature_dim != width):
        raise _other_data(run, len(known), width, loaded)
    from gsmflow.runs.evaluating import measured_on

    classifier = load_classifier(run)
    note = ""
    if loaded.classes != classifier.classes and len(loaded.classes) == len(classifier.classes):
        where = loaded.where("classes")
        meant = matched(
            loaded.classes,
            classifier.classes,
            lambda _: f"{where}: there is",
            str(run),
            missing="is no class of",
        )
        loaded, note = loaded.in_order_of(meant.index, classifier.classes), meant.note
    if loaded.classes != classifier.classes or loaded.feature_dim != classifier.transform.in_dim:
        raise _other_data(run, len(classifier.classes), classifier.transform.in_dim, loaded)
    loaded = loaded.relative_to(classifier.transform.offset)
    if note:
        say(note, indent=2)
    if not same and loaded.notes.get("split", "").startswith("drawn"):
        say(
            f"{loaded.name}: its test part is drawn from all rows, some of which the run may have been trained on: "
            "then the scores are too good; a column split says which rows are for testing",
            indent=2,
        )
    rows = np.concatenate((loaded.test_seen, loaded.test_unseen))
    tested = loaded.features[rows[:: -(-len(rows) // _LOOKED_AT) or 1]]
    tell_outside(int(classifier.transform.outside(tested).sum()), len(tested), loaded.name)
    return loaded.name, same, measured_on(classifier, loaded)


def _other_data(run: Path, classes: int, width: int, loaded: Problem) -> InputError:
    """The error of data that a run was not trained for."""
    return InputError(
        f"{run}: trained on {classes} classes and {width}-d features, but {loaded.name} has {len(loaded.classes)} "
        f"classes and {loaded.feature_dim}-d features, or their names differ; evaluate on the data it was trained for"
    )
