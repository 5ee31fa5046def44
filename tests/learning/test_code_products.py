"""Products of a head with 8-bit codes against those in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gsmflow.compute.devices import has_eight_bit
from gsmflow.learning import code_products
from gsmflow.learning.code_products import CodeProducts
from gsmflow.learning.head_data import Pool
from gsmflow.learning.head_options import HeadOptions
from gsmflow.learning.softmax import train_head

pytestmark = pytest.mark.skipif(
    not has_eight_bit(torch.device("cpu")),
    reason="needs a processor with products of 8-bit numbers (AVX512-VNNI)",
)
SAMPLES, DIM, CLASSES = 500, 40, 7


@pytest.fixture(autouse=True)
def _from_the_first_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_products, "COARSE_FROM", 1)


def pool() -> Pool:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(SAMPLES) % CLASSES
    centres = torch.randint(60, 200, (CLASSES, DIM), generator=generator)
    codes = (centres[labels] + 20 * torch.randn(SAMPLES, DIM, generator=generator)).round().clamp(0, 255)
    low, step = torch.rand(2, DIM, generator=generator)
    return Pool(codes.to(torch.uint8), labels, SAMPLES, low - 1, (step + 0.5) / 255)


def test_logits_and_gradients_are_those_of_the_features() -> None:
    some = pool()
    products = CodeProducts.of(some)
    assert products is not None
    generator = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(CLASSES, DIM, generator=generator), torch.randn(CLASSES, generator=generator)
    assert some.low is not None
    assert some.step is not None
    x = some.low.double() + some.step.double() * some.features.double()
    logits = x @ weight.double().T + bias.double()
    seen: list[Tensor] = []

    def error(given: Tensor) -> Tensor:
        seen.append(given.clone())
        gradient = given.softmax(dim=1)
        gradient[torch.arange(SAMPLES), some.labels] -= 1
        return gradient / SAMPLES

    by_weight, by_bias = products.gradients(some.features.clone(), weight, bias, error)
    assert (seen[0] - logits).square().mean().sqrt() < 0.005 * logits.std()
    assert ((seen[0] - logits).mean(dim=0).abs() < 0.002 * logits.std()).all()
    errors = error(seen[0]).double()
    torch.testing.assert_close(by_weight.double(), errors.T @ x, rtol=0, atol=2e-5)
    torch.testing.assert_close(by_bias.double(), errors.sum(dim=0), rtol=0, atol=1e-6)
    assert (errors.T @ x).abs().max() > 0.01  # far more than the tolerance


def test_a_head_on_codes_is_that_on_their_features() -> None:
    coded = pool()
    plain = Pool(coded.decoded(coded.features), coded.labels, coded.real)
    options = HeadOptions(epochs=6, learning_rate=0.02, batch_size=64)
    (*_, one), (*_, other) = (train_head(some, CLASSES, options, 3, "head") for some in (coded, plain))
    x = plain.features
    assert one.logits(x).std() > 1
    assert (one.logits(x) - other.logits(x)).abs().max() < 0.05
    assert (one.logits(x).argmax(dim=1) == coded.labels).float().mean() > 0.9


def test_other_pools_have_no_such_products(monkeypatch: pytest.MonkeyPatch) -> None:
    coded = pool()
    assert CodeProducts.of(coded) is not None
    monkeypatch.setattr(code_products, "COARSE_FROM", coded.features.numel() * 4 + 1)
    assert CodeProducts.of(coded) is None
    monkeypatch.setattr(code_products, "COARSE_FROM", 1)
    assert CodeProducts.of(Pool(coded.decoded(coded.features), coded.labels, SAMPLES)) is None
