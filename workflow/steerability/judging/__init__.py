"""Judges by name: which kinds there are, and how one is made from its settings."""
