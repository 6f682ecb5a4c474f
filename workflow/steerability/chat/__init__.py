"""Asking OpenAI-compatible chat endpoints; knows nothing of scenarios or judges."""
