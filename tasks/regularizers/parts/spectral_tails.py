"""The small singular values of weight layers: charged with the keep rates of what the layer reads, then shrunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Hooks
from tasks.regularizers.parts.localdrop_sites import Keep
from tasks.regularizers.spectra.thresholding import shrink_small_singular_values, tail_sums
from tasks.sites import Site, WeightLayer, trained_layers

Norm = Literal["l2", "rms"]
KERNEL_SIZE_OF_H = 3  # the paper gives h of conv layers for 3x3 kernels


def weight_layers(network: nn.Module) -> dict[str, WeightLayer]:
    """Name -> conv or dense layer, in the order listed; the last one is the output layer."""
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}


def num_kept_of(layer: WeightLayer, h_dense_fraction: float, h_conv: int) -> int:
    """How many leading singular values of one layer are left alone: h.

    For a dense layer `h_dense_fraction` of its rank, rounded. For a conv layer `h_conv` of a 3x3 kernel; as many values
    are shrunk, 3 - h_conv, in kernels of other sizes. Those of rank 1, like 1x1 kernels, have one singular value each
    and are skipped (Lu et al. 2021, section 5.3).
    """
    rank = min(layer.weight.shape[-2:])
    if isinstance(layer, nn.Conv2d):
        return rank if rank == 1 else min(max(rank - (KERNEL_SIZE_OF_H - h_conv), 0), rank)
    return round(h_dense_fraction * rank)


def norm_of_rates(keep: Keep, layer: WeightLayer, c_norm: Norm) -> Callable[[], Tensor]:
    """||theta|| of what `layer` reads, to be asked for again whenever the rates have moved.

    `l2` is the Euclidean norm over one channel's map (conv) or over all features that a dense layer reads; `rms` is
    that divided by the square root of their number. Where pooling stands between the site and a dense layer, the
    mean square of the rates is taken over to the features that are left.
    """

    def norm() -> Tensor:
        rates = keep.rates()
        rms = rates.square().mean().sqrt()
        size = rates.numel() if isinstance(layer, nn.Conv2d) else layer.weight.shape[1]
        return rms if c_norm == "rms" else rms * size**0.5

    return norm


def no_masks() -> Tensor:
    """The norm where nothing is dropped: the factor is left out, so C = lam (Lu et al. 2021, eqs. 12 and 17)."""
    return torch.ones(())


@dataclass
class SpectralTail:
    """One weight layer and its singular values beyond the first `num_kept`."""

    name: str  # for the log: of the site that it reads, or of the layer itself
    layer: WeightLayer
    num_kept: int
    norm: Callable[[], Tensor] = no_masks
    is_shrunk: bool = True  # the output is charged alone (Lu et al. 2021, algorithm 1, line 10)
    _sum: Tensor | None = field(default=None, repr=False)

    def penalty(self) -> Tensor:
        """||theta|| sum_{j > h} sigma_j. The sum is measured once and kept until `forget`; no gradient reaches W."""
        if self._sum is None:
            self._sum = tail_sums(self.layer.weight.detach(), self.num_kept).sum()
        return self.norm() * self._sum

    def forget(self) -> None:
        """The weights have moved."""
        self._sum = None

    @torch.no_grad()
    def shrink(self, lam: float) -> dict[str, float]:
        """Shrink by C = lam ||theta||; returns what to log."""
        threshold = float(lam * self.norm())
        shrunk = shrink_small_singular_values(self.layer.weight, self.num_kept, threshold)
        self.layer.weight.copy_(shrunk.weight)
        return {
            f"localdrop.threshold/{self.name}": threshold,
            f"localdrop.next_singular_value/{self.name}": shrunk.next_value,
            f"localdrop.num_zeroed/{self.name}": float(shrunk.num_zeroed),
        }


@dataclass(frozen=True, kw_only=True)
class Shrinkage(Hooks):
    """Stage two: every `every_epochs` all tails are shrunk but the output's and those of frozen layers.

    The optimizer keeps its momentum.
    """

    lam: float
    every_epochs: int
    tails: Sequence[SpectralTail]

    def penalty_of_rates(self, num_samples: int) -> Tensor | None:
        """Lam * Reg beside a loss summed over `num_samples`, so lam / num_samples * Reg beside the mean loss.

        None when nothing is charged.
        """
        if self.lam == 0 or not self.tails:
            return None
        return self.lam / num_samples * torch.stack([tail.penalty() for tail in self.tails]).sum()

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        """Shrink when it is time; the sums of the tails are stale in any case."""
        measured: dict[str, float] = {}
        for tail in self.tails:
            if self.lam > 0 and epoch % self.every_epochs == 0 and tail.is_shrunk:
                measured.update(tail.shrink(self.lam))
            tail.forget()
        return measured

    def period_epochs(self) -> int:
        """From one shrinkage to the next."""
        return self.every_epochs


def charged_tails(
    network: nn.Module, keeps: Mapping[Site, Keep], h_dense_fraction: float, h_conv: int, c_norm: Norm
) -> list[SpectralTail]:
    """A tail for every layer, charged with the keep rates of the last masked site that it reads.

    Trained layers but the output are shrunk, a weight that layers share once. Another layer has no tail where it reads
    no such site.
    """
    masked: dict[WeightLayer, Keep] = {site.next_layer: keep for site, keep in keeps.items() if site.next_layer}
    layers = weight_layers(network)
    output = next(reversed(layers), None)
    shrunk = trained_layers(network).keys() - {output}
    tails = []
    for name, layer in layers.items():
        keep = masked.get(layer)
        tail = SpectralTail(name, layer, num_kept_of(layer, h_dense_fraction, h_conv), is_shrunk=name in shrunk)
        if keep is not None:
            tail.name, tail.norm = keep.name, norm_of_rates(keep, layer, c_norm)
        if tail.num_kept < min(layer.weight.shape[-2:]) and (tail.is_shrunk or keep is not None):
            tails.append(tail)
    return tails
