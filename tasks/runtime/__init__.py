"""Execution of passes (switches, compilation) and the state of a training (random streams, checkpoints)."""
