"""Structured dropout (Pal et al. 2020): its figures."""
