"""TF-VAEGAN (Narayan et al., ECCV 2020): f-VAEGAN-D2 with a semantic decoder, feedback, and both used to classify.

A decoder Dec(x) = W h(x) + b, with hidden activations h, adds a cycle back to the semantics to the losses of
[`gsmflow.methods.f_vaegan_d2`][gsmflow.methods.f_vaegan_d2]::

    L_R = beta (E |Dec(x) - a|_1 + E |Dec(x~) - a|_1)           means over dimensions

The decoder is trained with the critic on real features, the generator on synthetic ones. A first synthesis x~ goes
through the decoder, and a feedback module F turns the decoder's hidden activations into a correction of the generator's
hidden activations g, for a second synthesis x~'::

    x~ = W g(z, a) + b        x~' = W (g(z, a) + delta F(h(x~))) + b        no gradient through h(x~)

Even training steps have no feedback and odd ones have it (published: whole epochs in turn); synthesis has it. A head
sees [x, h(x), Dec(x)]. Published: Dec(x) is scaled to unit length; here it is not, and has the units of
[`Units`][gsmflow.methods.workings.trained.Units].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gsmflow.compute.activation import LEAK
from gsmflow.heads.representation import Representation
from gsmflow.learning.learner import Losses
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.tf_vaegan import TFVAEGANOptions
from gsmflow.methods.workings.f_vaegan_d2 import VAEGANLearner
from gsmflow.methods.workings.networks import linear, mlp, take


class TFVAEGANLearner(VAEGANLearner):
    """TF-VAEGAN in training."""

    options: TFVAEGANOptions  # type: ignore[assignment]

    def __init__(self, data: TrainingData, options: TFVAEGANOptions, seed: int) -> None:
        super().__init__(data, options, seed)
        self.feeding = True

    def generating(self) -> list[nn.Module]:
        """Encoder, generator and feedback."""
        hidden = self.options.hidden
        self.feedback = self.add("feedback", mlp([hidden, hidden, hidden], nn.LeakyReLU(LEAK)))
        return [*super().generating(), self.feedback]

    def judging(self) -> list[nn.Module]:
        """Critic and semantic decoder."""
        self.decoder = self.add("decoder", mlp([self.dim, self.options.hidden, self.semantic_dim]))
        return [*super().judging(), self.decoder]

    def step(self, index: int) -> Losses:
        """A step of f-VAEGAN-D2, with feedback in every other step."""
        self.feeding = index % 2 == 1
        try:
            return super().step(index)
        finally:
            self.feeding = True

    def synthesize(self, z: Tensor, semantics: Tensor, rows: Tensor) -> Tensor:
        """x~', (B, D), or x~ in a step without feedback."""
        hidden = self.generator.hidden(z, self.generator.condition(semantics), rows)
        first = self.generator.rest[1:](hidden)
        if not self.feeding:
            return first
        with torch.no_grad():
            seen = self.decoder[:2](first)
        return self.generator.rest[1:](hidden + self.options.feedback * self.feedback(seen))

    def real_losses(self, x: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """The cycle of real features."""
        return {"cycle_real": self.cycle(x, rows)}

    def synthetic_losses(self, again: Tensor, fake: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """The cycle of synthetic features."""
        return {"cycle": self.cycle(fake, rows)}

    def cycle(self, features: Tensor, rows: Tensor) -> Tensor:
        """beta mean |Dec(x) - a| of features (B, D) of the given rows."""
        return self.options.cycle_weight * (self.decoder(features) - take(self.a, rows)).abs().mean()

    @torch.no_grad()
    def representation(self) -> Representation:
        """[x, h(x), Dec(x)]."""
        first, first_bias = linear(self.decoder, 0)
        last, last_bias = linear(self.decoder, 2)
        return Representation(
            (
                (first / self.units.spread, first_bias.clone(), "leaky_relu"),
                (last.clone(), last_bias.clone(), "none"),
            ),
            (0, 1, 2),
        )

    def represent(self, features: Tensor, *key: int | str) -> Tensor:
        """[x, h(x), Dec(x)], without random draws."""
        return self.representation()(features)
