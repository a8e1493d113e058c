"""Dropout as in the theory of wide networks: not rescaled in training, multiplied by the keep rate in eval mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from tasks.regularizers.base import Context, Regularizer, Scalar
from tasks.regularizers.dropout import ElementMask
from tasks.regularizers.parts.checks import check_choice, check_rate
from tasks.regularizers.parts.places import PLACES, UNIT_SITES, Where, sites_at
from tasks.sites import Site


@dataclass(frozen=True, kw_only=True)
class LazyDropout(Regularizer):
    """y = x m with m ~ Ber(1 - drop_rate), independent for every element; y = (1 - drop_rate) x in eval mode.

    `dropout` instead divides by the keep rate q = 1 - drop_rate in training and is the identity in eval mode. Here the
    masked units are q times as large in training. Multiplying the output of a ReLU layer without biases by q equals
    multiplying its weights by q, as algorithm 4 of the thesis does after training. It also projects these weights:
    `lazy_dropout+max_norm`.
    """

    drop_rate: float = 0.5  # in [0, 1)
    where: Where = "last"

    acts_on: ClassVar[tuple[str, ...]] = UNIT_SITES
    acts_on_tokens: ClassVar[bool] = True
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    eval_is_identity: ClassVar[bool] = False
    formula: ClassVar[str] = "y = x m, m ~ Ber(1 - drop_rate); in eval mode y = (1 - drop_rate) x"
    source: ClassVar[str] = "Mianjy and Arora 2020, algorithm 1 (Mianjy's thesis, algorithm 4)"

    def __post_init__(self) -> None:
        """Check both fields."""
        check_rate(self, "drop_rate")
        check_choice(self, "where", PLACES)

    def chosen_sites(self, network: nn.Module) -> list[Site]:
        """The sites that `where` names."""
        return sites_at(network, self.where)

    def fill(self, site: Site, context: Context) -> nn.Module:
        """One mask module per site, with a stream of its own."""
        return ElementMask(self.drop_rate, context.masks(site.name), is_inverted=False)
