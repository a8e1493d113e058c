"""DropConnect."""

from search_spaces.space import Real, Space

SPACE: Space = {
    "drop_rate": Real(
        low=0.05, high=0.7, source="around 0.5 of Wan et al. 2013; keep 0.5 in Pal et al. 2020, section 5"
    )
}
