"""At which sites regularizers act, and at which rate by depth: hyperparameters that several methods share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import nn

from tasks.regularizers.base import Regularizer
from tasks.sites import Site, sites_of

Where = Literal["dense", "conv", "all", "last"]
PLACES: tuple[str, ...] = get_args(Where)
UNIT_SITES = ("dense", "hidden", "conv")


def sites_at(network: nn.Module, where: Where) -> list[Site]:
    """`dense` sites (and hidden units), `conv` sites, `all` of them, or only the `last` dense one."""
    kinds = {"conv": ("conv",), "all": UNIT_SITES}.get(where, ("dense", "hidden"))
    sites = sites_of(network, kinds)
    return sites[-1:] if where == "last" else sites


def reason_without_images(regularizer: Regularizer, network: nn.Module) -> str | None:
    """Why a regularizer of images makes no sense in `network`: none of its sites holds any; None if one does."""
    if any(site.is_spatial for site in sites_of(network, regularizer.acts_on)):
        return None
    return f"{type(regularizer).__name__} needs images at an input site; the network has none."


def rates_by_group(rate: float, group_factor: float, sites: Sequence[Site]) -> list[float]:
    """The rate of each site: rate group_factor^(last - its group), last the highest group among them.

    With 1/4 it is the rule of Ghiasi et al. 2018 for ResNet-50, where only the last two groups have sites
    (`first_group=3` of the architecture): the last group has the rate itself, the one before it a quarter.
    """
    last = max((site.group for site in sites), default=0)
    return [rate * group_factor ** (last - site.group) for site in sites]
