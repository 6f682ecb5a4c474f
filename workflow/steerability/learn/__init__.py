"""What is learnt of a model over the engine: directions of its residual stream, their erasure."""
