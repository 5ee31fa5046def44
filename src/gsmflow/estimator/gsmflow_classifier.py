"""The estimator of the package's own method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gsmflow.estimator.classifier import ZeroShotClassifier


class GSMFlowClassifier(ZeroShotClassifier):
    """[`ZeroShotClassifier`][gsmflow.estimator.classifier.ZeroShotClassifier] with GSMFlow as its method.

    Parameters
    ----------
    preset, options, protocol, random_state, device
        See [`ZeroShotClassifier`][gsmflow.estimator.classifier.ZeroShotClassifier].
    method : str
        Another method than GSMFlow.

    Examples
    --------
    >>> import numpy as np
    >>> from gsmflow.sources import synthetic
    >>> problem, _ = synthetic.make()
    >>> names = np.array(problem.classes)
    >>> model = GSMFlowClassifier(protocol="last", options={"gsmflow.epochs": 40, "gsmflow.hidden": 64})
    >>> X, y = problem.features[problem.train], names[problem.labels[problem.train]]
    >>> model = model.fit(X, y, semantics=problem.semantics, classes=names)
    >>> model.synthesize("class 20", 3).shape
    (3, 32)
    """

    def __init__(
        self,
        preset: str = "best",
        options: Mapping[str, Any] | None = None,
        protocol: str = "validated",
        random_state: Any = 0,
        device: str = "auto",
        method: str = "gsmflow",
    ) -> None:
        super().__init__(method, preset, options, protocol, random_state, device)
