"""Sparse variational dropout."""

from search_spaces.space import Real, Space

SPACE: Space = {
    "kl_weight": Real(
        low=1e-5, high=1.0, log=True, source="1e-5 to 1e-3 in Zhai and Wang 2018, section 4; the bound itself is 1"
    ),
    "initial_log_variance": Real(
        low=-12.0, high=-4.0, source="-10 in the code of Molchanov et al. 2017, and around it"
    ),
    "log_variance_speed": Real(low=1.0, high=30.0, log=True, source="regarena: 1 is plain gradient descent"),
}
