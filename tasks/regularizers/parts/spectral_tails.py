"""The small singular values of weight layers: a penalty on the keep rates of what the layer reads, and shrinkage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from tasks.regularizers.base import Hooks
from tasks.regularizers.parts.joint_rates import HasRates, masks_read
from tasks.regularizers.parts.localdrop_sites import Keep
from tasks.regularizers.spectra.thresholding import shrink_small_singular_values, tail_sums
from tasks.sites import Site, WeightLayer, trained_layers

Norm = Literal["l2", "rms"]
KERNEL_SIZE_OF_H = 3  # the paper gives h of conv layers for 3x3 kernels


def weight_layers(network: nn.Module) -> dict[str, WeightLayer]:
    """Name -> conv or dense layer, in the order listed; the last one is the output layer."""
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}


def num_kept_of(layer: WeightLayer, h_dense_fraction: float, h_conv: int) -> int:
    """The number h of leading singular values of one layer that are not shrunk.

    For a dense layer it is `h_dense_fraction` of its rank, rounded. For a conv layer it is `h_conv` for 3x3 kernels; in
    kernels of other sizes equally many values, 3 - h_conv, are shrunk. Kernels with one singular value (1x1, 1xk) are
    not shrunk (Lu et al. 2021, section 5.3).
    """
    rank = min(layer.weight.shape[-2:])
    if isinstance(layer, nn.Conv2d):
        return rank if rank == 1 else min(max(rank - (KERNEL_SIZE_OF_H - h_conv), 0), rank)
    return round(h_dense_fraction * rank)


def norm_of_rates(keep: HasRates, layer: WeightLayer, c_norm: Norm) -> Callable[[], Tensor]:
    """A function that returns ||theta|| of what `layer` reads, at the current rates.

    `l2` is the Euclidean norm over one channel's map (conv) or over all features that a dense layer reads; `rms` is
    that divided by the square root of their number. With pooling between the site and a dense layer, the features that
    the layer reads have the mean square of the site's rates. For a conv layer, the map is that at the site, before any
    pooling.
    """

    def norm() -> Tensor:
        rates = keep.rates()
        rms = rates.square().mean().sqrt()
        size = rates.numel() if isinstance(layer, nn.Conv2d) else layer.weight.shape[1]
        return rms if c_norm == "rms" else rms * size**0.5

    return norm


def no_masks() -> Tensor:
    """The factor of a layer that reads no masks: 1, so that C = lam (Lu et al. 2021, eqs. 12 and 17)."""
    return torch.ones(())


@dataclass
class SpectralTail:
    """One weight layer and its singular values beyond the first `num_kept`."""

    name: str  # for the log: of the site that it reads, or of the layer itself
    layer: WeightLayer
    num_kept: int
    norm: Callable[[], Tensor] = no_masks
    is_shrunk: bool = True  # False for the output, which only has the penalty (Lu et al. 2021, algorithm 1, line 10)
    _sum: Tensor | None = field(default=None, repr=False)

    def penalty(self) -> Tensor:
        """||theta|| sum_{j > h} sigma_j, without a gradient for W. The sum is computed once and kept until `forget`."""
        if self._sum is None:
            self._sum = tail_sums(self.layer.weight.detach(), self.num_kept).sum()
        return self.norm() * self._sum

    def forget(self) -> None:
        """Discard the stored sum, after the weights have changed."""
        self._sum = None

    @torch.no_grad()
    def shrink(self, lam: float) -> dict[str, float]:
        """Shrink by C = lam ||theta||; returns values for the log."""
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
    """Stage two: after every `every_epochs` epochs, shrink all tails except the output's and those of frozen layers.

    The optimizer keeps its momentum.
    """

    lam: float
    every_epochs: int
    tails: Sequence[SpectralTail]

    def penalty_of_rates(self, num_samples: int) -> Tensor | None:
        """The penalty added to the mean loss, lam / num_samples * Reg; None if it is 0.

        The penalty on the loss summed over all samples is lam * Reg.
        """
        if self.lam == 0 or not self.tails:
            return None
        return self.lam / num_samples * torch.stack([tail.penalty() for tail in self.tails]).sum()

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        """Shrink after every `every_epochs` epochs; discard the stored sums after every epoch."""
        measured: dict[str, float] = {}
        for tail in self.tails:
            if self.lam > 0 and epoch % self.every_epochs == 0 and tail.is_shrunk:
                measured.update(tail.shrink(self.lam))
            tail.forget()
        return measured

    def period_epochs(self) -> int:
        """Epochs from one shrinkage to the next."""
        return self.every_epochs


def charged_tails(
    network: nn.Module, keeps: Mapping[Site, Keep], h_dense_fraction: float, h_conv: int, c_norm: Norm
) -> list[SpectralTail]:
    """A tail for every layer that is shrunk or reads a masked site.

    Trained layers except the output, the last one listed, are shrunk; a weight that layers share is shrunk once. If a
    layer reads several masked sites, its norm is that of the product of their rates, and its name in the log that of
    the last.
    """
    masked = masks_read(keeps)
    names = {site.next_layer: keep.name for site, keep in keeps.items()}
    layers = weight_layers(network)
    output = next(reversed(layers), None)
    shrunk = trained_layers(network).keys() - {output}
    tails = []
    for name, layer in layers.items():
        keep = masked.get(layer)
        tail = SpectralTail(name, layer, num_kept_of(layer, h_dense_fraction, h_conv), is_shrunk=name in shrunk)
        if keep is not None:
            tail.name, tail.norm = names[layer], norm_of_rates(keep, layer, c_norm)
        if tail.num_kept < min(layer.weight.shape[-2:]) and (tail.is_shrunk or keep is not None):
            tails.append(tail)
    return tails
