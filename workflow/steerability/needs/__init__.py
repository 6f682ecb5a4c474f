"""What a run holds and needs: cells, tokens, disk, memory and hours, from arithmetic alone."""
