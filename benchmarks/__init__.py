"""Speed measured as ratios, each pair interleaved in one run. Never part of the tests."""
