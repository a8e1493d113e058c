"""Block feature map distortion replaces square regions of maps by noise (Tang et al. 2020, arXiv:2002.11022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.dropblock import Scaling, Schedule
from tasks.regularizers.fused.choice import has_fused_maps
from tasks.regularizers.fused.masks import distorted_blocks
from tasks.regularizers.parts.checks import check_at_least, check_choice, check_count, check_factor, check_rate
from tasks.regularizers.parts.distortion import (
    NoiseLaw,
    distorted,
    layer_behind,
    official_noise,
    paper_noise,
    weights_behind,
)
from tasks.regularizers.parts.masking import apply_mask, block_mask, dtype_of_masks, realised_scale
from tasks.regularizers.parts.places import rates_by_group
from tasks.regularizers.parts.schedules import RateSchedule, ScheduledMask
from tasks.runtime.streams import MaskStream
from tasks.sites import Site
from tasks.theory.drop_rates import keep_matrix

Mode = Literal["official", "paper"]
NOISE_LAWS: Mapping[str, NoiseLaw] = {"official": official_noise, "paper": paper_noise}


@dataclass(frozen=True, kw_only=True)
class BlockFeatureMapDistortion(Regularizer):
    """Zero-mean noise replaces the blocks that DropBlock would drop; the map is then divided by the fraction kept.

    The noise at channel c is step_size std(f) k_c u, std over the whole batch. k_c is the mean of s K_M over the taps
    of the next conv layer's kernel: K_M is a tap's largest weight on channel c over all output channels, s = +-1 is a
    random sign per tap.

    * `official` (the released code, default): signs per channel and tap, u ~ N(0, 1) per element, k_c times 0.1 for 1x1
      kernels; the default hyperparameters are those of its CIFAR script.
    * `paper` (eq. 22): the noise is divided by the batch size, hence step sizes near 30; signs per tap, u per channel
      and position, times a sign per sample; the fraction lam step_size std(f) / batch size of the feature remains.

    Where no conv layer follows, k_c = 0.01. A block larger than the map is cut to it. With step_size 0 it is DropBlock.
    The rate of a site is distortion_rate times group_factor to the power of (last group - its group); the released code
    uses 0.25 on ResNet-50, with sites in the last two groups only.
    """

    distortion_rate: float = 0.09  # in [0, 1)
    block_size: int = 6  # >= 1, cut to the map
    step_size: float = 5.0  # >= 0; gamma in the paper, alpha in its code
    lam: float = 0.0  # weight of the distortion's norm in the objective: >= 0 in mode paper, 0 in mode official
    mode: Mode = "official"
    schedule: Schedule = "linear"
    scaling: Scaling = "realised"
    group_factor: float = 1.0  # in (0, 1]

    acts_on: ClassVar[tuple[str, ...]] = ("conv",)
    off: ClassVar[dict[str, Scalar]] = {"distortion_rate": 0.0}
    formula: ClassVar[str] = "y = (f keep + step_size std(f) k_c u (1 - keep)) |keep| / sum(keep), u ~ N(0, 1)"
    source: ClassVar[str] = "Tang et al. 2020, eqs. 17 and 22; huawei-noah/Disout for mode official"

    def __post_init__(self) -> None:
        """Check every field."""
        check_rate(self, "distortion_rate")
        check_count(self, "block_size", 1)
        check_at_least(self, "step_size", 0)
        check_at_least(self, "lam", 0)
        check_choice(self, "mode", get_args(Mode))
        check_choice(self, "schedule", get_args(Schedule))
        check_choice(self, "scaling", get_args(Scaling))
        check_factor(self, "group_factor")
        if self.lam > 0 and self.mode == "official":
            raise ValueError(f"BlockFeatureMapDistortion.lam must be 0 in mode official (use paper), got {self.lam}.")

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """One distortion module per conv site, and the schedule of their rates."""
        masks, sites = [], self.chosen_sites(network)
        for site, rate in zip(sites, rates_by_group(self.distortion_rate, self.group_factor, sites), strict=True):
            masks.append(BlockDistortion(replace(self, distortion_rate=rate), site, context.masks(site.name)))
            site.fill(masks[-1])
        return RateSchedule.of(masks, context.device) if self.schedule == "linear" else self


class BlockDistortion(ScheduledMask):
    """Distortion of maps (B, C, H, W); a schedule may change `drop_rate`."""

    def __init__(self, settings: BlockFeatureMapDistortion, site: Site, stream: MaskStream) -> None:
        super().__init__(settings.distortion_rate)
        self._settings, self._law = settings, NOISE_LAWS[settings.mode]
        self._behind = (layer_behind(site, nn.Conv2d),)  # in a tuple, so that it is no submodule here
        self._weights, self._stream = weights_behind(site, nn.Conv2d), stream

    def runs_in_graph(self, x: Tensor) -> bool:
        """Whether fused kernels distort `x`."""
        settings = self._settings
        is_plain = settings.scaling == "realised" and settings.lam == 0 and settings.step_size > 0
        return is_plain and has_fused_maps(x, overlap=settings.block_size > 1)

    def forward(self, x: Tensor) -> Tensor:
        """Distorted and rescaled in training, `x` itself in eval mode and at rate 0."""
        if not self.training:
            return x
        settings = self._settings
        if self.runs_in_graph(x):
            return distorted_blocks(
                x,
                self._stream,
                self.kernel_rate,
                settings.block_size,
                step_size=settings.step_size,
                layer=self._behind[0],
                is_official=settings.mode == "official",
                is_realised=True,
            )
        if self.drop_rate == 0:
            return x
        num_samples, channels, height, width = x.shape
        block_size, step_size = self._settings.block_size, self._settings.step_size
        dtype = dtype_of_masks(x.dtype)
        keep = block_mask(self._stream, (num_samples, channels, height, width), self.drop_rate, block_size)
        scale = (
            realised_scale(keep)
            if self._settings.scaling == "realised"
            else 1 / keep_matrix(self.drop_rate, block_size, height, width).to(x.device, dtype)
        )
        y = distorted(x, keep, scale, lambda num: self._law(x, num, self._weights(), self._stream), step_size)
        if self._settings.lam == 0 or step_size == 0:
            return y
        remaining = step_size * x.detach().to(dtype).std(correction=0) * self._settings.lam / num_samples
        return y + apply_mask(x, keep.logical_not(), scale * remaining)
