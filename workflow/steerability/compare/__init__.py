"""Comparisons: of two runs, of a run with limits or the published table, of two engines."""
