"""DropConnect drops single weights of dense layers (Wan et al. 2013)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.parts.checks import check_rate
from tasks.regularizers.parts.masking import apply_mask
from tasks.runtime.streams import MaskStream
from tasks.sites import Site, front_layers, sites_of


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
        """Let each of these layers mask its weights."""
        fronts = front_layers(network)
        layers = dict.fromkeys(fronts[site] for site in self.chosen_sites(network))
        names = {module: name for name, module in network.named_modules()}
        for layer in layers:
            MaskedLinear.made_of(layer, self, context.masks(names[layer]))
        return self


class MaskedLinear(nn.Linear):
    """A dense layer that drops weights while it trains."""

    drop_rate: float
    per_sample: bool
    stream: MaskStream

    @classmethod
    def made_of(cls, layer: nn.Linear, settings: DropConnect, stream: MaskStream) -> MaskedLinear:
        """`layer` itself, which now masks.

        A new layer in its place would lose the hooks that other regularizers have put on the old one, and every
        reference to it; a parametrization of the weight would show them the masked weight instead of the weight.
        """
        layer.__class__ = cls
        assert isinstance(layer, MaskedLinear)
        layer.drop_rate, layer.per_sample, layer.stream = settings.drop_rate, settings.per_sample, stream
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """The layer with masked and rescaled weights in training, the plain layer in eval mode and at drop rate 0."""
        if not self.training or self.drop_rate == 0:
            return super().forward(x)
        keep_rate = 1 - self.drop_rate
        weight = self.weight.expand(len(x), -1, -1) if self.per_sample else self.weight
        weight = apply_mask(weight, self.stream.bernoulli(tuple(weight.shape), keep_rate), 1 / keep_rate)
        if not self.per_sample:
            return F.linear(x, weight, self.bias)
        y = torch.einsum("bi,boi->bo", x, weight)
        return y if self.bias is None else y + self.bias
