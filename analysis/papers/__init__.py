"""Beside the papers: reported values, claims with verdicts, and figures like the papers' own. One folder a paper."""
