"""Inference: declared tests, hypotheses, corrections for judge error, power."""
