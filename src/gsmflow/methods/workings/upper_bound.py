"""An upper bound: a generator that returns real samples, so that its head sees real features of all classes.

Half of the test samples of each unseen class are drawn and used in training with their labels; the other half is scored
([`gsmflow.data.lending`][gsmflow.data.lending]). With X_u the drawn samples of class u, synthesis is::

    x ~ uniform over X_u, with replacement

Everything after synthesis is as for every generator: the same number of samples for each class, the same softmax head,
and the same bias on unseen classes. The bias is chosen on validation problems in which half of the samples of the
held-out classes are used in training too. So the difference between a generator and this bound is the loss by its
synthesis. Chao et al. (ECCV 2016) compute such a bound by classifiers trained on labelled samples of all classes; these
are not softmax heads and have no bias.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.compute.adam import copy_weights
from gsmflow.compute.randomness import stream
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.upper_bound import UpperBoundOptions


class RealSamples:
    """Draws real samples of every class; there is nothing to train, so its only step does nothing."""

    total_steps = 1

    def __init__(self, data: TrainingData, options: UpperBoundOptions, seed: int) -> None:
        self.data = data
        self.steps_per_epoch = len(data.features)  # one step in all, for any batch size
        labels, features = data.seen[data.labels], data.features
        if data.lent is not None and data.lent.labels is not None:
            labels = torch.cat((labels, data.lent.labels))
            features = torch.cat((features, data.lent.features))
        self.features, self.labels = features, labels
        self.counts = torch.bincount(labels, minlength=len(data.semantics)).float()

    def step(self, index: int) -> Losses:
        """Nothing."""
        return {"loss": torch.zeros((), device=self.data.device)}

    def sample(self, semantics: Tensor, count: int, *key: int | str) -> Tensor:
        """Real samples of classes with these semantics, drawn with replacement: (len(semantics) * count, D).

        Raises
        ------
        InputError
            No class has these semantics, or two classes have; or there is no sample of the class.
        """
        same = (semantics[:, None] == self.data.semantics).all(dim=2)
        drawn = []
        for index, classes in enumerate(same):
            places = classes.nonzero()[:, 0].tolist()
            if len(places) != 1:
                raise InputError(
                    f"semantics: {len(places)} classes have the same vector once scaled, so an upper bound cannot tell "
                    "which one is meant; leave semantics.scaling at none"
                )
            rows = (self.labels == places[0]).nonzero()[:, 0]
            if not len(rows):
                raise InputError(
                    f"class {places[0]}: no sample is lent, so an upper bound knows nothing of it"
                )
            picked = torch.randint(len(rows), (count,), generator=stream("cpu", *key, index))
            drawn.append(self.features.index_select(0, rows[picked.to(rows.device)]))
        return torch.cat(drawn)

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        """The features themselves, (N, D)."""
        return features

    def representation(self) -> None:
        """None: a head sees the features themselves."""
        return None

    def weights(self) -> dict[str, Tensor]:
        """The number of samples of each class, (C,), which is all that a run stores of them."""
        return {"samples": self.counts}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Check that there are as many samples of each class as in the run.

        Raises
        ------
        ValueError
            There are not.
        """
        there = self.counts.clone()
        copy_weights({"samples": there}, weights)
        if not torch.equal(there, self.counts):
            raise ValueError("samples: other numbers of them than in the run")

    def state(self) -> dict[str, Tensor]:
        """The same as the weights."""
        return self.weights()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue; see [`load_weights`][gsmflow.methods.workings.upper_bound.RealSamples.load_weights]."""
        self.load_weights(state)
