"""Feature map distortion of units."""

from search_spaces.space import Real, Space

SPACE: Space = {
    "distortion_rate": Real(low=0.05, high=0.6, source="0.4, 0.5, 0.6 in Tang et al. 2020; lower for narrow layers"),
    "step_size": Real(low=0.1, high=50.0, log=True, source="5 in Tang et al. 2020, and far below and above it"),
}
