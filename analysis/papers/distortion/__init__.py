"""Feature map distortion (Tang et al. 2020)."""
