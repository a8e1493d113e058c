"""Code that several regularizers share: masks, checks of fields, choices of sites, steps on keep rates."""
