"""Table 1 and its forms for readers."""
