"""Estimates: labels as arrays, counts, rates, intervals and resampling, off ``cells.csv``."""
