"""What the peers that are trained by autograd share: small networks, units, bookkeeping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from gsmflow.numerics import positive
from gsmflow.randomness import normal, stream
from gsmflow.representation import Representation
from gsmflow.training import Batches, Losses, TrainingData, copy_weights

Network = TypeVar("Network", bound=nn.Module)

LEAK = 0.2
# Larger semantics make networks steep functions of them: exact on seen classes, wrong between.
SMOOTHNESS = 0.25


def mlp(sizes: Sequence[int], last: nn.Module | None = None) -> nn.Sequential:
    """Linear layers of the given sizes with LeakyReLU(0.2) between them, and `last` at the end.

    Weights are undefined until :func:`reset` draws them.
    """
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [skip_init(nn.Linear, fan_in, fan_out), nn.LeakyReLU(LEAK)]
    layers[-1:] = [last] if last else []
    return nn.Sequential(*layers)


def linear(network: nn.Sequential, index: int) -> tuple[Tensor, Tensor]:
    """Weight (out, in) and bias (out,) of the linear layer at that place of an :func:`mlp`."""
    layer = network[index]
    if not isinstance(layer, nn.Linear):
        raise ValueError(f"index: {index}, there is a {type(layer).__name__}, expected a linear layer")
    return layer.weight, layer.bias


class ConditionalMLP(nn.Module):
    """An :func:`mlp` of [x, a], for samples x that share the semantics a of their classes.

    W [x, a] + b = (W_x x + b) + W_a a, and the second term is computed once a class and not once a sample.

    Parameters
    ----------
    in_dim, semantic_dim: sizes of x and of a. sizes: of the layers after them. last: see :func:`mlp`.
    """

    def __init__(
        self, in_dim: int, semantic_dim: int, sizes: Sequence[int], last: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.of_input = skip_init(nn.Linear, in_dim, sizes[0])
        self.of_semantics = skip_init(nn.Linear, semantic_dim, sizes[0], bias=False)
        self.rest = nn.Sequential(nn.LeakyReLU(LEAK), *mlp(sizes, last))

    def condition(self, semantics: Tensor) -> Tensor:
        """W_a a for semantics (C, A): (C, sizes[0])."""
        return self.of_semantics(semantics)

    def hidden(self, x: Tensor, condition: Tensor, rows: Tensor) -> Tensor:
        """The first layer's activations (B, sizes[0]); arguments as in :meth:`given`."""
        return self.rest[0](self.of_input(x) + take(condition, rows))

    def given(self, x: Tensor, condition: Tensor, rows: Tensor) -> Tensor:
        """The output for x (B, in_dim), the condition of C classes, and the row (B,) of each sample in it."""
        return self.rest[1:](self.hidden(x, condition, rows))

    def forward(self, x: Tensor, semantics: Tensor, rows: Tensor) -> Tensor:
        """The same, from the semantics (C, A) of the classes."""
        return self.given(x, self.condition(semantics), rows)


def take(table: Tensor, rows: Tensor) -> Tensor:
    """table[rows], (B, K) of (C, K) and (B,), with a backward pass that is fast and nowhere left to chance.

    That of plain indexing adds row by row, on a GPU in any order; here both are products with one-hot rows.
    """
    return F.one_hot(rows, len(table)).to(table.dtype) @ table


def reset(network: nn.Module, *key: int | str) -> None:
    """Draw weights from N(0, 1 / fan-in), biases zero; `key` names the draw.

    The N(0, 0.02^2) of the field's GANs is that for 2,500 inputs, about the size of the published networks.
    Kept for small networks it would make signals vanish from layer to layer.
    """
    generator = stream("cpu", *key)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.zero_()
            else:
                draw = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(draw * parameter.shape[1] ** -0.5)


class Units(nn.Module):
    """The units networks work in: features of variance 1, semantics of mean 0 and variance SMOOTHNESS^2.

    One scale for all dimensions of each, from the training features and the seen classes, so that shapes stay
    as they are. Losses that weigh a sum of squares against a divergence or a slope of one need it: in the
    variances that scaled and projected features have, from 0.1 to 10, they mean different things.
    """

    spread: Tensor
    semantic_mean: Tensor
    semantic_spread: Tensor

    def __init__(self, data: TrainingData) -> None:
        super().__init__()
        known = data.semantics[data.seen]
        mean = known.mean(dim=0)
        self.register_buffer("spread", positive((data.features.var(dim=0, correction=0).mean()).sqrt()))
        self.register_buffer("semantic_mean", mean)
        self.register_buffer("semantic_spread", positive((known - mean).square().mean().sqrt()))

    def features(self, features: Tensor) -> Tensor:
        """Features (N, D) in these units."""
        return features / self.spread

    def restored(self, features: Tensor) -> Tensor:
        """Inverse of :meth:`features`."""
        return features * self.spread

    def semantics(self, semantics: Tensor) -> Tensor:
        """Semantics (C, A) in these units."""
        return (semantics - self.semantic_mean) * (SMOOTHNESS / self.semantic_spread)


class PeerLearner:
    """Base of peers trained by autograd: batches, networks, optimizers, and their state by name.

    A subclass makes its networks and optimizers in its constructor by :meth:`add`, and gives ``step`` and
    either ``sample`` (see :class:`gsmflow.training.Generator`) or ``head``
    (:class:`~gsmflow.training.Scorer`). Draws are keyed by (seed, name, step), so that an interrupted
    training continues as if it had not been.
    """

    def __init__(self, data: TrainingData, batch_size: int, epochs: int, seed: int) -> None:
        self.data, self.seed = data, seed
        self.batches = Batches(len(data.features), batch_size, seed, data.device)
        self.steps_per_epoch = self.batches.per_epoch
        self.total_steps = self.steps_per_epoch * epochs
        self.seen_semantics = data.semantics[data.seen]
        self.networks: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Adam] = {}

    def add(self, name: str, network: Network) -> Network:
        """Draw the network's weights, put it on the device and keep it under its name."""
        reset(network, self.seed, name)
        self.networks[name] = network.to(self.data.device)
        return network

    def optimize(
        self,
        name: str,
        networks: Sequence[nn.Module],
        rate: float,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 0.0,
    ) -> torch.optim.Adam:
        """Adam over the networks, kept under its name."""
        parameters = [p for network in networks for p in network.parameters()]
        adam = torch.optim.Adam(parameters, rate, betas, weight_decay=weight_decay, fused=True)
        self.optimizers[name] = adam
        return adam

    def weights(self) -> dict[str, Tensor]:
        """Weights of all networks, by network and name."""
        return {
            f"{name}.{n}": tensor
            for name, net in self.networks.items()
            for n, tensor in net.state_dict().items()
        }

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`weights` gave.

        Raises
        ------
        ValueError: names or shapes differ from this learner's.
        """
        copy_weights(self.weights(), weights)

    def state(self) -> dict[str, Tensor]:
        """Weights and the optimizers' moments."""
        tensors = {f"weights.{name}": tensor for name, tensor in self.weights().items()}
        for name, optimizer in self.optimizers.items():
            for index, moments in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{name}.{index}.{key}": tensor for key, tensor in moments.items()}
        return tensors

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what :meth:`state` gave.

        Raises
        ------
        ValueError: names or shapes differ from this learner's.
        """
        self.load_weights(
            {n.removeprefix("weights."): t for n, t in state.items() if n.startswith("weights.")}
        )
        for name, optimizer in self.optimizers.items():
            kept = optimizer.state_dict()
            kept["state"] = {}
            prefix = f"optimizer.{name}."
            for key, tensor in state.items():
                if key.startswith(prefix):
                    index, part = key.removeprefix(prefix).split(".")
                    kept["state"].setdefault(int(index), {})[part] = tensor.clone()
            optimizer.load_state_dict(kept)

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        """Features as they are, unless a peer says otherwise."""
        return features

    def representation(self) -> Representation | None:
        """None: a head sees the features as they are."""
        return None


class ConditionalPeer(PeerLearner):
    """Base of peers that synthesize features from noise and semantics, in :class:`Units`.

    A subclass sets `noise_dim` and gives :meth:`synthesize`.
    """

    noise_dim: int

    def __init__(self, data: TrainingData, batch_size: int, epochs: int, seed: int) -> None:
        super().__init__(data, batch_size, epochs, seed)
        self.dim, self.semantic_dim = data.features.shape[1], data.semantics.shape[1]
        self.units = Units(data).to(data.device)
        self.networks["units"] = self.units
        self.a = self.units.semantics(self.seen_semantics)

    def batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Features (B, D) of batch `index`, in units, and the row (B,) of `a` that belongs to each."""
        features, rows = self.data.rows(self.batches[index])
        return self.units.features(features), rows

    def noise(self, size: int, name: str, index: int) -> Tensor:
        """z ~ N(0, I), (size, noise_dim): the draw of that name in step `index`."""
        return normal((size, self.noise_dim), self.data.device, self.seed, name, index)

    def synthesize(self, z: Tensor, semantics: Tensor, rows: Tensor) -> Tensor:
        """Features (B, D) in units, of noise (B, Z) and of the rows (B,) of semantics (C, A) in units."""
        raise NotImplementedError

    @torch.no_grad()
    def sample(self, semantics: Tensor, count: int, *key: int | str) -> Tensor:
        """Synthesize represented features (len(semantics) * count, R), class by class."""
        made = []
        for index, a in enumerate(self.units.semantics(semantics)):
            z = normal((count, self.noise_dim), a.device, *key, index)
            rows = torch.zeros(count, dtype=torch.int64, device=a.device)
            features = self.units.restored(self.synthesize(z, a[None], rows))
            made.append(self.represent(features, *key, index))
        return torch.cat(made)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, **shown: Tensor) -> Losses:
    """One step of `optimizer` on `loss`; returns `shown`, detached.

    Only the gradients of the optimizer's own parameters are computed.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    return {f"loss_{name}": value.detach() for name, value in shown.items()}
