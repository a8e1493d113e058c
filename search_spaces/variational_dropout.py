"""Variational dropout."""

from search_spaces.space import Choice, Real, Space

SPACE: Space = {
    "initial_alpha": Real(
        low=0.05, high=0.9, source="drop rates 0.05 to 0.47: up to the limit alpha = 1 of Kingma et al. 2015"
    ),
    "kl_weight": Real(
        low=1e-3, high=10.0, log=True, source="the bound itself is 1; six decades in Zhai and Wang 2018, section 4"
    ),
    "form": Choice(options=("A", "B"), source="both in Kingma et al. 2015, section 3"),
}
