"""Scores of generalized zero-shot learning, and measures of the three generation shifts."""
