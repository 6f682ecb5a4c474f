"""The judges: each labels a completion, behind one small interface."""
