"""Loading weights on this machine: the files, the claim of a graphics card, faults as one line."""
