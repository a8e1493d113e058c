"""Sites: named places in a network where a regularizer may act.

An architecture marks its sites; a regularizer fills them. So every regularizer works in every architecture that has
sites of its kind, and neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from tasks.runtime.eager import eager

SiteKind = Literal["input", "conv", "dense", "branch", "hidden"]
SITE_KINDS: tuple[str, ...] = get_args(SiteKind)

WeightLayer = nn.Linear | nn.Conv2d


class Site(nn.Module):
    """The identity, until a regularizer fills it with modules, which then act one after the other.

    Args:
        kind: `input` (the batch as it enters), `conv` (a map behind a conv layer), `dense` (units behind a dense
            layer), `branch` (the residual branch of a block, before it is added), `hidden` (the units of a linear
            pair, where the theory of dropout lives).
        group: stage of the network, from 1 (nearest the input) up to the last; 0 for the input itself.
        next_layer: the weight layer that reads this site, if there is one alone.
    """

    def __init__(self, kind: SiteKind, *, group: int = 1, next_layer: WeightLayer | None = None) -> None:
        super().__init__()
        if kind not in SITE_KINDS:
            raise ValueError(f"A site's kind must be one of {', '.join(SITE_KINDS)}, got {kind!r}.")
        self.kind: SiteKind = kind
        self.group = group
        self.name = ""  # dotted path in the network, set by `measure_sites`
        self.shape: tuple[int, ...] | None = None  # of one sample here, set by `measure_sites`
        self.fillings = nn.ModuleList()
        self._next_layer = (next_layer,)  # in a tuple, so that it is not registered twice as a submodule

    @property
    def next_layer(self) -> WeightLayer | None:
        """The weight layer that reads this site."""
        return self._next_layer[0]

    @next_layer.setter
    def next_layer(self, layer: WeightLayer | None) -> None:
        self._next_layer = (layer,)

    def __setattr__(self, name: str, value: object) -> None:
        # nn.Module registers whatever module is assigned, before it would ask the property above.
        if name == "next_layer":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)  # type: ignore[arg-type]  # as torch declares it

    @property
    def is_spatial(self) -> bool:
        """Whether a sample is a map (channels, height, width) here. Needs `measure_sites` first."""
        return self.shape is not None and len(self.shape) == 3

    def fill(self, module: nn.Module) -> None:
        """Let `module` act here, behind what already acts."""
        self.fillings.append(module)

    def forward(self, x: Tensor) -> Tensor:
        """Pass through the fillings, in the order in which they came."""
        for filling in self.fillings:
            x = _at_random(filling, x) if self.training else filling(x)
        return x


@eager
def _at_random(filling: nn.Module, x: Tensor) -> Tensor:
    """What acts while training draws random numbers."""
    y: Tensor = filling(x)
    return y


def sites_of(network: nn.Module, kinds: Iterable[str] = SITE_KINDS) -> list[Site]:
    """The sites of the given kinds, in the order of the forward pass as the architecture lists them."""
    wanted = set(kinds)
    return [module for module in network.modules() if isinstance(module, Site) and module.kind in wanted]


def watch_mask(site: Site) -> Callable[[], Tensor | None]:
    """Let the filling of a site remember its masks, and return what tells the current one.

    That is the mask (True: kept) of the first sample in the batch of the last training step, of the shape of one sample
    there. It is None before the first step and at drop rate 0, and where no filling has masks to remember.
    """
    watched = [filling for filling in site.fillings if hasattr(filling, "is_watched")]
    for filling in watched:
        filling.is_watched = True  # type: ignore[assignment]  # plain attributes of these modules

    def current() -> Tensor | None:
        masks = [filling.current_mask for filling in watched]
        mask: Tensor | None = next((mask for mask in masks if mask is not None), None)  # type: ignore[assignment]  # fillings' attributes have no types
        return mask

    return current


class MaskLaw(NamedTuple):
    """How the filling of a site drops units: each is kept with probability `keep_rate`."""

    keep_rate: float  # in (0, 1], as of now
    is_inverted: bool  # whether what is kept is divided by the keep rate in training


def mask_law(site: Site) -> MaskLaw | None:
    """The law of the masks that `watch_mask` can tell; None where no filling has such."""
    laws = [
        MaskLaw(1 - filling.drop_rate, filling.is_inverted)  # type: ignore[operator,arg-type]  # plain attributes
        for filling in site.fillings
        if hasattr(filling, "is_watched")
    ]
    return laws[0] if laws else None


def trained_layers(network: nn.Module) -> dict[str, WeightLayer]:
    """Conv and dense layers whose weights are trained, by name: contestants do not change frozen ones.

    Layers that share one weight stand there once, by the first of them.
    """
    layers = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    first = {id(layer.weight): name for name, layer in reversed(layers.items())}
    return {
        name: layer for name, layer in layers.items() if layer.weight.requires_grad and first[id(layer.weight)] == name
    }


@torch.no_grad()
def measure_sites(network: nn.Module, example: Tensor) -> None:
    """Run one forward pass in eval mode, and write each site's name and the shape of one sample into it.

    Args:
        network: any module with sites.
        example: a batch of at least one input.
    """

    def record(site: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        site.shape = tuple(inputs[0].shape[1:])  # type: ignore[assignment]  # a Site, by the filter below

    handles = []
    for name, module in network.named_modules():
        if isinstance(module, Site):
            module.name = name
            handles.append(module.register_forward_pre_hook(record))
    was_training = network.training
    network.eval()
    network(example)
    network.train(was_training)
    for handle in handles:
        handle.remove()


def chain_next_layers(network: nn.Module) -> None:
    """Give each site the first conv or dense layer listed behind it: right for networks that are one chain."""
    waiting: list[Site] = []
    for module in network.modules():
        if isinstance(module, Site):
            waiting.append(module)
        elif isinstance(module, nn.Linear | nn.Conv2d):
            for site in waiting:
                site.next_layer = module
            waiting = []


def front_layers(network: nn.Module) -> dict[Site, nn.Linear]:
    """For each dense or hidden site, the last dense layer listed in front of it: right where networks are one chain."""
    fronts: dict[Site, nn.Linear] = {}
    last: nn.Linear | None = None
    for module in network.modules():
        if isinstance(module, nn.Linear):
            last = module
        elif isinstance(module, Site) and module.kind in ("dense", "hidden") and last is not None:
            fronts[module] = last
    return fronts
