"""Linear networks: the engine of the theory's experiments."""
