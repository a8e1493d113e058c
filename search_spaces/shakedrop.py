"""ShakeDrop."""

from search_spaces.space import Choice, Real, Space

SPACE: Space = {
    "drop_rate": Real(low=0.05, high=0.6, source="0.5 in Yamada et al. 2019"),
    "alpha_low": Real(low=-1.0, high=0.0, source="0 and -1 in Yamada et al. 2019"),
    "level": Choice(options=("sample", "channel", "element"), source="the levels compared by Yamada et al. 2019"),
}
