"""Feature map distortion replaces random elements by noise instead of zeros (Tang et al. 2020, arXiv:2002.11022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.block_feature_map_distortion import BlockDistortion, BlockFeatureMapDistortion, Mode
from tasks.regularizers.dropblock import Scaling, Schedule
from tasks.regularizers.fused.choice import has_fused_maps
from tasks.regularizers.fused.masks import distorted_blocks
from tasks.regularizers.parts.checks import check_at_least, check_choice, check_rate
from tasks.regularizers.parts.distortion import (
    NoiseLaw,
    distorted,
    layer_behind,
    official_unit_noise,
    paper_unit_noise,
    weights_behind,
)
from tasks.regularizers.parts.masking import realised_scale
from tasks.regularizers.parts.schedules import RateSchedule, ScheduledMask
from tasks.runtime.streams import MaskStream
from tasks.sites import Site, sites_of

Where = Literal["dense", "conv"]
UNIT_NOISE_LAWS: Mapping[str, NoiseLaw] = {"official": official_unit_noise, "paper": paper_unit_noise}


@dataclass(frozen=True, kw_only=True)
class FeatureMapDistortion(Regularizer):
    """Zero-mean noise replaces units of dense layers, with probability `distortion_rate`; the output is then rescaled.

    The noise at unit j is step_size std(f) k_j u with u ~ N(0, 1), std over the whole batch, and k_j from K_M[j], the
    largest weight of the next dense layer on unit j. It comes from a gradient step on the Rademacher complexity of that
    layer. The output is divided by the fraction kept, the `realised` one or the `expected` 1 - distortion_rate. (The
    paper prints the distortion rate there. No variant offers that: at a rate of 0.05 every feature would be twenty
    times too large, and at rate 0, where schedules begin, infinite.) With step_size 0 it is dropout. With the `linear`
    schedule the rate grows linearly from 0.

    * `official` (default): k_j = K_M[j] / 10, u per sample and unit, after the released code. That code covers maps
      only and has the factor 1/10 if the next kernel is 1x1; a dense layer is a 1x1 kernel. Without the factor,
      training diverges for narrow layers: the network increases std(f) to reduce the relative noise, which then grows.
    * `paper`: eq. 15 as printed, k_j = K_M[j] / N, N the number of samples in the batch; u per unit, times a sign per
      sample. In batches of 128 the noise is 0.08 times that of `official`, so that units are nearly set to zero.

    Where no dense layer follows, k_j = 0.01 (in mode `paper` divided by N).

    With `where` conv, it distorts the elements of the maps of conv layers: block distortion in the given `mode`, with
    blocks of one pixel.
    """

    distortion_rate: float = 0.5  # in [0, 1); 0.4 to 0.6 in the paper
    step_size: float = 5.0  # gamma >= 0
    where: Where = "dense"
    mode: Mode = "official"
    schedule: Schedule = "linear"
    scaling: Scaling = "realised"

    acts_on: ClassVar[tuple[str, ...]] = ("dense", "conv")
    off: ClassVar[dict[str, Scalar]] = {"distortion_rate": 0.0}
    formula: ClassVar[str] = "y = (f keep + step_size std(f) k u (1 - keep)) / P(keep), u ~ N(0, 1)"
    source: ClassVar[str] = (
        "Tang et al. 2020, eqs. 6, 15 and 16, std(f) for the scale; huawei-noah/Disout for mode official"
    )

    def __post_init__(self) -> None:
        """Check every field."""
        check_rate(self, "distortion_rate")
        check_at_least(self, "step_size", 0)
        check_choice(self, "where", get_args(Where))
        check_choice(self, "mode", get_args(Mode))
        check_choice(self, "schedule", get_args(Schedule))
        check_choice(self, "scaling", get_args(Scaling))

    @property
    def on_maps(self) -> BlockFeatureMapDistortion:
        """The equivalent block distortion, for the sites of maps."""
        return BlockFeatureMapDistortion(
            distortion_rate=self.distortion_rate,
            block_size=1,
            step_size=self.step_size,
            mode=self.mode,
            schedule=self.schedule,
            scaling=self.scaling,
        )

    def chosen_sites(self, network: nn.Module) -> list[Site]:
        """The sites of the kind that `where` names."""
        return sites_of(network, (self.where,))

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """One distortion module per site, and the schedule of their rates."""
        masks: list[ScheduledMask] = []
        for site in self.chosen_sites(network):
            stream = context.masks(site.name)
            masks.append(
                BlockDistortion(self.on_maps, site, stream) if site.is_spatial else UnitDistortion(self, site, stream)
            )
            site.fill(masks[-1])
        return RateSchedule.of(masks, context.device) if self.schedule == "linear" else self


class UnitDistortion(ScheduledMask):
    """Distortion of units (B, D); a schedule may change `drop_rate`."""

    def __init__(self, settings: FeatureMapDistortion, site: Site, stream: MaskStream) -> None:
        super().__init__(settings.distortion_rate)
        self._step_size, self._scaling, self._law = settings.step_size, settings.scaling, UNIT_NOISE_LAWS[settings.mode]
        self._behind = (layer_behind(site, nn.Linear),)  # in a tuple, so that it is no submodule here
        self._weights, self._stream = weights_behind(site, nn.Linear), stream

    def runs_in_graph(self, x: Tensor) -> bool:
        """Whether fused kernels distort `x`."""
        return self._step_size > 0 and x.dim() == 2 and has_fused_maps(x, overlap=False)

    def forward(self, x: Tensor) -> Tensor:
        """Distorted and rescaled in training, `x` itself in eval mode and at rate 0."""
        if not self.training:
            return x
        if self.runs_in_graph(x):
            return distorted_blocks(
                x,
                self._stream,
                self.kernel_rate,
                block_size=1,
                step_size=self._step_size,
                layer=self._behind[0],
                is_official=self._law is official_unit_noise,
                is_realised=self._scaling == "realised",
            )
        if self.drop_rate == 0:
            return x
        keep_rate = 1 - self.drop_rate
        keep = self._stream.bernoulli(tuple(x.shape), keep_rate)
        scale = realised_scale(keep) if self._scaling == "realised" else 1 / keep_rate
        return distorted(x, keep, scale, lambda num: self._law(x, num, self._weights(), self._stream), self._step_size)
