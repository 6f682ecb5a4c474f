"""The verbs of the command line, one module each, named for its verb."""
