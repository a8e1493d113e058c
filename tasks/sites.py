"""Sites: named places in a network where a regularizer may act.

An architecture marks its sites; a regularizer fills them. So every regularizer works in every architecture that has
sites of its kind, and neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from tasks.runtime.operators import call_operator, make_operator

SiteKind = Literal["input", "conv", "dense", "branch", "hidden"]
SITE_KINDS: tuple[str, ...] = get_args(SiteKind)

WeightLayer = nn.Linear | nn.Conv2d


class Site(nn.Module):
    """The identity, until a regularizer fills it with modules, which are then applied in order.

    Args:
        kind: `input` (the input batch), `conv` (the feature map of a conv layer), `dense` (the units of a dense
            layer), `branch` (the residual branch of a block, before it is added), `hidden` (the hidden units of a
            linear or factor model, for which the papers prove theorems).
        group: stage of the network, from 1 (nearest the input) up to the last; 0 for the input itself.
        next_layer: the weight layer that reads this site, if there is exactly one.
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
        self.front: tuple[nn.Linear, ...] | None = None  # see `front_layers`

    @property
    def next_layer(self) -> WeightLayer | None:
        """The weight layer that reads this site."""
        return self._next_layer[0]

    @next_layer.setter
    def next_layer(self, layer: WeightLayer | None) -> None:
        self._next_layer = (layer,)

    def __setattr__(self, name: str, value: object) -> None:
        # nn.Module.__setattr__ registers an assigned module as a submodule and never reaches the property above.
        if name == "next_layer":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)  # type: ignore[arg-type]  # as torch declares it

    @property
    def is_spatial(self) -> bool:
        """Whether a sample is a map (channels, height, width) here. Needs `measure_sites` first."""
        return self.shape is not None and len(self.shape) == 3

    @property
    def holds_tokens(self) -> bool:
        """Whether a sample is several vectors here, along the last axis: the tokens (T, D) of a transformer."""
        return self.kind == "dense" and self.shape is not None and len(self.shape) > 1

    def fill(self, module: nn.Module) -> None:
        """Append `module` to the fillings.

        Under `torch.compile` it runs as one operator, whose own graph begins at a copy of its input, unless it has a
        method `runs_in_graph` that returns True for this input: the compiler then traces it. So must a filling that
        stores its input for a penalty, and so may one that draws by fused kernels only.
        """
        self.fillings.append(module)
        make_operator(module)

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore a copied site, and register its copied fillings as operators."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]  # of torch
        for filling in self.fillings:
            make_operator(filling)

    def __call__(self, x: Tensor) -> Tensor:
        """As for every module, but an empty site returns `x` directly: torch's call costs time in small networks."""
        if self.fillings or self._forward_pre_hooks or self._forward_hooks or self._backward_hooks:
            y: Tensor = super().__call__(x)
            return y
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Apply the fillings in the order in which they were added."""
        for filling in self.fillings:
            is_traced = self.training and torch.compiler.is_compiling()
            x = call_operator(filling, x) if is_traced else filling(x)
        return x


def sites_of(network: nn.Module, kinds: Iterable[str] = SITE_KINDS) -> list[Site]:
    """The sites of the given kinds, in the order of the forward pass as the architecture lists them."""
    wanted = set(kinds)
    return [module for module in network.modules() if isinstance(module, Site) and module.kind in wanted]


def watch_mask(site: Site) -> Callable[[], Tensor | None]:
    """Make the filling of a site store its masks, and return a function that returns the current one.

    The current mask (True: kept) is that of the first sample in the batch of the last training step; it has the shape
    of one sample at the site. It is None before the first step, at drop rate 0, and if no filling stores masks.
    """
    watched = [filling for filling in site.fillings if hasattr(filling, "is_watched")]
    for filling in watched:
        filling.is_watched = True  # type: ignore[assignment]  # plain attributes of these modules

    def current() -> Tensor | None:
        masks = [filling.current_mask for filling in watched]
        mask: Tensor | None = next((mask for mask in masks if mask is not None), None)  # type: ignore[assignment]  # fillings' attributes have no types
        return mask

    return current


def kind_of(network: nn.Module) -> str | None:
    """What a network is built of: `attention`, `residual`, `conv` or `dense`; None if of none of these. Sites measured.

    A network with an attention layer, or with sites that hold tokens, is `attention`; one with two branch sites or more
    `residual`; one with a conv layer `conv`; one with a dense layer `dense`.
    """
    modules = list(network.modules())
    sites = [module for module in modules if isinstance(module, Site)]
    if any(isinstance(each, nn.MultiheadAttention) for each in modules) or any(site.holds_tokens for site in sites):
        return "attention"
    if sum(site.kind == "branch" for site in sites) >= 2:
        return "residual"
    layers = {nn.Conv2d: "conv", nn.Linear: "dense"}
    return next((kind for layer, kind in layers.items() if any(isinstance(each, layer) for each in modules)), None)


class MaskLaw(NamedTuple):
    """The distribution of a site's masks: each unit is kept with probability `keep_rate`."""

    keep_rate: float  # in (0, 1], the current value
    is_inverted: bool  # whether kept units are divided by the keep rate in training


def mask_law(site: Site) -> MaskLaw | None:
    """The distribution of the masks that `watch_mask` reads; None if no filling stores masks."""
    laws = [
        MaskLaw(1 - filling.drop_rate, filling.is_inverted)  # type: ignore[operator,arg-type]  # plain attributes
        for filling in site.fillings
        if hasattr(filling, "is_watched")
    ]
    return laws[0] if laws else None


def trained_layers(network: nn.Module) -> dict[str, WeightLayer]:
    """Conv and dense layers whose weights are trained, by name. Regularizers do not change frozen layers.

    Layers that share one weight appear once, under the name of the first.
    """
    layers = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    first = {id(layer.weight): name for name, layer in reversed(layers.items())}
    return {
        name: layer for name, layer in layers.items() if layer.weight.requires_grad and first[id(layer.weight)] == name
    }


@torch.no_grad()
def measure_sites(network: nn.Module, example: Tensor) -> None:
    """Run one forward pass in eval mode, and set each site's `name` and `shape` (that of one sample).

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
    """Set each site's `next_layer` to the first conv or dense layer listed after it. For sequential networks only."""
    waiting: list[Site] = []
    for module in network.modules():
        if isinstance(module, Site):
            waiting.append(module)
        elif isinstance(module, nn.Linear | nn.Conv2d):
            for site in waiting:
                site.next_layer = module
            waiting = []


def front_layers(network: nn.Module) -> dict[Site, nn.Linear]:
    """For each dense or hidden site, the dense layer that produces its units.

    It is the layer in the site's `front`, an empty tuple if there is none. If `front` is not set (None), it is the last
    dense layer listed before the site, which is right for sequential networks only.
    """
    fronts: dict[Site, nn.Linear] = {}
    last: nn.Linear | None = None
    for module in network.modules():
        if isinstance(module, nn.Linear):
            last = module
        elif isinstance(module, Site) and module.kind in ("dense", "hidden"):
            front = last if module.front is None else next(iter(module.front), None)
            fronts |= {} if front is None else {module: front}
    return fronts
