"""FSIGenZ (Shohag et al., 2025): a few prototypes of unseen classes, and a classifier of pairs of feature and class.

With the semantics a° of a class, relative to the mean of the seen classes, and a threshold T_h, attributes that are
marked are raised (model-specific attribute scoring)::

    a = a° + r a° [a° > T_h]

An unseen class is described by seen ones, whose mean features are the columns of M; K values of lambda give K
prototypes of it::

    alpha = argmin |a_u - A_s alpha|^2 + lambda |alpha|^2          mu_u = M alpha

The classifier judges pairs of a feature x, real or a prototype, and a class j: p_ij = sigmoid(c_ij), and c_ij =
f(F(x_i) * E(a_j)) with the product of each element. Semantic similarities s enter the targets of unseen classes (dual
purpose: features of seen classes also teach similar unseen ones, and boundaries around prototypes are less sharp)::

    s_p = argmin |a_p - sum over q != p of s_pq a_q|^2 + phi |s_p|^2                  limited to [0, 1]
    t_iu = 1 if u is the class of x_i, else delta s_pu with the class p of x_i
    L   = mean BCE(p_is, [s is the class of x_i]) + beta mean BCE(p_iu, t_iu)         seen classes s, unseen classes u

The text of the paper beyond its abstract and introduction was not accessible, and there is no program. This was written
from a detailed note on the paper (a public repository of paper reviews), and the losses' form where the note is silent
from TCN (Jiang et al., ICCV 2019), whose classifier of pairs and similarities it extends. Different or not known:

- F is one layer and E has two. f is the sum, plus a number: the note does not say what f is, and so the classifier of
  a feature is linear in F(x). In TCN it has a hidden layer.
- Semantics and mean features are relative to the means over the seen classes, so that a large lambda leads to the mean
  of the seen classes and not to 0. The published factor W_A only scales and is left out: lambda and phi are in units
  of the mean eigenvalue of their Gram matrix.
- K values of lambda are evenly spaced on a logarithmic scale. The published prototypes are those of groups of
  instances; how groups are formed is not known.
- Published: ViT features, K from 10 to 90.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gsmflow.compute.activation import LEAK
from gsmflow.compute.finite import positive
from gsmflow.heads.linear import LinearHead
from gsmflow.heads.representation import Representation, RepresentedHead
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import Batches, TrainingData
from gsmflow.methods.fsigenz import FSIGenZOptions
from gsmflow.methods.workings.networks import linear, mlp
from gsmflow.methods.workings.trained import SMOOTHNESS, PeerLearner, Units, descend


def raised(semantics: Tensor, seen: Tensor, by: float, threshold: float) -> Tensor:
    """a of all classes, (C, A), from their semantics (C, A) and the indices (S,) of the seen classes."""
    centred = semantics - semantics[seen].mean(dim=0)
    limit = threshold * positive(centred[seen].square().mean().sqrt())
    return centred * (1 + by * (centred > limit))


def ridged(semantics: Tensor, penalty: float) -> Tensor:
    """The Gram matrix (C, C) of semantics (C, A) with an L2 penalty, in units of its mean eigenvalue; float64."""
    gram = semantics.double() @ semantics.double().T
    unit = positive(gram.diagonal().mean())
    return gram + penalty * unit * torch.eye(len(gram), dtype=torch.float64, device=gram.device)


def prototypes(semantics: Tensor, data: TrainingData, penalties: Tensor) -> Tensor:
    """mu of the unseen classes for each penalty, class by class: (U K, D)."""
    means = data.class_means().double()
    middle = means.mean(dim=0)
    seen = semantics[data.seen]
    shared = seen.double() @ semantics[data.unseen].double().T
    alphas = [torch.linalg.solve(ridged(seen, float(penalty)), shared).T for penalty in penalties]
    return torch.stack([middle + alpha @ (means - middle) for alpha in alphas], dim=1).flatten(0, 1).float()


def similarities(semantics: Tensor, penalty: float) -> Tensor:
    """s, (C, C) in [0, 1]: how much each class is described by every other; 0 for itself.

    The weights that describe one vector by all others follow from a row of one inverse.
    """
    inverse = torch.linalg.inv(ridged(semantics, penalty))
    weights = -inverse / inverse.diagonal()[:, None]
    return weights.fill_diagonal_(0).clamp(0, 1).float()


class FSIGenZLearner(PeerLearner):
    """FSIGenZ in training (see [`Scorer`][gsmflow.learning.learner.Scorer])."""

    def __init__(self, data: TrainingData, options: FSIGenZOptions, seed: int) -> None:
        super().__init__(data, options.batch_size, options.epochs, seed)
        self.options = options
        self.a = raised(data.semantics, data.seen, options.raised, options.threshold)
        penalties = torch.logspace(options.lowest, options.highest, options.prototypes, dtype=torch.float64)
        synthetic = prototypes(self.a, data, penalties)
        self.features = torch.cat((data.features, synthetic))
        self.classes = torch.cat(
            (data.seen[data.labels], data.unseen.repeat_interleave(options.prototypes))
        )  # of the features
        self.batches = Batches(len(self.features), options.batch_size, seed, data.device)
        self.steps_per_epoch = self.batches.per_epoch
        self.total_steps = self.steps_per_epoch * options.epochs
        self.targets = self._targets()
        self.units = Units(data).to(data.device)
        self.networks["units"] = self.units
        dim, semantic_dim, hidden = data.features.shape[1], data.semantics.shape[1], options.hidden
        self.of_features = self.add("features", mlp([dim, hidden], nn.LeakyReLU(LEAK)))
        self.of_semantics = self.add("semantics", mlp([semantic_dim, hidden, hidden]))
        self.joint = self.add("joint", Offset())
        trained = [self.of_features, self.of_semantics, self.joint]
        self.adam = self.optimize("adam", trained, options.learning_rate, (0.9, 0.999))
        self.scaled = self.a * (SMOOTHNESS / positive(self.a[data.seen].square().mean().sqrt()))

    def _targets(self) -> Tensor:
        """The targets (C, C) of a feature of each class for every class."""
        own = torch.eye(len(self.a), device=self.a.device)
        unseen = torch.zeros(len(self.a), device=self.a.device)
        unseen[self.data.unseen] = self.options.similarity
        return own + similarities(self.a, 10**self.options.similarity_ridge) * unseen

    def scores(self, x: Tensor) -> Tensor:
        """c, (B, C), of features (B, D) for all classes."""
        hidden = self.of_features(self.units.features(x))
        return hidden @ self.of_semantics(self.scaled).T / hidden.shape[1] ** 0.5 + self.joint.offset

    def step(self, index: int) -> Losses:
        """One step of Adam on L."""
        picked = self.batches[index]
        x, targets = self.features[picked], self.targets[self.classes[picked]]
        scores, data = self.scores(x), self.data
        seen = F.binary_cross_entropy_with_logits(scores[:, data.seen], targets[:, data.seen])
        if not len(data.unseen):
            return descend(self.adam, seen, seen=seen)
        unseen = F.binary_cross_entropy_with_logits(scores[:, data.unseen], targets[:, data.unseen])
        return descend(self.adam, seen + self.options.unseen_weight * unseen, seen=seen, unseen=unseen)

    @torch.no_grad()
    def head(self) -> RepresentedHead:
        """c of all classes: a linear head on F(x)."""
        weight, bias = linear(self.of_features, 0)
        layer = (weight / self.units.spread, bias.clone(), "leaky_relu")
        of_classes = self.of_semantics(self.scaled) / weight.shape[0] ** 0.5
        offset = self.joint.offset.detach().expand(len(of_classes)).clone()
        return RepresentedHead(Representation((layer,), (1,)), LinearHead(of_classes, offset))


class Offset(nn.Module):
    """The number that is added to all scores."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(1))
