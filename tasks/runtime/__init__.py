"""How networks are executed (switches, compilation), and the state of a training (random streams, checkpoints)."""
