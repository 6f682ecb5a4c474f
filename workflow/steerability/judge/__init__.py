"""The judges: each puts one of four labels on a completion, behind one small interface."""
