"""What a GPU computes is what the CPU does, and a recorded step is the step; skipped where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gsmflow.compute import fusion
from gsmflow.flow import ConditionalFlow
from gsmflow.learning.head_data import Pool
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.journal import Recorder
from gsmflow.learning.softmax import train_head
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods import find_method, method_names
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.workings.gsmflow import GSMFlowLearner
from gsmflow.protocol.fitting import run
from gsmflow.recipes.recipe import make_recipe
from gsmflow.scores.gzsl import harmonic_mean
from support.recipes import problem

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's compiler uses some of torch's own
]

CPU, GPU = torch.device("cpu"), torch.device("cuda")
SMALL = GSMFlowOptions(batch_size=32, blocks=3, hidden=24, global_semantic=16, perturbation=0.05)
# Large enough for compiled element-wise work; without noise, whose numbers differ from device to device.
LARGE = replace(SMALL, hidden=2048, blocks=2, perturbation=0.0, batch_size=64)


def data(device: torch.device, dim: int) -> TrainingData:
    generator = torch.Generator().manual_seed(0)
    return TrainingData(
        features=torch.rand(300, dim, generator=generator).to(device),
        labels=(torch.arange(300) % 20).to(device),
        semantics=torch.rand(25, 6, generator=generator).to(device),
        seen=torch.arange(20, device=device),
        unseen=torch.arange(20, 25, device=device),
    )


def losses(learner: GSMFlowLearner, steps: int, start: int = 0) -> torch.Tensor:
    steps_done = [learner.step(index) for index in range(start, start + steps)]
    return torch.tensor([[float(value) for value in losses.values()] for losses in steps_done])


@pytest.mark.parametrize("options", [SMALL, replace(SMALL, prototype_weight=0.0), LARGE])
def test_a_replayed_step_is_the_step(options: GSMFlowOptions) -> None:
    dim = 1024 if options is LARGE else 10
    replayed, launched = (GSMFlowLearner(data(GPU, dim), options, seed=1) for _ in range(2))
    launched.recording = None
    assert replayed.recording is not None
    # In bfloat16 sums in another order are rounded otherwise, and Adam makes as large a step of the smallest gradient.
    tolerance = {"rtol": 5e-3, "atol": 5e-3} if options is LARGE else {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(losses(replayed, 12), losses(launched, 12), **tolerance)
    for name, weight in replayed.weights().items():
        torch.testing.assert_close(weight, launched.weights()[name], **tolerance)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("bfloat16", 3e-2)])
def test_both_devices_train_alike(precision: str, tolerance: float) -> None:
    on_gpu = GSMFlowLearner(data(GPU, 1024), replace(LARGE, precision=precision), seed=1)
    on_cpu = GSMFlowLearner(data(CPU, 1024), replace(LARGE, precision="float32"), seed=1)
    assert fusion.pays(on_gpu.model.flow.blocks[0].net1.x_weight)  # type: ignore[union-attr]
    torch.testing.assert_close(losses(on_gpu, 10), losses(on_cpu, 10), rtol=tolerance, atol=tolerance)


def test_an_interrupted_training_continues_as_if_it_had_not_been() -> None:
    whole, first, second = (GSMFlowLearner(data(GPU, 10), SMALL, seed=1) for _ in range(3))
    expected = losses(whole, 10)
    losses(first, 5)
    second.load_state({name: tensor.clone() for name, tensor in first.state().items()})
    assert torch.equal(losses(second, 5, start=5), expected[5:])
    for name, weight in whole.weights().items():
        assert torch.equal(weight, second.weights()[name]), name


def test_the_log_determinant_in_bfloat16_is_near_that_in_float64() -> None:
    learner = GSMFlowLearner(data(GPU, 1024), replace(LARGE, precision="bfloat16"), seed=1)
    losses(learner, 40)
    exact = (
        ConditionalFlow(1024, LARGE.global_semantic, blocks=LARGE.blocks, hidden=LARGE.hidden)
        .double()
        .to(GPU)
    )
    weights = learner.weights()
    exact.load_state_dict({n.removeprefix("flow."): t for n, t in weights.items() if n.startswith("flow.")})
    with torch.no_grad():
        g = learner.model.positioning(learner.seen_semantics)
        rows, x = learner.data.labels[:256], learner.data.features[:256]
        _, rounded = learner.model.flow(x, learner.model.flow.condition(g), rows)
        _, truth = exact(x.double(), exact.condition(g.double()), rows)
    assert float(((rounded - truth) / truth).abs().max()) < 1e-2


def test_codes_of_synthetic_features_are_the_features() -> None:
    learner = GSMFlowLearner(data(GPU, 64), SMALL, seed=1)
    losses(learner, 8)
    plain, coded = (Pool.synthesize(learner, learner.data, 50, 0, coded=coded) for coded in (False, True))
    assert isinstance(plain, Pool)
    assert isinstance(coded, Pool)
    assert coded.step is not None
    difference = (coded.rows(0, len(coded.labels)) - plain.features).abs()
    inside = (plain.features - coded.low).div(coded.step).clamp(
        0, 255
    ) * coded.step + coded.low == plain.features
    assert (difference[inside] <= 0.51 * coded.step.expand_as(difference)[inside]).all()


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("coded", [False, True])
def test_heads_of_both_devices_are_alike(kind: str, coded: bool) -> None:
    training = data(CPU, 64)
    labels = training.seen[training.labels]
    low, step = (training.features.amin(dim=0), training.features.std(dim=0) / 60) if coded else (None, None)
    features = torch.randint(0, 255, training.features.shape).to(torch.uint8) if coded else training.features
    heads = []
    for device in (CPU, GPU):
        on = [None if t is None else t.to(device) for t in (features, labels, low, step)]
        pool = Pool(on[0], on[1], 300, on[2], on[3])  # type: ignore[arg-type]
        options = HeadOptions(epochs=8, batch_size=64, kind=kind, loss="balanced", logit_adjustment=0.5)
        # The first weights differ from device to device, the error of what they learn does not by much.
        *_, head = train_head(pool, 25, options, 0)
        logits = head.logits(pool.rows(0, 300)).cpu()
        heads.append(float(torch.nn.functional.cross_entropy(logits, labels)))
    assert abs(heads[0] - heads[1]) < 0.15 * heads[0]


@pytest.mark.parametrize("name", [name for name in method_names() if find_method(name).needs is None])
def test_every_method_runs(name: str, tmp_path: Path) -> None:
    overrides = ["features.project_at_most=0", "head.synthetic_per_class=40", "head.epochs=6"]
    known = find_method(name).options().as_dict()
    wanted = {
        "epochs": 4,
        "hidden": 24,
        "global_semantic": 16,
        "blocks": 2,
        "batch_size": 50,
        "least_steps": 0,
        "relation_epochs": 3,
    }
    overrides += [f"{find_method(name).options.table}.{k}={v}" for k, v in wanted.items() if k in known]
    recipe = make_recipe(name, "best", [*overrides, "selection.problems=1", "selection.every=20"])
    outcome = run(
        problem(), recipe, protocol="validated", oracle=False, seed=0, device=GPU, recorder=Recorder(tmp_path)
    )
    scores = outcome.scores
    assert pytest.approx(harmonic_mean(scores.U, scores.S)) == scores.H
    assert scores.T1 > 0
