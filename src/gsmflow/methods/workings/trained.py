"""What methods trained by autograd share: units, state, one step of descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gsmflow.compute.adam import copy_weights
from gsmflow.compute.finite import positive
from gsmflow.compute.randomness import normal
from gsmflow.heads.representation import Representation
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import Batches, TrainingData
from gsmflow.methods.workings.networks import Network, reset

# With larger semantics a network becomes a steep function of them: exact on seen classes, wrong between them.
SMOOTHNESS = 0.25


class Units(nn.Module):
    """The units of the networks: features of variance 1, and semantics of mean 0 and variance SMOOTHNESS^2.

    Features have one scale for all dimensions, and so do semantics; both are taken from the training features
    and the seen classes. Losses that weigh a sum of squares against a divergence or a gradient penalty need
    such units: the variance of scaled and projected features ranges from 0.1 to 10.
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
        """Inverse of [`features`][gsmflow.methods.workings.trained.Units.features]: (N, D) to (N, D)."""
        return features * self.spread

    def semantics(self, semantics: Tensor) -> Tensor:
        """Semantics (C, A) in these units."""
        return (semantics - self.semantic_mean) * (SMOOTHNESS / self.semantic_spread)


class PeerLearner:
    """Base of methods trained by autograd: batches, networks, optimizers, and their state by name.

    A subclass makes its networks and optimizers in its constructor by
    [`add`][gsmflow.methods.workings.trained.PeerLearner.add]. It defines ``step`` and
    either ``sample`` (see [`Generator`][gsmflow.learning.learner.Generator]) or ``head``
    ([`Scorer`][gsmflow.learning.learner.Scorer]). Draws are keyed by (seed, name, step), so that an interrupted
    training continues as if it had not been interrupted.
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
        """Draw the network's weights, move it to the device and register it under its name."""
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
        """Adam for the networks, registered under its name."""
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
        """Load what [`weights`][gsmflow.methods.workings.trained.PeerLearner.weights] returned.

        Raises
        ------
        ValueError
            Names or shapes differ from this learner's.
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
        """Continue from what [`state`][gsmflow.methods.workings.trained.PeerLearner.state] returned.

        Raises
        ------
        ValueError
            Names or shapes differ from this learner's.
        """
        self.load_weights(
            {n.removeprefix("weights."): t for n, t in state.items() if n.startswith("weights.")}
        )
        for name, optimizer in self.optimizers.items():
            optimizer_state = optimizer.state_dict()
            optimizer_state["state"] = {}
            prefix = f"optimizer.{name}."
            for key, tensor in state.items():
                if key.startswith(prefix):
                    index, part = key.removeprefix(prefix).split(".")
                    optimizer_state["state"].setdefault(int(index), {})[part] = tensor.clone()
            optimizer.load_state_dict(optimizer_state)

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        """The features themselves, (N, D); a method may override this."""
        return features

    def representation(self) -> Representation | None:
        """None: a head sees the features as they are."""
        return None


class ConditionalPeer(PeerLearner):
    """Base of methods that synthesize features from noise and semantics, in
    [`Units`][gsmflow.methods.workings.trained.Units].

    A subclass sets `noise_dim` and defines
    [`synthesize`][gsmflow.methods.workings.trained.ConditionalPeer.synthesize].
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
        """z ~ N(0, I) of shape (size, noise_dim): the draw of that name in step `index`."""
        return normal((size, self.noise_dim), self.data.device, self.seed, name, index)

    def synthesize(self, z: Tensor, semantics: Tensor, rows: Tensor) -> Tensor:
        """Features (B, D) from noise (B, Z) and the rows (B,) of semantics (C, A), all in units."""
        raise NotImplementedError

    def synthetic(self, rows: Tensor, *key: int | str) -> Tensor:
        """Features (B, D) of the seen classes at the positions `rows` (B,), with a gradient; `key` names the noise."""
        z = normal((len(rows), self.noise_dim), rows.device, *key)
        return self.units.restored(self.synthesize(z, self.a, rows))

    @torch.no_grad()
    def sample(self, semantics: Tensor, count: int, *key: int | str) -> Tensor:
        """Synthesize represented features (len(semantics) * count, R), class by class."""
        represented = []
        for index, a in enumerate(self.units.semantics(semantics)):
            z = normal((count, self.noise_dim), a.device, *key, index)
            rows = torch.zeros(count, dtype=torch.int64, device=a.device)
            features = self.units.restored(self.synthesize(z, a[None], rows))
            represented.append(self.represent(features, *key, index))
        return torch.cat(represented)


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
