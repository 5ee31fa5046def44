"""GSMFlow (Chen et al., ACM Multimedia 2021): the conditional flow with its three remedies.

Per step, over a batch of B features x of D dimensions with class semantics a and g = g(a)::

    x~      = x + pi * eps,  eps ~ N(0, I)                       visual perturbation
    L_flow  = mean(z^2) / 2 - mean(log|det dz/dx~|) / D,  z = f(x~; g)
    L_proto = lambda * MSE(f^-1(0; g(a_s)), mean feature of s)   over all seen classes s, or K that are drawn
    Adam on L_flow + L_proto; no gradient of L_proto flows into g

Features of class u are synthesized as f^-1(z; g(a_u)) with z ~ N(0, I).

With the option `residual`, which is not in the paper, the mean of its class is subtracted from each feature x, as
[`MeanRegression`][gsmflow.methods.workings.mean_regression.MeanRegression] predicts it. The predicted mean of u is
added to synthesized features. This helps if the regression predicts the means of unseen classes better than the flow:
then the flow only has to learn the shape of a class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.compute.adam import MasterAdam, copy_weights
from gsmflow.compute.cuda_graphs import Beside, Recording, current_gpu
from gsmflow.compute.data_parallel import mean, share, size
from gsmflow.compute.devices import has_bfloat16, has_eight_bit
from gsmflow.compute.randomness import normal, stream
from gsmflow.flow import (
    WeightGradients,
    perturb,
    semantic_anchors,
)
from gsmflow.flow.flow import condition_rows
from gsmflow.flow.model import FlowSizes, GSMFlow
from gsmflow.learning.learner import Losses
from gsmflow.learning.loop import step_decay
from gsmflow.learning.reward import Reward
from gsmflow.learning.tensors import Batches, TrainingData
from gsmflow.methods.gsmflow import GSMFlowOptions
from gsmflow.methods.workings.flow_reward import FlowReward
from gsmflow.methods.workings.mean_regression import MeanRegression


class GSMFlowLearner:
    """GSMFlow in training on one problem (see [`Learner`][gsmflow.learning.learner.Learner])."""

    def __init__(self, data: TrainingData, options: GSMFlowOptions, seed: int) -> None:
        self.data, self.options, self.seed = data, options, seed
        samples, dim = data.features.shape
        self.batches = Batches(samples, options.batch_size, seed, data.device)
        self.steps_per_epoch = self.batches.per_epoch
        self.total_steps = max(self.steps_per_epoch * options.epochs, options.least_steps)
        self.seen_semantics = data.semantics[data.seen]
        self.regression = MeanRegression.fit(data, options.ridge) if options.residual else None
        self.means = data.class_means()
        chosen_from = self.seen_semantics if options.anchors_from == "seen" else data.semantics
        self.model = build(dim, chosen_from.cpu(), options, seed).to(data.device)
        masters = {name: p.data for name, p in self.model.named_parameters()}
        if resolve_precision(options, dim, data.device) == "bfloat16":
            masters = {name: p.data.clone() for name, p in self.model.named_parameters()}
            self.model.flow.to(torch.bfloat16)
        self.optimizer = MasterAdam(
            dict(self.model.named_parameters()), masters, weight_decay=options.weight_decay, divided=True
        )
        self.gradients = WeightGradients()
        self.model.flow.note_gradients(self.gradients)
        # Processes that divide a batch exchange gradients within a step.
        self.recording = Recording() if current_gpu(data.device) and size() == 1 else None
        self.prototypes, self.updates = Beside(data.device), Beside(data.device)
        self.tuning: FlowReward | None = None

    def rewarded(self, reward: Reward) -> GSMFlowLearner:
        """This learner, tuned by a reward.

        Raises
        ------
        InputError
            It has one already.
        """
        if self.tuning:
            raise InputError(
                "reward.tune = True: the method is tuned by its outcome already, by options of its own"
            )
        self.tuning = FlowReward(self, reward)
        self.recording = None  # a step is not the same in all of the training
        return self

    def step(self, index: int) -> Losses:
        """One step of Adam on L_flow + L_proto, and further updates by a reward if there is one."""
        return self.tuning.step(index) if self.tuning else self.own_step(index)

    def own_step(self, index: int) -> Losses:
        """One step of Adam on L_flow + L_proto."""
        options, data = self.options, self.data
        picked = self.batches[index]
        features, rows = data.rows(picked)
        if self.regression:
            features = features - self.regression(self.seen_semantics)[rows]
        features = perturb(
            features,
            options.perturbation,
            options.perturbation_dropout,
            self.seed,
            "perturbation",
            index,
        )
        rate, chosen = self.learning_rate(index), self.prototype_classes(index)
        given = (features, rows) if chosen is None else (features, rows, chosen.to(data.device))
        if self.recording is not None:
            # Filled on the GPU: a copy from the CPU would wait for all earlier steps.
            return self.recording.run(self._update, torch.full((), rate, device=data.device), *given)
        return self._update(rate, *given)

    def prototype_classes(self, index: int) -> Tensor | None:
        """The seen classes (K,) that the prototype loss of step `index` is computed of; None for all.

        Drawn without replacement, so the expected loss, and its gradient, is that of all classes.
        """
        options, count = self.options, len(self.seen_semantics)
        if not options.prototype_weight or not 0 < options.prototype_classes < count:
            return None
        drawn = torch.randperm(count, generator=stream("cpu", self.seed, "prototype classes", index))
        return drawn[: options.prototype_classes]

    def _update(
        self, rate: float | Tensor, features: Tensor, rows: Tensor, chosen: Tensor | None = None
    ) -> Losses:
        """Adam on all losses of a batch, the arguments of `losses_of`."""
        total, losses = self.losses_of(features, rows, chosen)
        with self._updates(rate):
            total.backward()
        self.prototypes.join()
        self.optimizer.step(rate, self.gradients.collect())
        return losses

    def losses_of(
        self, features: Tensor, rows: Tensor, chosen: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of all losses of a batch, and each of them by name without a gradient.

        Parameters
        ----------
        features : Tensor
            (B, D) perturbed features.
        rows : Tensor
            (B,) their labels.
        chosen : Tensor | None
            (K,) classes of the prototype loss; None: all seen classes.
        """
        options = self.options
        batch = len(rows)
        mine = share(batch)
        features, rows = features[mine], rows[mine]
        # Conditions are computed once a class, or once a sample where classes are more than what is needed of them.
        few = chosen is not None or (options.prototype_weight == 0 and len(self.seen_semantics) > batch)
        needed = rows if chosen is None else torch.cat((rows, chosen))
        conditions, apart = self.model.conditions(self.seen_semantics[needed] if few else self.seen_semantics)
        if chosen is not None:
            conditions, apart = (
                condition_rows(conditions, 0, len(rows)),
                condition_rows(apart, len(rows), len(needed)),
            )
        start = self.prototypes.mark()
        flow_loss = self.model.flow_loss(features, conditions, None if few else rows)
        # Each share of a divided batch counts by its size; the optimizer averages over the processes.
        weight = size() * len(rows) / batch
        if weight != 1:
            flow_loss = flow_loss * weight
        losses = {"loss_flow": mean(flow_loss.detach())}
        total = flow_loss
        if options.prototype_weight > 0:
            means = self.prototypes_of if chosen is None else self.prototypes_of[chosen]
            with self.prototypes.launched(start):
                prototype_loss = self.model.prototype_loss(apart, means)
            self.prototypes.join()
            losses["loss_prototype"] = prototype_loss.detach()
            total = total + options.prototype_weight * prototype_loss
        further = self.further_losses() | (self.tuning.further_losses() if self.tuning else {})
        for name, (weight, loss) in further.items():
            losses[name] = loss.detach()
            total = total + weight * loss
        return total, losses

    def further_losses(self) -> dict[str, tuple[float, Tensor]]:
        """Further losses of a step by name, each with its weight; none here."""
        return {}

    def _updates(self, rate: float | Tensor) -> AbstractContextManager[None]:
        """On a GPU, update large weights while the backward pass goes on, once it no longer needs them."""
        if self.recording is None:
            return nullcontext()
        batches = 2 if self.options.prototype_weight > 0 else 1
        update = partial(self.optimizer.update, rate)
        return self.gradients.used_early(update, self.updates, batches)

    @property
    def prototypes_of(self) -> Tensor:
        """The targets of the prototype loss: the mean of each seen class in the space of the flow, (S, D)."""
        if self.regression:
            return self.means - self.regression(self.seen_semantics)
        return self.means

    def learning_rate(self, index: int) -> float:
        """The learning rate of step `index`."""
        o = self.options
        return step_decay(
            o.learning_rate, o.decay_gamma, o.decay_epochs, len(self.data.features), self.batches.size, index
        )

    def rows(self, index: int) -> Tensor:
        """The classes of the batch of step `index`, (B,): positions among the seen ones."""
        return self.data.labels[self.batches[index]]

    def descend(self, loss: Tensor, index: int) -> None:
        """One more update in step `index`, by a loss ()."""
        loss.backward()
        self.optimizer.step(self.learning_rate(index), self.gradients.collect())

    def synthetic(self, rows: Tensor, *key: int | str) -> Tensor:
        """Features (B, D) of the seen classes at the positions `rows` (B,), with a gradient."""
        conditions, _ = self.model.conditions(self.seen_semantics)
        noise = normal((len(rows), self.model.flow.dim), self.data.device, *key)
        features, _ = self.model.flow.inverse(noise, conditions, rows)
        if self.regression:
            features = features + self.regression(self.seen_semantics)[rows]
        return features.float()

    def sample(self, semantics: Tensor, count: int, *key: int | str) -> Tensor:
        """Synthesize (len(semantics) * count, D) features, see
        [`GSMFlow.sample`][gsmflow.flow.model.GSMFlow.sample].
        """
        synthetic = self.model.sample(semantics, count, *key)
        if self.regression:
            synthetic = synthetic + self.regression(semantics).repeat_interleave(count, dim=0)
        return synthetic

    def coarse_sampler(self) -> Callable[..., Tensor] | None:
        """A quicker way to synthesize features (n, D) that will be stored as 8-bit codes; None if there is none here.

        There is with the precision ``auto``, where the processor has instructions for products of 8-bit numbers and
        they are near enough for this flow.
        """
        options, data = self.options, self.data
        large = data.features.shape[1] * options.hidden >= _BFLOAT16_FROM
        if options.precision != "auto" or not large or not has_eight_bit(data.device):
            return None
        sample = self.model.coarse_sampler(
            data.semantics[data.unseen] if len(data.unseen) else data.semantics
        )
        if sample is None:
            return None

        def with_means(semantics: Tensor, count: int, *key: int | str) -> Tensor:
            synthetic = sample(semantics, count, *key)
            if self.regression:
                synthetic += self.regression(semantics).repeat_interleave(count, dim=0)
            return synthetic

        return with_means

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        """The features themselves, (N, D)."""
        return features

    def representation(self) -> None:
        """None: a head sees the features themselves."""
        return None

    def weights(self) -> dict[str, Tensor]:
        """Float32 weights and anchors, by the names of [`GSMFlow`][gsmflow.flow.model.GSMFlow]'s state."""
        own = self.regression.state() if self.regression else {}
        return dict(self.optimizer.masters) | dict(self.model.named_buffers()) | own

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load what [`weights`][gsmflow.methods.workings.gsmflow.GSMFlowLearner.weights] returned.

        Raises
        ------
        ValueError
            Names or shapes differ from this learner's.
        """
        if self.regression:
            self.regression, weights = MeanRegression.taken_from(weights, self.regression)
        buffers = dict(self.model.named_buffers())
        copy_weights(buffers, {name: tensor for name, tensor in weights.items() if name in buffers})
        self.optimizer.load_masters({name: t for name, t in weights.items() if name not in buffers})

    def state(self) -> dict[str, Tensor]:
        """Master weights, the state of Adam, and that of a reward."""
        return {**self.optimizer.state(), **(self.tuning.reward.state() if self.tuning else {})}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what [`state`][gsmflow.methods.workings.gsmflow.GSMFlowLearner.state] returned."""
        self.optimizer.load_state(self.tuning.reward.take_state(state) if self.tuning else state)


def build(feature_dim: int, semantics: Tensor, options: GSMFlowOptions, seed: int) -> GSMFlow:
    """A GSMFlow with its initial weights, determined by `seed`; on the CPU, in float32.

    Parameters
    ----------
    feature_dim : int
        D, dimensions of the transformed features.
    semantics : Tensor
        (C, A) the class vectors that anchors are chosen from.
    options : GSMFlowOptions
        Sizes of the flow and its parts.
    seed : int
        Determines the initial weights.
    """
    anchors = torch.zeros_like(semantics[:1])
    if options.relative_positioning:
        anchors = semantic_anchors(semantics)
    sizes = FlowSizes(
        feature_dim, options.blocks, options.hidden, options.global_semantic, options.semantics_in_every_layer
    )
    model = GSMFlow(sizes, anchors, options.clamp)
    model.positioning.reset(stream("cpu", seed, "positioning"))
    model.flow.reset(stream("cpu", seed, "flow"))
    return model


def resolve_precision(options: GSMFlowOptions, feature_dim: int, device: torch.device) -> str:
    """``float32`` or ``bfloat16``: what ``auto`` means for a flow of this size on this device."""
    if options.precision != "auto":
        return options.precision
    large = feature_dim * options.hidden >= _BFLOAT16_FROM
    return "bfloat16" if large and has_bfloat16(device) else "float32"


_BFLOAT16_FROM = 1 << 16  # size of a subnet's matrix below which conversions cost more than they save
