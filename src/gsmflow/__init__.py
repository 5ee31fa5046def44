"""Generalized zero-shot learning with a conditional affine-coupling flow (Chen et al., ACM MM 2021)."""

__version__ = "0.1.0"
