"""The trained judge: features, fitting, its file, and what it says of cells that it never saw."""
