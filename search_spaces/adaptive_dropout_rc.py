"""Adaptive dropout with Rademacher complexity."""

from search_spaces.space import Choice, Integer, Real, Space

SPACE: Space = {
    "lam": Real(low=1e-4, high=1.0, log=True, source="0.001 to 0.5 in Zhai and Wang 2018, section 4"),
    "norms": Choice(options=("2,2", "1,inf", "inf,1"), source="all three in Zhai and Wang 2018, section 4"),
    "input_drop_rate": Real(low=0.0, high=0.3, source="0.1 and 0.2 in Zhai and Wang 2018, section 4"),
    "conv_drop_rate": Real(low=0.0, high=0.4, source="0.25 in Zhai and Wang 2018, section 4, and around it"),
    "unit_drop_rate": Real(low=0.05, high=0.6, source="0.5 in Zhai and Wang 2018, section 4, and below"),
    "keep_interval_steps": Integer(low=1, high=100, log=True, source="1 to 100 in Zhai and Wang 2018, section 4"),
}
