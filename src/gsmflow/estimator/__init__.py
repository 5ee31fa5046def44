"""The scikit-learn face of every method, and runs made, loaded and saved from Python."""

from gsmflow.estimator.classifier import ZeroShotClassifier
from gsmflow.estimator.gsmflow_classifier import GSMFlowClassifier
from gsmflow.estimator.training import load, train

__all__ = ["GSMFlowClassifier", "ZeroShotClassifier", "load", "train"]
