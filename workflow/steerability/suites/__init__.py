"""Suites of scenarios and intervention texts: what they are, and reading them from files."""
