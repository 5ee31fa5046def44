"""Where images become features: the one place the service asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Extractor = Callable[[bytes], NDArray[np.float32]]
"""The bytes of an image file to its features (D,), as the run was trained on them.

Raises :class:`gsmflow.errors.InputError` for bytes that are no image. Called from several threads at once.
"""


def extractor_of(run: Path) -> Extractor | None:
    """How a run makes features of an image; None where it was trained on features and knows no backbone.

    Runs do not remember a backbone yet, so this is None for every one of them.
    """
    return None
