"""LocalDrop (Lu et al. 2021): its tables and figures."""
