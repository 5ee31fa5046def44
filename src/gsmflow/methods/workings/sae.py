"""SAE (Kodirov et al., CVPR 2017): a linear auto-encoder whose code is the semantics, in closed form.

With centred features X (D, N), the centred semantics S (A, N) of their classes, and an encoder W (A, D) whose
transpose decodes::

    min_W |X - W'S|^2 + lambda |WX - S|^2       <=>       S S' W + lambda W X X' = (1 + lambda) S X'

The solution is the same as that of SciPy's ``solve_sylvester`` (Bartels and Stewart), in a fraction of the time.
Classes are compared by cosines, in one of two spaces::

    logit_c = cos(W x, a_c)         encoded features with semantics
    logit_c = x . W'a_c / |W'a_c|   features with decoded semantics: the cosine times |x|

As in the paper: the objective, its solution, both spaces, and cosines. Different:

- Features and semantics are centred by the means of the training samples. Otherwise the code would also have to contain
  the mean semantics, which cannot be computed from projected features, because their mean is 0.
- lambda is 10^encoding times the mean eigenvalue of S S' over that of X X', so that it does not depend on units, and
  is tried on validation problems with either space. The paper gives a number for each data set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gsmflow.compute.finite import positive
from gsmflow.heads.base import Head
from gsmflow.heads.linear import LinearHead
from gsmflow.heads.representation import Representation, RepresentedHead
from gsmflow.learning.tensors import TrainingData
from gsmflow.methods.sae import SAEOptions

_ROWS = 1 << 13  # features converted to float64 at a time


def solutions(data: TrainingData, options: SAEOptions) -> Iterator[tuple[dict[str, float], Head]]:
    """A head for every lambda and space to try; the one in the options comes first."""
    system = data.once("sae", lambda: _System.of(data))
    spaces = (options.decoded, not options.decoded) if options.tried else (options.decoded,)
    for shift in sorted(range(-options.tried, options.tried + 1), key=abs):
        exponent = options.encoding + shift
        for decoded in spaces:
            head = system.by_features(10**exponent) if decoded else system.by_codes(10**exponent)
            yield {"encoding": exponent, "decoded": float(decoded)}, head


@dataclass(frozen=True)
class _System:
    """The equation in the axes of both scatter matrices, where it is solved number by number."""

    codes: Tensor  # (C, A) centred semantics of all classes
    middle: Tensor  # (D,) mean feature
    toward: Tensor  # (K, D) S X'
    s_values: Tensor  # (K,) eigenvalues of S S', those that can be above 0
    s_axes: Tensor  # (A, K) their eigenvectors
    x_values: Tensor  # (D,) eigenvalues of X X'
    x_axes: Tensor  # (D, D) its eigenvectors

    @staticmethod
    def of(data: TrainingData) -> _System:
        counts = torch.bincount(data.labels, minlength=len(data.seen)).double()
        means = data.class_means().double()
        middle = counts @ means / counts.sum()
        semantics = data.semantics.double()
        seen = semantics[data.seen]
        centre = counts @ seen / counts.sum()
        codes, seen = semantics - centre, seen - centre
        # S S' has no more axes than there are seen classes.
        _, roots, axes = torch.linalg.svd(counts.sqrt()[:, None] * seen, full_matrices=False)
        s_values, s_axes = roots.square(), axes.T
        x_values, x_axes = torch.linalg.eigh(_scatter(data, middle))
        # S X' needs the sums of each class alone.
        toward = s_axes.T @ (seen.T @ (counts[:, None] * (means - middle))) @ x_axes
        return _System(codes, middle, toward, s_values, s_axes, x_values.clamp(min=0), x_axes)

    def _solution(self, encoding: float) -> Tensor:
        """W in these axes, (K, D)."""
        weight = (
            encoding * positive(self.s_values.sum() / self.codes.shape[1]) / positive(self.x_values.mean())
        )
        return _divided(self.toward, self.s_values, weight * self.x_values, weight)

    def by_codes(self, encoding: float) -> Head:
        """Cosines of encoded features and semantics."""
        encoder = self.s_axes @ (self._solution(encoding) @ self.x_axes.T)
        layer = encoder.float().contiguous(), -(encoder @ self.middle).float(), "none"
        flat = torch.zeros(len(self.codes), device=self.codes.device)
        return RepresentedHead(Representation((layer,), (1,)), LinearHead(self.codes.float(), flat, 1.0))

    def by_features(self, encoding: float) -> Head:
        """Products of centred features with decoded semantics of unit length."""
        decoded = self.codes @ self.s_axes @ (self._solution(encoding) @ self.x_axes.T)
        decoded = torch.nn.functional.normalize(decoded, dim=1)
        return LinearHead(decoded.float().contiguous(), -(decoded @ self.middle).float())


def _divided(toward: Tensor, left: Tensor, right: Tensor, weight: Tensor) -> Tensor:
    """T of the equation: (K, D). If both eigenvalues are 0, the data do not determine W, and it stays 0."""
    below = left[:, None] + right[None]
    least = 1e-10 * (left.max() + right.max())
    return torch.where(below > least, (1 + weight) * toward / below.clamp(min=1e-300), 0.0)


def _scatter(data: TrainingData, middle: Tensor) -> Tensor:
    """X X' of the centred features, (D, D)."""
    total = torch.zeros(len(middle), len(middle), dtype=torch.float64, device=data.device)
    for rows in data.features.split(_ROWS):
        centered = rows.double() - middle
        total += centered.T @ centered
    return total
