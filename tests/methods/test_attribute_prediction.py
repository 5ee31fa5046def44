"""DAP and IAP against scikit-learn's probabilities, combined as their equations say, and on what they are made for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from gsmflow.base.errors import InputError
from gsmflow.cli import main
from gsmflow.heads.kinds import head_from_state, head_state
from gsmflow.heads.representation import Representation
from gsmflow.learning.journal import Recorder
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods import find_method
from gsmflow.methods.workings.attributes import BaseClassifier
from gsmflow.methods.workings.dap import platt_scaling
from gsmflow.protocol.fitting import run
from gsmflow.recipes.recipe import make_recipe
from gsmflow.runs.folder import load_classifier
from support.process import process
from support.recipes import PROBLEM, problem

CPU = torch.device("cpu")


def data() -> TrainingData:
    return TrainingData.of(problem(), CPU)


def in_units(training: TrainingData) -> np.ndarray:
    x = training.features.double().numpy()
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0).mean())


def binary(training: TrainingData) -> np.ndarray:
    a = training.semantics.double().numpy()
    return (a > a[training.seen.numpy()].mean(axis=0)).astype(int)


def base(classifier: str, samples: int) -> Any:
    if classifier == "bayes":
        return GaussianNB(var_smoothing=0.01)
    return LogisticRegression(C=100 / samples, tol=1e-3, max_iter=1000)


def scored(probabilities: np.ndarray, training: TrainingData) -> np.ndarray:
    """log of prod_m p(a_m = a_zm | x) / p(a_m = a_zm) from p(a_m = 1 | x), (N, M)."""
    a = binary(training)
    prior = a[training.seen.numpy()].mean(axis=0)
    logits = np.zeros((len(probabilities), len(a)))
    for z, has in enumerate(a):
        of_class = np.where(has, probabilities, 1 - probabilities)
        logits[:, z] = np.log(of_class / np.where(has, prior, 1 - prior)).sum(axis=1)
    return logits


def same_up_to_a_shift(logits: torch.Tensor, expected: np.ndarray) -> None:
    """What is common to all classes of a sample changes nothing."""
    np.testing.assert_allclose(
        logits.numpy() - logits.numpy().mean(axis=1, keepdims=True),
        expected - expected.mean(axis=1, keepdims=True),
        atol=2e-3 * np.abs(expected).max(),
    )


def head_of(name: str, training: TrainingData, **options: Any) -> Any:
    method = find_method(name)
    assert method.direct
    ((_, head),) = method.direct(training, method.options(tried=0, **options))
    return head


@pytest.mark.parametrize("classifier", ["logistic", "bayes"])
def test_dap_is_the_product_of_the_attributes_probabilities(classifier: str) -> None:
    training = data()
    x, a = in_units(training), binary(training)[training.seen.numpy()][training.labels.numpy()]
    probabilities = np.column_stack(
        [base(classifier, len(x)).fit(x, target).predict_proba(x)[:, 1] for target in a.T]
    )
    head = head_of("dap", training, classifier=classifier)
    usual = np.abs(np.log(probabilities / (1 - probabilities))).max(axis=1) < 30  # beyond, float64 has 0 or 1
    same_up_to_a_shift(head.logits(training.features)[usual], scored(probabilities[usual], training))


@pytest.mark.parametrize("classifier", ["logistic", "bayes"])
@pytest.mark.parametrize("temperature", [0.0, 3.0])
def test_iap_expects_attributes_of_the_seen_classes(classifier: str, temperature: float) -> None:
    training = data()
    x, a = in_units(training), binary(training)[training.seen.numpy()]
    of_class = base(classifier, len(x)).fit(x, training.labels.numpy()).predict_log_proba(x) / 2**temperature
    of_class = np.exp(of_class - of_class.max(axis=1, keepdims=True))
    of_class /= of_class.sum(axis=1, keepdims=True)
    head = head_of("iap", training, classifier=classifier, temperature=temperature)
    probabilities = np.clip(of_class @ a, 1e-6, 1 - 1e-6)
    same_up_to_a_shift(head.logits(training.features), scored(probabilities, training))


def test_platt_scaling_flattens_what_held_out_samples_do_not_bear_out() -> None:
    random = np.random.default_rng(0)
    telling = random.integers(0, 2, 400)
    x = np.column_stack((3 * telling + random.normal(size=400), random.normal(size=(400, 150)))).astype(
        np.float32
    )
    targets = np.column_stack((telling, random.integers(0, 2, 400)))
    slopes, _ = platt_scaling(BaseClassifier(False, -6.0), x, targets)
    assert slopes[1] < 0.1 * slopes[0]  # chance stays chance, however sure the classifier was in training


@pytest.mark.parametrize("name", ["dap", "iap"])
def test_few_classes_with_binary_attributes_are_what_attribute_prediction_is_for(name: str) -> None:
    def unseen_alone(method: str, *overrides: str) -> float:
        recipe = make_recipe(method, "best", ["features.project_at_most=0", *overrides])
        scores = [
            run(
                process(seed),
                recipe,
                protocol="validated",
                oracle=False,
                seed=0,
                device=CPU,
                recorder=Recorder(),
            ).scores.T1
            for seed in (0, 1)
        ]
        return sum(scores) / len(scores)

    assert unseen_alone(name, f"{name}.classifier=bayes") > unseen_alone("lda") + 0.1


def test_a_choice_is_found_again_alone() -> None:
    training = data()
    for name in ("dap", "iap"):
        method = find_method(name)
        assert method.direct
        assert method.at
        for parameters, head in method.direct(training, method.options()):
            ((again, alone),) = method.direct(training, method.at(method.options(), parameters))
            assert again == parameters
            assert torch.equal(alone.logits(training.features), head.logits(training.features))


def test_attributes_that_do_not_differ_are_refused() -> None:
    training = data()
    alike = training.semantics.clone()
    alike[training.seen] = 1.0
    for name in ("dap", "iap"):
        with pytest.raises(InputError, match="differ in no attribute"):
            head_of(
                name, TrainingData(training.features, training.labels, alike, training.seen, training.unseen)
            )


@pytest.mark.parametrize(("name", "classifier"), [("dap", "bayes"), ("iap", "bayes"), ("iap", "logistic")])
def test_heads_that_are_not_linear_are_stored_exported_and_take_classes(
    name: str, classifier: str, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    head = head_of(name, data(), classifier=classifier)
    again = head_from_state(head_state(head))
    x = data().features[:20]
    assert torch.equal(again.logits(x), head.logits(x))
    run_folder, model = tmp_path / "run", tmp_path / "model.onnx"
    settings = [
        "--set",
        f"{name}.classifier={classifier}",
        "--set",
        f"{name}.tried=0",
        "--set",
        "selection.problems=1",
    ]
    assert main(["train", PROBLEM, "--method", name, *settings, "--out", str(run_folder)]) == 0
    vector = "0.1,0.4,-0.3,0.2,0.5,-0.1"
    more = [
        "add-class",
        str(run_folder),
        "--name",
        "new",
        "--attributes",
        vector,
        "--out",
        str(tmp_path / "more"),
    ]
    assert main(more) == 0
    assert main(["export", str(tmp_path / "more"), "-o", str(model)]) == 0
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    raw = problem().features[:20]
    (exported,) = session.run(["logits"], {"features": raw})
    classifier_of_run = load_classifier(tmp_path / "more")
    assert classifier_of_run.classes[-1] == "new"
    np.testing.assert_allclose(exported, classifier_of_run.logits(raw), rtol=1e-3, atol=1e-3)


def test_layers_of_one_number_a_dimension_and_squares() -> None:
    x = torch.randn(4, 3)
    layer = torch.tensor([2.0, 1.0, -1.0]), torch.tensor([0.0, 1.0, 0.5]), "squares"
    representation = Representation((layer,), (1,))
    h = torch.stack((2 * x[:, 0], x[:, 1] + 1, 0.5 - x[:, 2]), dim=1)
    torch.testing.assert_close(representation(x), torch.cat((h, h**2), dim=1))
    assert (representation.in_dim, representation.out_dim) == (3, 6)
    again = Representation.from_state(representation.state())
    assert torch.equal(again(x), representation(x))
