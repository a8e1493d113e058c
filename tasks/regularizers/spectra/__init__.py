"""Singular values of weights: shrinkage and sums of tails."""
