"""Concrete dropout."""

from search_spaces.space import Real, Space

SPACE: Space = {
    "initial_drop_rate": Real(low=0.05, high=0.5, source="around 0.1 of the code of Gal et al. 2017"),
    "length_scale": Real(low=1e-3, high=1.0, log=True, source="around 1e-2 of the code of Gal et al. 2017"),
    "kl_weight": Real(low=0.1, high=10.0, log=True, source="regarena; 1 in Gal et al. 2017"),
}
