"""Analyse: counts, rates, intervals and tests, all read off ``cells.csv``."""
