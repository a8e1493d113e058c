"""Time: measuring steps, estimating a plan, limits that follow from what is known."""
