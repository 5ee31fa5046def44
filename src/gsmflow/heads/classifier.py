"""The fitted classifier: from raw features to one logit a class, and its tensors in a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.base.errors import InputError
from gsmflow.compute.finite import first_not_finite
from gsmflow.data.transform import FeatureTransform
from gsmflow.heads.base import Head
from gsmflow.heads.calibration import softmax
from gsmflow.heads.kinds import head_from_state, head_state

_ROWS = 8192


@dataclass(frozen=True)
class FittedClassifier:
    """From raw features to class probabilities: transformation, head, bias on unseen classes, temperature.

    Parameters
    ----------
    transform : FeatureTransform
        Applied to raw features first.
    head : Head
        Gives one logit a class.
    classes : tuple[str, ...]
        C names in the order of the logits.
    unseen : NDArray[np.int64]
        (U,) indices of the unseen classes.
    bias : float
        Added to the unseen classes' logits (calibrated stacking); 0 unless it was chosen.
    unseen_head : Head | None
        Classifier over the unseen classes alone (conventional zero-shot learning), if there is one.
    temperature : float
        Logits are divided by it before the softmax; 1 unless it was chosen.
    """

    transform: FeatureTransform
    head: Head
    classes: tuple[str, ...]
    unseen: NDArray[np.int64]
    bias: float = 0.0
    unseen_head: Head | None = None
    temperature: float = 1.0

    def logits(self, features: NDArray[np.float32], *, first: int = 0) -> NDArray[np.float32]:
        """(N, C) logits of raw features (N, D), the bias included; computed in chunks.

        Parameters
        ----------
        features : NDArray[np.float32]
            (N, D) raw features.
        first : int
            The number of the first sample in the table it belongs to, for messages.

        Raises
        ------
        InputError
            The features have another number of dimensions than the training features, or values so large that
            logits overflow.
        """
        out = self._apply(self.head, features, first)
        out[:, self.unseen] += np.float32(self.bias)
        return out

    def unseen_logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, U) logits over the unseen classes alone, for samples known to be of one of them."""
        if self.unseen_head is None:
            return self.logits(features)[:, self.unseen]
        return self._apply(self.unseen_head, features)

    def _apply(self, head: Head, features: NDArray[np.float32], first: int = 0) -> NDArray[np.float32]:
        out = np.empty((len(features), head.classes), np.float32)
        for start in range(0, len(features), _ROWS):
            rows = torch.from_numpy(self.transform(np.asarray(features[start : start + _ROWS])))
            values = head.logits(rows.to(head.device))
            row = first_not_finite(values)
            if row is not None:
                raise InputError(
                    f"features: sample {first + start + row} (counted from 0) lies too far from the training features "
                    "to be classified; correct it or leave it out"
                )
            out[start : start + _ROWS] = values.cpu().numpy()
        return out

    def probabilities(self, features: NDArray[np.float32], *, first: int = 0) -> NDArray[np.float64]:
        """(N, C) probabilities, rows summing to 1: the softmax of the logits divided by the temperature."""
        return softmax(self.logits(features, first=first), self.temperature)

    def state(self) -> dict[str, Tensor]:
        """Tensors from which [`from_state`][gsmflow.heads.classifier.FittedClassifier.from_state] rebuilds the
        same classifier.
        """
        state = {f"transform.{name}": tensor for name, tensor in self.transform.state().items()}
        if self.unseen_head is not None:
            state |= {f"zsl.{name}": tensor for name, tensor in head_state(self.unseen_head).items()}
        state |= {f"head.{name}": tensor for name, tensor in head_state(self.head).items()}
        return state | {
            "unseen": torch.from_numpy(self.unseen),
            "unseen_bias": torch.tensor(self.bias, dtype=torch.float64),
            "temperature": torch.tensor(self.temperature, dtype=torch.float64),
        }

    @staticmethod
    def from_state(state: Mapping[str, Tensor], classes: tuple[str, ...], origin: str) -> FittedClassifier:
        """Inverse of [`state`][gsmflow.heads.classifier.FittedClassifier.state].

        Raises
        ------
        InputError
            Tensors are missing or do not fit each other or the classes.
        """

        def part(name: str) -> dict[str, Tensor]:
            return {n.removeprefix(name): t for n, t in state.items() if n.startswith(name)}

        try:
            transform = FeatureTransform.from_state(part("transform."))
            head = head_from_state(part("head."), origin)
            alone = head_from_state(part("zsl."), origin) if part("zsl.") else None
            unseen, bias = state["unseen"].numpy(), float(state["unseen_bias"])
            temperature = float(state.get("temperature", 1.0))  # older runs have none
        except KeyError as error:
            raise InputError(f"{origin}: tensor {error} is missing, so it holds no classifier") from None
        for name, each, count in (("head", head, len(classes)), ("zsl", alone, len(unseen))):
            if each and (each.classes, each.in_dim) != (count, transform.out_dim):
                raise InputError(
                    f"{origin}: {name} takes {each.in_dim} dimensions to {each.classes} classes, expected "
                    f"{transform.out_dim} and {count} from the transformation and the classes beside it; the "
                    "files are of different runs"
                )
        if not 0 < temperature < float("inf"):
            raise InputError(
                f"{origin}: temperature {temperature}, expected a positive number; it is damaged"
            )
        return FittedClassifier(transform, head, classes, unseen, bias, alone, temperature)
