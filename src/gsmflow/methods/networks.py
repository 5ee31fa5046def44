"""What the peers that are trained by autograd share: small networks, and the bookkeeping of a learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from gsmflow.randomness import stream
from gsmflow.representation import Representation
from gsmflow.training import Batches, Losses, TrainingData

LEAK = 0.2


def mlp(sizes: Sequence[int], last: nn.Module | None = None) -> nn.Sequential:
    """Linear layers of the given sizes with LeakyReLU(0.2) between them, and `last` at the end.

    Weights are undefined until :func:`reset` draws them.
    """
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [skip_init(nn.Linear, fan_in, fan_out), nn.LeakyReLU(LEAK)]
    layers[-1:] = [last] if last else []
    return nn.Sequential(*layers)


def reset(network: nn.Module, *key: int | str) -> None:
    """Draw weights from N(0, 0.02) as the GANs of the field do, biases zero; `key` names the draw."""
    generator = stream("cpu", *key)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.zero_()
            else:
                draw = torch.randn(parameter.shape, generator=generator) * 0.02
                parameter.copy_(draw)


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

    def add(self, name: str, network: nn.Module) -> nn.Module:
        """Draw the network's weights, put it on the device and keep it under its name."""
        reset(network, self.seed, name)
        self.networks[name] = network.to(self.data.device)
        return self.networks[name]

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
        own = self.weights()
        given = {n.removeprefix("weights."): t for n, t in state.items() if n.startswith("weights.")}
        for name in sorted(own.keys() | given.keys()):
            if name not in own or name not in given or own[name].shape != given[name].shape:
                raise ValueError(f"'{name}' is not the same in the checkpoint and the model")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(given[name])
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


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, **shown: Tensor) -> Losses:
    """One step of `optimizer` on `loss`; returns `shown`, detached."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return {f"loss_{name}": value.detach() for name, value in shown.items()}
