"""What the rules of the workflow are made of: code, images, binds, checks before the run."""
