"""What several regularizers share: masks, checks, sites, steps of keep rates."""
