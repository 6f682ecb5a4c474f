"""The transcripts stage: published logs of other people's runs, read as a model's outputs."""
