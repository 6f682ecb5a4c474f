"""Requests to completions: the engine, the store and the files between them."""
