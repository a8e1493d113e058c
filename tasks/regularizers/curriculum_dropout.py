"""Curriculum dropout begins with all units and drops more and more of them (Morerio et al. 2017, arXiv:1703.06229)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.dropout import ElementMask
from tasks.regularizers.parts.checks import check_at_least, check_choice, check_rate
from tasks.regularizers.parts.places import PLACES, UNIT_SITES, Where, sites_at
from tasks.regularizers.parts.schedules import RateSchedule
from tasks.sites import Site


@dataclass(frozen=True, kw_only=True)
class CurriculumDropout(Regularizer):
    """Dropout at the rate drop_rate (1 - exp(-steepness t)), where t in [0, 1) is the fraction of training done.

    With steepness 10 the rate is within 1 % of `drop_rate` after half of the training.
    """

    drop_rate: float = 0.5  # in [0, 1), approached at the end
    steepness: float = 10.0  # > 0; gamma times the number of steps in the paper
    where: Where = "dense"

    acts_on: ClassVar[tuple[str, ...]] = UNIT_SITES
    acts_on_tokens: ClassVar[bool] = True
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "drop_rate(t) = drop_rate (1 - exp(-steepness t)), t in [0, 1)"
    source: ClassVar[str] = "Morerio et al. 2017, section 3 (the exponential schedule, gamma = 10 / T)"

    def __post_init__(self) -> None:
        """Check every field."""
        check_rate(self, "drop_rate")
        check_choice(self, "where", PLACES)
        check_at_least(self, "steepness", 0)
        if self.steepness == 0:
            raise ValueError(
                f"CurriculumDropout.steepness must be > 0 (at 0 nothing would ever be dropped), got {self.steepness}."
            )

    def chosen_sites(self, network: nn.Module) -> list[Site]:
        """The sites that `where` names."""
        return sites_at(network, self.where)

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Dropout masks at every site, and the schedule of their rates."""
        sites = self.chosen_sites(network)
        masks = [ElementMask(self.drop_rate, context.masks(site.name)) for site in sites]
        for site, mask in zip(sites, masks, strict=True):
            site.fill(mask)
        schedule = RateSchedule.of(masks, context.device, self._course)
        schedule.progress(0.0)
        return schedule

    def _course(self, fraction: float) -> float:
        """1 - exp(-steepness fraction)."""
        return -math.expm1(-self.steepness * fraction)
