"""Classifiers of transformed features, their calibration, and the fitted classifier of a run."""
