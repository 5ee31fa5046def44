"""FREE (Chen et al., ICCV 2021): f-VAEGAN-D2 with a refinement of features that semantics and class centres shape.

The method adds to [`gsmflow.methods.f_vaegan_d2`][gsmflow.methods.f_vaegan_d2] a refinement FR of features, with hidden
activations h(x) = lrelu(W x + b) and two outputs with as many dimensions as the semantics, mu(x) and a spread s(x) in
(0, 1). Its losses are::

    L_R    = lambda_R E |mu(x) + s(x) eps - a|_1                                    mean over dimensions, eps ~ N(0, I)
    L_SAMC = lambda_C E max(0, Delta + gamma |mu(x) - c_y|^2 - (1 - gamma) |mu(x) - c_y'|^2)

c_y are learnt centres of the seen classes, and y' is the other class with the nearest centre. FR and the centres are
trained with the critic on real features; the generator is trained with L_R on synthetic ones. Distances are means over
dimensions, so that Delta does not depend on their number. A head sees [x, h(x), mu(x)].

As in the paper: the refinement, both losses and the features they use, and a head on features and refined features.
The generator and the critic are those of f-VAEGAN-D2 in this package. Different:

- The cycle is a plain mean of absolute differences, in the units of
  [`Units`][gsmflow.methods.workings.trained.Units]; the published program weighs each dimension by its error, and ends
  the refinement in a sigmoid, for semantics in [0, 1].
- y' is the nearest other centre for all data, as published for AWA; for CUB, SUN and FLO the program draws it.
- Centres start at their classes' semantics, not at random.
- The margin and the cycle have about the same weight in the refinement. In the program's scripts the margin outweighs
  the cycle by orders of magnitude (0.5 times sums over dimensions, with margins of 50 to 200, against 0.001).
- Its scripts for AWA draw the critic's fakes from encoded features; here they always come from noise. The program also
  adapts the weight of the gradient penalty; here it is 10.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gsmflow.compute.randomness import normal
from gsmflow.heads.representation import Representation
from gsmflow.learning.learner import Losses
from gsmflow.methods.free import FREEOptions
from gsmflow.methods.workings.f_vaegan_d2 import VAEGANLearner
from gsmflow.methods.workings.networks import linear, mlp, take


class Centres(nn.Module):
    """c, (S, A)."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.centres = nn.Parameter(start.clone())


def centre_margin(embedded: Tensor, centres: Tensor, rows: Tensor, margin: float, balance: float) -> Tensor:
    """L_SAMC without its weight, of embeddings (B, A), centres (S, A) and rows (B,)."""
    distances = torch.cdist(embedded, centres).square() / embedded.shape[1]
    own = distances.gather(1, rows[:, None])[:, 0]
    if len(centres) == 1:
        return (margin + balance * own).clamp(min=0).mean()
    other = distances.scatter(1, rows[:, None], torch.inf).amin(dim=1)
    return (margin + balance * own - (1 - balance) * other).clamp(min=0).mean()


class FREELearner(VAEGANLearner):
    """FREE in training."""

    options: FREEOptions  # type: ignore[assignment]
    draw: tuple[int | str, ...] = ("refinement",)

    def judging(self) -> list[nn.Module]:
        """Critic, refinement and centres."""
        hidden = self.options.hidden
        self.refinement = self.add("refinement", mlp([self.dim, hidden, 2 * self.semantic_dim]))
        self.centres = Centres(self.a).to(self.data.device)
        self.networks["centres"] = self.centres
        return [*super().judging(), self.refinement, self.centres]

    def step(self, index: int) -> Losses:
        """A step of f-VAEGAN-D2 with these losses."""
        self.draw = ("refinement", index)
        return super().step(index)

    def real_losses(self, x: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """The cycle and the margin of real features."""
        o = self.options
        mean, cycle = self.refined(x, rows, "real")
        margin = centre_margin(mean, self.centres.centres, rows, o.centre_margin, o.balance)
        return {"cycle_real": cycle, "centres": o.centre_weight * margin}

    def synthetic_losses(self, again: Tensor, fake: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """The cycle of synthetic features."""
        return {"cycle": self.refined(fake, rows, "synthetic")[1]}

    def refined(self, features: Tensor, rows: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """mu(x), (B, A), and L_R of features (B, D) of the given rows."""
        mean, spread = self.refinement(features).chunk(2, dim=1)
        noise = normal(mean.shape, mean.device, self.seed, name, *self.draw)
        error = (mean + spread.sigmoid() * noise - take(self.a, rows)).abs().mean()
        return mean, self.options.cycle_weight * error

    @torch.no_grad()
    def representation(self) -> Representation:
        """[x, h(x), mu(x)]."""
        first, first_bias = linear(self.refinement, 0)
        last, last_bias = linear(self.refinement, 2)
        mean = slice(self.semantic_dim)
        return Representation(
            (
                (first / self.units.spread, first_bias.clone(), "leaky_relu"),
                (last[mean].clone(), last_bias[mean].clone(), "none"),
            ),
            (0, 1, 2),
        )

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        """[x, h(x), mu(x)], without random draws."""
        return self.representation()(features)
