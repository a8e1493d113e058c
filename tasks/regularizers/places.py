"""Where masks of single units act: the choice of sites as a hyperparameter, alike for every method that offers it."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from tasks.sites import Site, sites_of

Where = Literal["dense", "conv", "all", "last"]
PLACES: tuple[str, ...] = get_args(Where)
UNIT_SITES = ("dense", "hidden", "conv")


def sites_at(network: nn.Module, where: Where) -> list[Site]:
    """`dense` sites (and hidden units), `conv` sites, `all` of them, or only the `last` dense one."""
    kinds = {"conv": ("conv",), "all": UNIT_SITES}.get(where, ("dense", "hidden"))
    sites = sites_of(network, kinds)
    return sites[-1:] if where == "last" else sites
