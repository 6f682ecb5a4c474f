"""Score: completions and labels joined into the tidy table ``cells.csv``."""
