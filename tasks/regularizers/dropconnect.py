"""DropConnect drops single weights of dense layers (Wan et al. 2013)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.regularizers.base import Context, Hooks, Regularizer, Scalar
from tasks.regularizers.fused.choice import is_fused
from tasks.regularizers.fused.masks import masked_elements
from tasks.regularizers.parts.checks import check_rate
from tasks.regularizers.parts.masking import apply_mask
from tasks.runtime.operators import Operator, call_operator
from tasks.runtime.streams import MaskStream
from tasks.sites import Site, front_layers, sites_of


@dataclass(frozen=True, kw_only=True)
class DropConnect(Regularizer):
    """W o Z / (1 - drop_rate) replaces W in training, Z_ij ~ Ber(1 - drop_rate); eval uses W itself.

    The weights dropped are those of the dense layer that produces the units of a dense or hidden site. (For a linear
    output and squared error, masks on the layer that reads the site would minimise dropout's objective.) A batch shares
    one mask; with `per_sample` each sample has its own, at a cost that grows with the batch size. Biases are kept. The
    Gaussian approximation that Wan et al. use for inference is left out, as in Pal et al.
    """

    drop_rate: float = 0.5  # in [0, 1)
    per_sample: bool = False

    acts_on: ClassVar[tuple[str, ...]] = ("dense", "hidden")
    acts_on_tokens: ClassVar[bool] = True
    off: ClassVar[dict[str, Scalar]] = {"drop_rate": 0.0}
    formula: ClassVar[str] = "W <- W o Z / (1 - drop_rate), Z_ij ~ Ber(1 - drop_rate)"
    source: ClassVar[str] = "Wan et al. 2013, r = a((M o W) v); Pal et al. 2020, section 4, eq. 21"

    def __post_init__(self) -> None:
        """Check the rate."""
        check_rate(self, "drop_rate")

    def chosen_sites(self, network: nn.Module) -> list[Site]:
        """The sites whose units a dense layer produces."""
        fronts = front_layers(network)
        return [site for site in sites_of(network, self.acts_on) if site in fronts]

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Turn each of these layers into a `MaskedLinear`."""
        fronts = front_layers(network)
        layers = dict.fromkeys(fronts[site] for site in self.chosen_sites(network))
        names = {module: name for name, module in network.named_modules()}
        for layer in layers:
            MaskedLinear.made_of(layer, self, context.masks(names[layer]))
        return self


class MaskedLinear(nn.Linear):
    """A dense layer that drops weights in training mode."""

    drop_rate: float
    per_sample: bool
    mask: WeightMask

    @classmethod
    def made_of(cls, layer: nn.Linear, settings: DropConnect, stream: MaskStream) -> MaskedLinear:
        """Change the class of `layer` in place, so that it masks its weights, and return it.

        A new layer would lose the forward hooks of other regularizers and every reference to the old one; a
        parametrization of the weight would show other regularizers the masked weight instead of the weight.
        """
        layer.__class__ = cls
        assert isinstance(layer, MaskedLinear)
        layer.drop_rate, layer.per_sample = settings.drop_rate, settings.per_sample
        layer.mask = WeightMask(settings.drop_rate, stream)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """The layer with masked and rescaled weights in training, the plain layer in eval mode and at drop rate 0."""
        if not self.training or self.drop_rate == 0:
            return super().forward(x)
        weight = self.weight.expand(len(x), -1, -1) if self.per_sample else self.weight
        weight = call_operator(self.mask, weight)
        if not self.per_sample:
            return F.linear(x, weight, self.bias)
        y = torch.einsum("b...i,boi->b...o", x, weight)
        return y if self.bias is None else y + self.bias


class WeightMask(Operator):
    """Drops single weights, and rescales the others."""

    def __init__(self, drop_rate: float, stream: MaskStream) -> None:
        super().__init__()
        self.drop_rate, self.stream = drop_rate, stream

    def runs_in_graph(self, weight: Tensor) -> bool:
        """Whether fused kernels mask `weight`."""
        return is_fused(weight)

    def forward(self, weight: Tensor) -> Tensor:
        """Masked and rescaled, in any mode."""
        if self.runs_in_graph(weight):
            return masked_elements(weight, self.stream, self.drop_rate)
        keep_rate = 1 - self.drop_rate
        return apply_mask(weight, self.stream.bernoulli(tuple(weight.shape), keep_rate), 1 / keep_rate)
