"""Comparison with the papers: reported values, claims with verdicts, and the papers' figures. One folder per paper."""
