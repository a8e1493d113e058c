"""Block feature map distortion."""

from search_spaces.space import Integer, Real, Space

SPACE: Space = {
    "distortion_rate": Real(low=0.01, high=0.3, source="0.01 to 0.10 in Tang et al. 2020; wider for small maps"),
    "block_size": Integer(low=1, high=7, source="6 in Tang et al. 2020, 7 in its code; cut to the map"),
    "step_size": Real(low=0.5, high=50.0, log=True, source="5 and 30 in Tang et al. 2020, 1 and 5 in its code"),
}
