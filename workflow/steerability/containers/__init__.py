"""The images that a run's stages are made in: checked before the run, named after it."""
