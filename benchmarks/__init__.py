"""Measurements: ``python -m benchmarks.step`` and its neighbours; results go to ``benchmarks/results``."""
