"""Rows of trials as pandas frames: loading them, choosing those that are current, grouping them into cells."""
