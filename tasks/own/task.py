"""Classification as a campaign's file defines it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import ClassVar

import torch
from torch import nn

from tasks.architectures import ARCHITECTURES
from tasks.classification import Classification
from tasks.datasets import DATASETS
from tasks.datasets.dataset import Dataset
from tasks.datasets.own_images import OwnImages
from tasks.own.definition import Definition, ImagesOfATask
from tasks.own.foreign_networks import libraries_of, make_network, own_code, packages_beside
from tasks.own.site_finder import FoundSite, chosen, find_sites
from tasks.own.sited_network import SitedNetwork
from tasks.sites import measure_sites, sites_of
from tasks.table import described

_EXAMPLES = 2  # in the batch with which sites are found; batch norm in training needs two


@dataclass(frozen=True, kw_only=True)
class OwnClassification(Classification):
    """Train any classifier on any images, with sites found in it where it declares none.

    Args:
        definition: what the campaign's file says.
    """

    definition: Definition
    made_by: ClassVar[str] = "tasks.own.task:OwnClassification"

    def __hash__(self) -> int:
        return id(self)

    @classmethod
    def of(cls, definition: Definition) -> OwnClassification:
        """The task of a definition."""
        data = definition.data
        return cls(
            dataset=data if isinstance(data, str) else data.name,
            architecture=definition.architecture,
            protocol=definition.protocol.protocol(),
            definition=definition,
        )

    @property
    def data(self) -> Dataset:
        """The images, or the data set of that name."""
        data = self.definition.data
        return DATASETS[data] if isinstance(data, str) else _images(data)

    @property
    def own_code(self) -> tuple[str, ...]:
        """The class of this task, and the user's function that makes the network, if there is one."""
        return (self.made_by, *own_code(self.architecture))

    @property
    def own_packages(self) -> tuple[str, ...]:
        """The user's modules beside that function's."""
        return tuple(name for target in own_code(self.architecture) for name in packages_beside(target))

    @property
    def libraries(self) -> tuple[str, ...]:
        """This module, and the library of the network; the user's own code is imported by trials only."""
        return (__name__, *libraries_of(self.architecture))

    def make_network(self, num_classes: int, in_channels: int, image_size: int, seed: int) -> nn.Module:
        """The network with its own sites, or with those found in it.

        Raises:
            ValueError: if the network cannot be made, does not take the images, or has no such sites.
        """
        shape = (in_channels, image_size, image_size)
        if self.architecture in ARCHITECTURES:
            network = ARCHITECTURES[self.architecture](
                num_classes=num_classes, in_channels=in_channels, image_size=image_size, **self.definition.options
            )
            measure_sites(network, torch.zeros(1, *shape))
            return network
        network = make_network(
            self.architecture,
            self.definition.options,
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
        )
        if sites_of(network):
            measure_sites(network, torch.zeros(_EXAMPLES, *shape))
            return network
        return SitedNetwork(network, self._found or self._find(network), shape, seed)

    def check(self) -> None:
        """Make the network once, without numbers, and run it as in training.

        Raises:
            ValueError: see `make_network`; also if the protocol asks for what the data set does not offer.
        """
        data, protocol = self.data, self.protocol
        for name in protocol.augmentation:
            if name not in data.augmentations:
                offered = ", ".join(data.augmentations) or "none"
                raise ValueError(f"the data offer the augmentations {offered}, got {name!r}")
        network = self.example_network()
        is_sited = isinstance(network, SitedNetwork)
        if self.definition.sites and not is_sited:
            raise ValueError(f"{self.architecture} declares its sites itself; leave `sites` out")
        device = next(iter(network.parameters())).device
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            scores = network.train()(torch.zeros(_EXAMPLES, *data.shape, device=device))
        network.eval()
        wanted = (_EXAMPLES, data.num_classes)
        if not isinstance(scores, torch.Tensor) or tuple(scores.shape) != wanted:
            got = f"shape {tuple(scores.shape)}" if isinstance(scores, torch.Tensor) else type(scores).__name__
            raise ValueError(f"in training it must return one tensor of scores of shape {wanted}, got {got}")

    def example_network(self) -> nn.Module:
        """The network on torch's `meta` device, or with numbers where it cannot be made there."""
        return self._example

    @cached_property
    def _example(self) -> nn.Module:
        try:
            with torch.device("meta"):
                return self.network(seed=0)
        except Exception:  # the network needs numbers when it is made or run; another error is raised again below
            self._found.clear()
            return self.network(seed=0)

    @cached_property
    def _found(self) -> list[FoundSite]:
        """The sites, found once for all networks of the task; empty while they are being found."""
        return []

    def _find(self, network: nn.Module) -> list[FoundSite]:
        weights = next(iter(network.parameters()), None)
        if weights is None:
            raise ValueError("it has no parameters to train")
        try:
            found = find_sites(network, torch.zeros(_EXAMPLES, *self.data.shape, device=weights.device))
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(f"on images of shape {self.data.shape} it raises {described(error)}") from error
        self._found.extend(chosen(found, self.definition.sites))
        return self._found


@cache
def own_task(text: str) -> OwnClassification:
    """The task that has this definition."""
    return OwnClassification.of(Definition.of(text))


@cache
def _images(images: ImagesOfATask) -> OwnImages:
    num_test = images.num_test or max(1, round(images.num_train * images.test_fraction))
    return OwnImages(
        name=images.name,
        num_classes=images.num_classes,
        shape=(3, images.size, images.size),
        validation_fraction=images.validation_fraction,
        mean=images.mean,
        std=images.std,
        num_train=images.num_train - (0 if images.num_test else num_test),
        num_test=num_test,
        files=("train/CLASS/FILE or CLASS/FILE",),
        index_fingerprint=images.fingerprint,
        test_fraction=0.0 if images.num_test else images.test_fraction,
    )
