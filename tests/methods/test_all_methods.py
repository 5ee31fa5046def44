"""What every method has to do, and each one's formulas against something independent."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor
from torch.nn import functional as F

from gsmflow.compute.randomness import stream
from gsmflow.data.lending import Setting, lend
from gsmflow.files.tensors import read_tensors, write_tensors
from gsmflow.heads.factored import FactoredHead
from gsmflow.heads.kinds import head_from_state
from gsmflow.heads.likelihood import GatedHead, LikelihoodHead
from gsmflow.heads.linear import LinearHead
from gsmflow.learning.journal import Recorder
from gsmflow.learning.learner import Generator, Scorer
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods import find_method, method_names
from gsmflow.methods.eszsl import ESZSLOptions
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.gsmflow_tmm import TMMOptions
from gsmflow.methods.kernel_eszsl import KernelESZSLOptions
from gsmflow.methods.lda import LDAOptions
from gsmflow.methods.workings.cnzsl import ClassStandardization
from gsmflow.methods.workings.cvae import kl_to_standard_normal
from gsmflow.methods.workings.eszsl import solutions
from gsmflow.methods.workings.gsmflow import build
from gsmflow.methods.workings.gsmflow_tmm import RelationNetwork, mine
from gsmflow.protocol.fitting import run
from gsmflow.recipes.recipe import make_recipe
from support.recipes import problem

CPU = torch.device("cpu")
TRAINED = [name for name in method_names() if find_method(name).learner]
SMALL = {
    "relation_epochs": 3,
    "hidden": 24,
    "global_semantic": 16,
    "blocks": 2,
    "epochs": 4,
    "batch_size": 64,
}


def data(setting: Setting = Setting.INDUCTIVE) -> TrainingData:
    return TrainingData.of(lend(problem(), setting, 0), CPU)


def learner(name: str, **more: Any) -> Any:
    method = find_method(name)
    known = method.options().as_dict()
    chosen = {k: v for k, v in (SMALL | more).items() if k in known}
    assert method.learner
    options = replace(method.options(), **(chosen | dict(method.fixed)))
    return method.learner(data(method.setting(options)), options, 3)


@pytest.mark.parametrize("name", TRAINED)
def test_an_interrupted_training_continues_as_if_it_had_not_been(name: str) -> None:
    whole, first, second = learner(name), learner(name), learner(name)
    for index in range(6):
        whole.step(index)
    for index in range(3):
        first.step(index)
    second.load_state({k: t.clone() for k, t in first.state().items()})
    for index in range(3, 6):
        second.step(index)
    assert whole.weights().keys() == second.weights().keys()
    for key, tensor in whole.weights().items():
        assert torch.equal(tensor, second.weights()[key]), key


@pytest.mark.parametrize("name", TRAINED)
def test_samples_or_logits_have_the_right_shape_and_repeat(name: str) -> None:
    untrained = learner(name)
    losses = untrained.step(0)
    assert losses
    assert all(math.isfinite(float(value)) for value in losses.values())
    x = data().features
    if isinstance(untrained, Scorer):
        head = untrained.head()
        assert head.logits(x[:5]).shape == (5, 12)
        assert torch.equal(head.logits(x[:5]), untrained.head().logits(x[:5]))
        return
    assert isinstance(untrained, Generator)
    semantics = data().semantics[data().unseen]
    samples = untrained.sample(semantics, 7, 1, "x")
    size = untrained.represent(x[:1], 0).shape[1]
    assert samples.shape == (3 * 7, size)
    assert torch.equal(samples, untrained.sample(semantics, 7, 1, "x"))
    assert not torch.equal(samples, untrained.sample(semantics, 7, 2, "x"))
    representation = untrained.representation()
    assert (representation(x[:4]).shape[1] if representation else x.shape[1]) == size


@pytest.mark.parametrize("name", [name for name in method_names() if find_method(name).needs is None])
def test_every_method_beats_chance_on_classes_it_has_not_seen(name: str, tmp_path: Path) -> None:
    overrides = ["features.project_at_most=0"]
    overrides += ["head.synthetic_per_class=60", "head.epochs=10", "head.learning_rate=0.02"]
    known = find_method(name).options().as_dict()
    wanted = {
        "epochs": {"cada-vae": 60, "cvae": 60}.get(name, 25),
        "hidden": 48,
        "global_semantic": 24,
        "blocks": 2,
        "batch_size": 50,
        "least_steps": 0,
    }
    if name == "gsmflow-tmm":
        overrides += ["mining_rate=3", "relation_epochs=20"]  # a step too long leaves the small problem
    if "learning_rate" in known:
        wanted["learning_rate"] = 0.003
    overrides += [f"{find_method(name).options.table}.{k}={v}" for k, v in wanted.items() if k in known]
    if name == "auto":  # its flows
        overrides += [f"gsmflow.{k}={v}" for k, v in (wanted | {"learning_rate": 0.003}).items()]
    given = problem()
    outcome = run(
        given,
        make_recipe(name, "best", overrides),
        protocol="last",
        oracle=False,
        seed=0,
        device=CPU,
        recorder=Recorder(),
    )
    assert outcome.scores.T1 > 1.3 / 3  # three unseen classes
    assert outcome.scores.AUSUC > 0.1  # 0.02 by chance: 1/9 of the seen, 1/3 of the unseen, half of it
    classifier = outcome.classifier
    write_tensors(tmp_path / "head.safetensors", classifier.state())
    again = type(classifier).from_state(read_tensors(tmp_path / "head.safetensors")[0], given.classes, "test")
    x = given.features[given.test_unseen][:20]
    np.testing.assert_array_equal(again.logits(x), classifier.logits(x))
    np.testing.assert_array_equal(again.unseen_logits(x), classifier.unseen_logits(x))


def test_lda_on_seen_classes_is_scikit_learns() -> None:
    training = data()
    method = find_method("lda")
    assert method.direct
    options = LDAOptions(shrinkage=0.2, tried=0)
    ((_, head),) = method.direct(training, options)
    theirs = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=0.2, priors=np.full(len(training.seen), 1 / len(training.seen))
    ).fit(training.features, training.labels)
    x = training.features[:50]
    # scikit-learn shrinks each class's standardized covariance; where dimensions have equal spread it is ours.
    agree = (head.logits(x)[:, training.seen].argmax(dim=1).numpy() == theirs.predict(x)).mean()
    assert agree > 0.95


def test_lda_predicts_the_means_of_unseen_classes_by_ridge_regression() -> None:
    training = data()
    method = find_method("lda")
    assert method.direct
    ((_, head),) = method.direct(training, LDAOptions(ridge=-3.0, shrinkage=1.0, tried=0))
    a = torch.cat((training.semantics, torch.ones(12, 1)), dim=1).double()
    seen = a[training.seen]
    scale = (seen.T @ seen).diagonal().mean()
    weights = torch.linalg.solve(
        seen.T @ seen + 1e-3 * scale * torch.eye(7, dtype=torch.float64),
        seen.T @ training.class_means().double(),
    )
    expected = (a @ weights)[training.unseen]
    assert isinstance(head, FactoredHead)
    # With a covariance that is a multiple of the identity, weights are the means over that multiple.
    ratio = head.linear().weight[training.unseen].double() / expected
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), rtol=1e-3, atol=1e-3)


def test_random_fourier_features_approximate_the_gaussian_kernel() -> None:
    training = data()
    method = find_method("kernel-eszsl")
    assert method.direct
    options = KernelESZSLOptions(fourier_features=2_000, width=0.0, tried=0, widths_tried=0)
    ((_, head),) = method.direct(training, options)
    assert isinstance(head, torch.nn.Module) is False
    x = training.features[:12]
    phi = head.representation(x) * math.sqrt(2 / 2_000)  # type: ignore[union-attr]
    distances = torch.cdist(x, x)
    width = torch.pdist(training.features[:: max(1, len(training.features) // 1000)][:1000]).median()
    torch.testing.assert_close(phi @ phi.T, (-(distances**2) / (2 * width**2)).exp(), atol=0.12, rtol=0)


def test_kernel_eszsl_is_eszsl_on_the_mapped_features() -> None:
    training = data()
    method = find_method("kernel-eszsl")
    assert method.direct
    ((_, head),) = method.direct(training, KernelESZSLOptions(fourier_features=64, tried=0, widths_tried=0))
    mapped = replace(training, features=head.representation(training.features))  # type: ignore[union-attr]
    ((_, plain),) = solutions(mapped, ESZSLOptions(tried=0))
    torch.testing.assert_close(head.logits(training.features), plain.logits(mapped.features))


def test_class_standardization_is_batch_normalization_over_classes() -> None:
    ours, theirs = ClassStandardization(6), torch.nn.BatchNorm1d(6, affine=False)
    for _ in range(3):
        h = torch.randn(9, 6) * 3 + 1
        biased = (9 - 1) / 9  # batch normalization divides by C, not C - 1, while training
        torch.testing.assert_close(ours(h) / math.sqrt(biased), theirs(h), rtol=1e-3, atol=1e-3)
    h = torch.randn(4, 6)
    torch.testing.assert_close(ours.eval()(h), theirs.eval()(h), rtol=1e-4, atol=1e-4)


def test_log_likelihood_integrates_the_whole_jacobian() -> None:
    torch.manual_seed(0)
    options = GSMFlowOptions(blocks=2, hidden=8, global_semantic=6)
    model = build(4, torch.rand(5, 3) + 0.1, options, 0)
    model.flow.reset(torch.Generator().manual_seed(1), scale=0.5)
    semantics, x = torch.rand(3, 3), torch.randn(4)
    likelihoods = model.log_likelihood(x[None], semantics)[0]
    for c in range(3):

        def to_noise(value: Tensor, c: int = c) -> Tensor:
            conditions = model.flow.condition(model.positioning(semantics[c : c + 1]))
            return model.flow(value[None], conditions)[0][0]

        jacobian = torch.autograd.functional.jacobian(to_noise, x)
        normal = torch.distributions.Normal(0.0, 1.0).log_prob(to_noise(x)).sum()
        expected = normal + torch.linalg.slogdet(jacobian)[1]  # type: ignore[arg-type]
        torch.testing.assert_close(likelihoods[c], expected, rtol=1e-4, atol=1e-4)


def test_the_gate_decides_by_likelihood_and_heads_within() -> None:
    torch.manual_seed(0)
    model = build(4, torch.rand(5, 3) + 0.1, GSMFlowOptions(blocks=1, hidden=8, global_semantic=6), 0)
    gate = LikelihoodHead(model, torch.rand(5, 3), 1.0)
    seen, unseen = torch.tensor([0, 2, 3]), torch.tensor([1, 4])
    heads = [LinearHead(torch.randn(n, 4), torch.randn(n)) for n in (3, 2)]
    gated = GatedHead(gate, seen, unseen, *heads)
    x = torch.randn(30, 4)
    logits, likelihood = gated.logits(x), gate.logits(x)
    margin = likelihood[:, seen].amax(1) - likelihood[:, unseen].amax(1)
    torch.testing.assert_close(logits[:, seen].amax(1) - logits[:, unseen].amax(1), margin)
    assert torch.equal(logits[:, seen].argmax(1), heads[0].logits(x).argmax(1))
    assert torch.equal(logits[:, unseen].argmax(1), heads[1].logits(x).argmax(1))
    again = head_from_state(gated.state())
    assert torch.equal(again.logits(x), logits)


def test_mining_moves_features_to_where_relation_scores_are_less_sure() -> None:
    training = data()
    options = TMMOptions(**(SMALL | {"relation_epochs": 250}), relation_hidden=32)
    relation = RelationNetwork(training, options, 0)
    guess = torch.full((len(training.features), 9), 1 / 9)
    scores = relation(training.features)
    assert relation.loss(scores, training.labels) < 0.8 * relation.loss(guess, training.labels)
    moved = mine(relation, training.features, training.labels, replace(options, mining_rate=5.0))

    def entropy(features: Tensor) -> Tensor:
        share = F.normalize(relation(features), p=1, dim=1)
        return -(share * share.clamp(min=1e-12).log()).sum(dim=1).mean()

    assert entropy(moved) > entropy(training.features)
    assert not torch.equal(moved, training.features)


def test_kl_of_the_encoder_is_torchs() -> None:
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (log_variance / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    ).sum(dim=1)
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), theirs)


def test_the_critics_loss_is_that_of_gulrajani_with_autograds_slopes() -> None:
    peer = learner("f-clswgan")
    x, rows = peer.batch(0)
    fake = torch.randn_like(x)
    loss = peer.critic_loss(x, fake, rows, turn=4)
    share = torch.rand(len(x), 1, generator=stream(CPU, peer.seed, "mixture", 4))
    mixed = (share * x + (1 - share) * fake).requires_grad_()

    def scores(features: Tensor) -> Tensor:
        return peer.critic(features, peer.a, rows)

    (slope,) = torch.autograd.grad(scores(mixed).sum(), mixed, create_graph=True)
    plain = scores(fake).mean() - scores(x).mean() + 10 * (slope.norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(loss, plain)
    weights = list(peer.critic.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(loss, weights), torch.autograd.grad(plain, weights), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["cflow", "gsmflow-tmm"])
def test_what_makes_a_method_cannot_be_set(name: str) -> None:
    fixed = find_method(name).fixed
    recipe = make_recipe(name, "best")
    assert {k: getattr(recipe.options, k) for k in fixed} == dict(fixed)
    with pytest.raises(ValueError, match="is always"):
        make_recipe(name, "best", ["perturbation=0.5"])


def kernel_by_hand(training: TrainingData, options: KernelESZSLOptions) -> np.ndarray:
    """Kernel ESZSL's logits of the training features, as its equation says, in NumPy."""
    x, s = training.features.double().numpy(), training.semantics.double().numpy()
    seen = training.seen.numpy()
    distances = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    some = x[:: max(1, len(x) // 1000)][:1000]
    pairs = np.sqrt(((some[:, None] - some[None]) ** 2).sum(axis=2))[np.triu_indices(len(some), 1)]
    width = 2**options.width * np.sort(pairs)[(len(pairs) - 1) // 2]
    kernel = np.exp(-distances / (2 * width**2))
    targets = np.where(np.eye(len(seen))[training.labels.numpy()] > 0, 1.0, -1.0)
    centered = s - s[seen].mean(axis=0)
    classes = centered @ centered.T / (centered[seen] ** 2).sum(axis=1).mean() + 1
    right = np.linalg.solve(
        classes[np.ix_(seen, seen)] + 10**options.semantic * np.eye(len(seen)), classes[seen]
    )
    return kernel @ np.linalg.solve(kernel + 10**options.gamma * np.eye(len(x)), targets) @ right


def test_kernel_eszsl_is_its_equation_and_landmarks_come_close() -> None:
    training = data()
    method = find_method("kernel-eszsl")
    assert method.direct
    alone = {"tried": 0, "widths_tried": 0, "semantic_widths_tried": False}
    options = KernelESZSLOptions(**alone)
    ((_, exact),) = method.direct(training, options)
    by_hand = kernel_by_hand(training, options)
    logits = exact.logits(training.features).numpy()
    assert np.abs(logits - by_hand).max() < 2e-3 * np.abs(by_hand).max()
    errors = []
    for landmarks in (20, 60, len(training.features)):
        some = KernelESZSLOptions(**alone, exact_up_to=1, landmarks=landmarks)
        ((_, near),) = method.direct(training, some)
        errors.append(float(np.abs(near.logits(training.features).numpy() - by_hand).mean()))
    spread = by_hand.std()
    assert errors[0] > errors[1] > errors[2]
    assert errors[1] < 0.25 * spread
    assert errors[2] < 0.02 * spread
