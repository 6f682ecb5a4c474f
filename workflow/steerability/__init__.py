"""Steerability of instrumental convergence: the workflow's package, one room per stage."""

__version__ = "0.2.0"
