"""What the papers claim, each claim a row with a verdict: `claim` is the shape, one module is a paper, `table` all."""
