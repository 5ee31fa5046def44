"""``gsmflow evaluate``: score a finished run again, on its own data or on other data of the same classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gsmflow.base.errors import InputError
from gsmflow.cli import options

if TYPE_CHECKING:
    from gsmflow.data.problem import Problem

_LOOKED_AT = 4096  # test samples, at most, that are compared with the training features


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("problem", required=False)
@click.option("--features", metavar="NAME", help="Feature file, as for train.")
@options.data_root_option
@options.as_json
def evaluate(run: Path, problem: str | None, features: str | None, data_root: Path, as_json: bool) -> None:
    """Score the classifier of RUN on the test set of PROBLEM (default: the problem it was trained on)."""
    import numpy as np

    from gsmflow.cli.display import closing_table
    from gsmflow.cli.display_concerns import tell_outside
    from gsmflow.files.class_names import matched
    from gsmflow.runs.classes import class_names
    from gsmflow.runs.folder import load_classifier, read_config, read_problem
    from gsmflow.runs.whole import check_classifier
    from gsmflow.scores.gzsl import score

    check_classifier(run)
    config = read_config(run)
    asked = config["run"]
    loaded, same = read_problem(run, config, data_root=data_root, problem=problem, features=features)
    known, width = class_names(run), int(config["data"].get("feature_dim", loaded.feature_dim))
    if problem and (len(loaded.classes) != len(known) or loaded.feature_dim != width):
        raise _other_data(run, len(known), width, loaded)
    classifier = load_classifier(run)
    note = ""
    if loaded.classes != classifier.classes and len(loaded.classes) == len(classifier.classes):
        where = loaded.where("classes")
        meant = matched(loaded.classes, classifier.classes, lambda _: f"{where}: there is", str(run))
        loaded, note = loaded.in_order_of(meant.index, classifier.classes), meant.note
    if loaded.classes != classifier.classes or loaded.feature_dim != classifier.transform.in_dim:
        raise _other_data(run, len(classifier.classes), classifier.transform.in_dim, loaded)
    loaded = loaded.relative_to(classifier.transform.offset)
    if note:
        click.echo(note, err=True)
    if not same and loaded.notes.get("split", "").startswith("drawn"):
        click.echo(
            f"{loaded.name}: its test part is drawn from all rows, some of which the run may have been trained on: "
            "then the scores are too good; a column split says which rows are for testing",
            err=True,
        )
    rows = np.concatenate((loaded.test_seen, loaded.test_unseen))
    tested = loaded.features[rows[:: -(-len(rows) // _LOOKED_AT) or 1]]
    tell_outside(int(classifier.transform.outside(tested).sum()), len(tested), loaded.name)
    scores = score(loaded, classifier.logits, unseen_logits=classifier.unseen_logits)
    result = {
        "run": str(run),
        "problem": loaded.name,
        "method": asked["method"],
        "seed": asked["seed"],
        "protocol": asked["protocol"],
        "same_data": same,
        **({"setting": asked["setting"]} if "setting" in asked else {}),
        **scores.to_dict(),
    }
    if as_json:
        click.echo(json.dumps(result, allow_nan=False))
    else:
        closing_table(result)


def _other_data(run: Path, classes: int, width: int, loaded: Problem) -> InputError:
    """The error of data that a run was not trained for."""
    return InputError(
        f"{run}: trained on {classes} classes and {width}-d features, but {loaded.name} has {len(loaded.classes)} "
        f"classes and {loaded.feature_dim}-d features, or their names differ; evaluate on the data it was trained for"
    )
