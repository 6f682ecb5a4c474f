"""Stage publish: the manifest of a run, and its check."""
