"""LocalDrop (Lu et al. 2021)."""
