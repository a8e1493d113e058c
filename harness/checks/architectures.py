"""The laws of architectures: what training and regularizers can rely on in a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from harness.checks.law import Law
from tasks.architectures.examples import NUM_CLASSES, Shape, example_of
from tasks.sites import sites_of

BATCH = 4


@dataclass(frozen=True)
class CheckedArchitecture:
    """The subject of these laws: an architecture, its name, and a network made by it."""

    name: str
    architecture: Callable[..., nn.Module]

    @cached_property
    def example(self) -> tuple[nn.Module, Shape]:
        """A network for ten classes with its sites measured, and the shape of its images."""
        torch.manual_seed(0)
        return example_of(self.architecture)

    def images(self) -> Tensor:
        """A few random images, of shape (BATCH, channels, height, width)."""
        return torch.randn(BATCH, *self.example[1], generator=torch.Generator().manual_seed(0))

    def network(self, num_classes: int = NUM_CLASSES) -> nn.Module:
        """A fresh network from a fixed seed."""
        channels, height, _ = self.example[1]
        torch.manual_seed(0)
        return self.architecture(num_classes=num_classes, in_channels=channels, image_size=height)


def gives_one_finite_score_per_class(checked: CheckedArchitecture) -> Iterator[str]:
    """The output is (batch, classes) and finite, for ten classes and for three."""
    for num_classes in (NUM_CLASSES, 3):
        with torch.no_grad():
            outputs: Any = checked.network(num_classes)(checked.images())
        if not isinstance(outputs, Tensor) or outputs.shape != (BATCH, num_classes):
            got = tuple(outputs.shape) if isinstance(outputs, Tensor) else f"{outputs!r:.100}"
            yield f"For {BATCH} images the output must be ({BATCH}, {num_classes}), a score per class, got {got}."
        elif not torch.isfinite(outputs).all():
            yield f"The fresh network for {num_classes} classes gives scores that are not finite."


def has_sites_that_contestants_can_fill(checked: CheckedArchitecture) -> Iterator[str]:
    """Without a measured site no regularizer that uses masks can act."""
    sites = sites_of(checked.example[0])
    if not sites:
        yield "The network has no site: put modules tasks.sites.Site where regularizers may act."
    if silent := [site.name for site in sites if site.shape is None]:
        yield f"The sites {', '.join(silent)} see no activation in a forward pass."


def draws_its_weights_from_the_seed(checked: CheckedArchitecture) -> Iterator[str]:
    """Two networks made from one seed have the same weights, so a trial's seed determines them."""
    first, second = checked.network().state_dict(), checked.network().state_dict()
    if list(first) != list(second) or not all(torch.equal(first[name], second[name]) for name in first):
        yield "Two networks made after torch.manual_seed(0) differ; draw weights from torch's global generator."


def draws_nothing_while_it_computes(checked: CheckedArchitecture) -> Iterator[str]:
    """Dropout and the like are for contestants to add; inside a network they would act on all contestants."""
    network = checked.network().train()
    before = torch.get_rng_state()
    with torch.no_grad():
        network(checked.images())
    if not torch.equal(before, torch.get_rng_state()):
        yield "The network draws random numbers in a forward pass; leave regularization to the sites."


def trains_every_parameter(checked: CheckedArchitecture) -> Iterator[str]:
    """A parameter without a gradient would be counted, but not trained."""
    network = checked.network().train()
    network(checked.images()).square().sum().backward()
    idle = [
        name for name, parameter in network.named_parameters() if parameter.requires_grad and parameter.grad is None
    ]
    if idle:
        yield f"The output does not depend on the parameters {', '.join(idle[:5])}."


LAWS: tuple[Law[CheckedArchitecture], ...] = (
    gives_one_finite_score_per_class,
    has_sites_that_contestants_can_fill,
    draws_its_weights_from_the_seed,
    draws_nothing_while_it_computes,
    trains_every_parameter,
)
