"""Small tasks and suites to begin with."""
