"""Figures: drawings of the published tables, the same bytes on every run."""
