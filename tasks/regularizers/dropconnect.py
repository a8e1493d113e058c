"""DropConnect drops single weights of dense layers (Wan et al. 2013)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.checks import check_rate
from tasks.regularizers.masking import apply_mask
from tasks.sites import Site, front_layers, sites_of
from tasks.streams import MaskStream


@dataclass(frozen=True, kw_only=True)
class DropConnect(Regularizer):
    """W o Z / (1 - drop_rate) takes the place of W in training, Z_ij ~ Ber(1 - drop_rate); eval uses W itself.

    The weights dropped are those of the dense layer in front of each dense or hidden site, which produces its units.
    (Masks on the layer behind would, for a linear output and squared error, minimise dropout's objective.) One mask
    serves a whole batch; `per_sample` draws one for every sample, at that many times the cost. Biases are kept. The
    Gaussian approximation that Wan et al. use for inference is left out, as in Pal et al.
    """

    drop_rate: float = 0.5  # in [0, 1)
    per_sample: bool = False

    acts_on: ClassVar[tuple[str, ...]] = ("dense", "hidden")
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "W <- W o Z / (1 - drop_rate), Z_ij ~ Ber(1 - drop_rate)"
    source: ClassVar[str] = "Wan et al. 2013, r = a((M o W) v); Pal et al. 2020, section 4, eq. 21"

    def __post_init__(self) -> None:
        """Check the rate."""
        check_rate(self, "drop_rate")

    def chosen_sites(self, network: nn.Module) -> list[Site]:
        """The sites that have a dense layer in front."""
        fronts = front_layers(network)
        return [site for site in sites_of(network, self.acts_on) if site in fronts]

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Put a masked layer, with the same parameters, in the place of each."""
        fronts = front_layers(network)
        layers = dict.fromkeys(fronts[site] for site in self.chosen_sites(network))
        names = {module: name for name, module in network.named_modules()}
        for layer in layers:
            masked = MaskedLinear(layer, self, context.masks(names[layer]))
            network.set_submodule(names[layer], masked)
            for site in sites_of(network):
                if site.next_layer is layer:
                    site.next_layer = masked
        return self


class MaskedLinear(nn.Linear):
    """A dense layer that drops weights while it trains. It shares the parameters of the layer it replaces."""

    def __init__(self, layer: nn.Linear, settings: DropConnect, stream: MaskStream) -> None:
        nn.Module.__init__(self)  # not Linear's own, which would draw weights from the global generator
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        self.drop_rate, self._per_sample = settings.drop_rate, settings.per_sample
        self._stream = stream

    def forward(self, x: Tensor) -> Tensor:
        """The layer with masked and rescaled weights in training, the plain layer in eval mode and at drop rate 0."""
        if not self.training or self.drop_rate == 0:
            return super().forward(x)
        keep_rate = 1 - self.drop_rate
        weight = self.weight.expand(len(x), -1, -1) if self._per_sample else self.weight
        weight = apply_mask(weight, self._stream.bernoulli(tuple(weight.shape), keep_rate), 1 / keep_rate)
        if not self._per_sample:
            return F.linear(x, weight, self.bias)
        y = torch.einsum("bi,boi->bo", x, weight)
        return y if self.bias is None else y + self.bias
