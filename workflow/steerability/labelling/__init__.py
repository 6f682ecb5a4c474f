"""Labels by people: cells are drawn, shown on a page of their own, and read back from its file."""
