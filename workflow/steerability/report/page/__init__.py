"""Pages: a run as one HTML file that a person reads, from a number to the outputs behind it."""
