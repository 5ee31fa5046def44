"""The test part of a validation problem, as far as logits of heads are stored and compared on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsmflow.data.problem import Problem
from gsmflow.heads.base import Head
from gsmflow.protocol.prepared import Prepared

_ENTRIES = 1 << 21  # most entries in the logits of one candidate on one problem


@dataclass(frozen=True)
class Probe:
    """The features of a prepared problem that logits are compared on, the same tensors for every head.

    Parameters
    ----------
    prepared : Prepared
        The problem.
    tested : Tensor
        (T, D) features of test samples, those of seen classes first.
    """

    prepared: Prepared
    tested: Tensor

    @staticmethod
    def of(prepared: Prepared) -> Probe:
        """The probe of a prepared problem."""
        tested = torch.from_numpy(prepared.problem.features[tested_rows(prepared.problem)])
        return Probe(prepared, tested.to(prepared.device))

    def logits(self, head: Head) -> NDArray[np.float32]:
        """Logits (T, C) of the test samples, divided by their spread."""
        return (head.logits(self.tested) / self.prepared.spread(head)).cpu().numpy()


def tested_rows(problem: Problem) -> NDArray[np.int64]:
    """Indices (T,) of the test samples whose logits are stored, evenly spaced, those of seen classes first."""
    rows = np.concatenate((problem.test_seen, problem.test_unseen))
    return rows[:: -(-len(rows) * len(problem.classes) // _ENTRIES) or 1]
