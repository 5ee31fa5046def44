"""`auto` against each of its members and against itself without each: ``python -m benchmarks.stacks --data-root DATA``.

Every member is fitted once a problem and seed. Each is scored alone and the stack without each, all by the same steps:
weights and the rate of the bias from the same validation problems, the bias from held-out samples of seen classes, the
test set scored once. Beside it stands the best H that the bias could have had on the test set (``oracle``): a
diagnosis, which also says how well validation ranks the members.

What is measured goes into ``results/stacks.csv``, a line each; what stands there is not measured again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.drawn import Drawn
from benchmarks.measure import RESULTS, keep_records, machine, records
from gsmflow import Problem
from gsmflow.cli.options import parse_seeds
from gsmflow.compute.devices import blas_threads
from gsmflow.learning.journal import Recorder
from gsmflow.protocol.choice import without_bias
from gsmflow.protocol.composing import Composite
from gsmflow.protocol.members import JudgedMember
from gsmflow.protocol.stacking import Stack, choose_stack
from gsmflow.protocol.unseen_bias import bias_at_rate
from gsmflow.recipes.preset import preset_for
from gsmflow.recipes.recipe import make_recipe
from gsmflow.scores.gzsl import Summary, best_bias, class_mean, harmonic_mean, seen_unseen_curve

FILE = RESULTS / "stacks.csv"
COLUMNS = (
    *("problem", "seed", "what", "validation_H", "U", "S", "H", "T1", "AUSUC", "oracle_H"),
    *("weights", "seconds", "date", "processor"),
)
WHOLE, ALONE, WITHOUT = "auto", "alone: ", "without: "
PUBLISHED = [Drawn("digits"), Drawn("FLO"), Drawn("AWA1")]
SMALL = [
    Drawn(base, seen, images) for base in ("FLO", "AWA1") for seen in (10, 20, 40) for images in (10, 40)
]
SMALL += [Drawn("digits", seen, 20) for seen in (10, 20)]


def measured(drawn: Drawn, seed: int, data_root: Path) -> Iterator[dict[str, str]]:
    """The lines of one problem and seed: the stack, each member alone, and the stack without each of its members."""
    problem = drawn.load(data_root, seed)
    # For one's own data: best
    recipe = make_recipe("auto", "best" if drawn.seen else preset_for(drawn.base, "best"))
    composite = Composite(problem, recipe, seed, torch.device("cpu"), Recorder())
    judge, members = composite.judged()
    fitted = [_Fitted.of(member, composite) for member in members]

    def line(what: str, among: Sequence[_Fitted]) -> tuple[dict[str, str], Stack]:
        stack = choose_stack(judge.validations, {each.label: each.validation for each in among})
        scores = _scores(problem, {each.label: each for each in among}, stack)
        weights = " + ".join(f"{weight:.2f} {name}" for name, weight in stack.weights.items())
        seconds = f"{sum(each.seconds for each in among):.1f}"
        return {
            "what": what,
            "validation_H": f"{stack.H:.5f}",
            **scores,
            "weights": weights,
            "seconds": seconds,
        }, stack

    whole, stack = line(WHOLE, fitted)
    yield whole
    ranking = {member.label for member in recipe.method.members if member.ranks}
    for one in fitted:
        if one.label in ranking:
            yield line(ALONE + one.label, [one])[0]
    for one in fitted:
        if one.label in stack.weights and len(fitted) > 1:
            yield line(WITHOUT + one.label, [other for other in fitted if other is not one])[0]


class _Fitted:
    """A member fitted on all training data: its logits wherever a stack needs them, divided by their spread."""

    def __init__(
        self,
        member: JudgedMember,
        test: NDArray[np.float32],
        held_out: NDArray[np.float32],
        seconds: float,
    ) -> None:
        self.label, self.validation = member.label, member.logits
        self.test, self.held_out, self.seconds = test, held_out, seconds

    @staticmethod
    def of(member: JudgedMember, composite: Composite) -> _Fitted:
        """Fit a member that was judged."""
        begun = time.monotonic()
        trial = composite.trials({member.label: member.choice})[member.label]
        head = trial.classifier(without_bias(member.choice), unseen_alone=False).head
        test = trial.prepared.test_logits(head)[0] / np.float32(trial.prepared.spread(head))
        held_out = trial.held_out_logits(member.choice, composite.problem)
        return _Fitted(member, test, held_out, member.seconds + time.monotonic() - begun)


def _scores(problem: Problem, members: Mapping[str, _Fitted], stack: Stack) -> dict[str, str]:
    """The scores of a stack on the test set."""
    weights = {name: np.float32(weight) for name, weight in stack.weights.items()}
    test = np.sum([weight * members[name].test for name, weight in weights.items()], axis=0)
    held_out = np.sum([weight * members[name].held_out for name, weight in weights.items()], axis=0)
    bias = bias_at_rate(held_out, problem.unseen, stack.rate)
    count = len(problem.test_seen)
    of_seen = Summary.of(test[:count], problem.labels[problem.test_seen], problem.unseen)
    of_unseen = Summary.of(test[count:], problem.labels[problem.test_unseen], problem.unseen)
    curve = seen_unseen_curve(of_seen, of_unseen)
    unseen, seen = curve.at(bias)
    values = {
        "U": unseen,
        "S": seen,
        "H": harmonic_mean(unseen, seen),
        "T1": class_mean(of_unseen.as_unseen, of_unseen.labels),
        "AUSUC": curve.area,
        "oracle_H": harmonic_mean(*curve.at(best_bias(curve))),
    }
    return {name: f"{value:.5f}" for name, value in values.items()}


def main() -> None:
    """Measure what is not on record, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--only", default="", help="problems whose name begins so")
    parser.add_argument("--published", action="store_true", help="no drawn problems")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    facts, lines = machine(), records(FILE)
    done = {(line["problem"], line["seed"]) for line in lines}
    for seed in parse_seeds(arguments.seeds):
        for drawn in PUBLISHED + ([] if arguments.published else SMALL):
            if not drawn.name.startswith(arguments.only) or (drawn.name, str(seed)) in done:
                continue
            where = {
                "problem": drawn.name,
                "seed": str(seed),
                "date": facts["date"],
                "processor": facts["processor"],
            }
            with blas_threads(torch.get_num_threads()):
                new = [where | line for line in measured(drawn, seed, arguments.data_root)]
            lines += new
            keep_records(FILE, COLUMNS, lines)
            print(f"{drawn.name}, seed {seed}: H {new[0]['H']}", flush=True)


if __name__ == "__main__":
    main()
