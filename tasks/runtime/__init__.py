"""How passes are executed, and what is remembered of a training: switches, compilation, random streams, state."""
