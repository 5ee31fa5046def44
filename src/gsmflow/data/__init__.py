"""A zero-shot problem, its checks, validation problems cut from it, and the transformation of features."""
