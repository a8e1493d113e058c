"""Feature map distortion (Tang et al. 2020): its tables and figures."""
