"""Fixtures of several unit tests."""

from support.fetching import hub, places, said

__all__ = ["hub", "places", "said"]
