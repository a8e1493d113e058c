"""Figures 5-2 and 5-3 of Mianjy's thesis: a network on MNIST, and the sub-networks that masks select."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tasks.classification import METRICS, Classification
from tasks.datasets.batches import Samples
from tasks.metrics import average
from tasks.protocols import Fields, Protocol
from tasks.regularizers.base import Regularizer
from tasks.regularizers.parts.places import sites_at
from tasks.runtime.streams import stream_seed
from tasks.sites import MaskLaw, Site, mask_law, watch_mask
from tasks.task import Setting
from tasks.theory.subnetworks import fixed_masks, subnetwork_accuracies


@dataclass(frozen=True, kw_only=True, eq=False)
class Subnetworks(Classification):
    """Each evaluation also measures sub-networks, which masks at the last dense site select.

    These are the current one of dropout, with the mask of the first sample of the last step, and `num_subnetworks`
    fixed ones, whose masks are drawn once, by the seed. Their drop rate is that of the regularizer at this site, or
    `drop_rate` if it drops no units there. Kept units are divided by the keep rate if they are in training.

    Metrics: `subnetwork_accuracy_current`; `subnetwork_accuracy_fixed_mean`, `_std` and `_min` over the fixed ones;
    `subnetwork_gap`, the accuracy of the network minus that mean; `subnetwork_gap_current`, the accuracy minus that of
    the current one; `effective_width`, the mean number of units that the fixed masks keep.
    """

    num_subnetworks: int = 100
    drop_rate: float = 0.5  # in [0, 1)

    def skip_reason(self, regularizer: Regularizer) -> str | None:
        """Also skip all regularizers if the last dense site is missing or not read by one dense layer."""
        sites = sites_at(self.example_network(), "last")
        if not sites or not isinstance(sites[0].next_layer, nn.Linear):
            return "Sub-networks need a dense site that one dense layer reads; the network has none."
        return super().skip_reason(regularizer)

    def measured(self, network: nn.Module, samples: Samples, setting: Setting) -> dict[str, float]:
        """The metrics, and the accuracies of all sub-networks from one pass through the network."""
        (site,) = sites_at(network, "last")
        layer = site.next_layer
        assert isinstance(layer, nn.Linear)
        law = mask_law(site) or MaskLaw(1 - self.drop_rate, is_inverted=True)
        masks = self._masks(site, law, layer.in_features, setting)
        factor = law.keep_rate if law.is_inverted else None
        outputs, targets, correct = [], [], torch.zeros(len(masks), dtype=torch.float64, device=masks.device)
        for batch in samples.in_order():
            seen, hidden = _with_units(network, site, batch.inputs)
            labels = batch.targets.argmax(1)
            shares = subnetwork_accuracies(hidden, layer.weight, masks, labels, layer.bias, factor)
            correct += len(labels) * shares
            outputs.append(seen)
            targets.append(batch.targets)
        whole = average({name: METRICS[name] for name in self.metrics}, torch.cat(outputs), torch.cat(targets))
        return {**whole, **_of_subnetworks(whole["accuracy"], correct / len(samples), masks)}

    def _masks(self, site: Site, law: MaskLaw, width: int, setting: Setting) -> Tensor:
        """The current mask (before the first step: all units) and the fixed ones, (1 + num_subnetworks, width)."""
        fixed = fixed_masks(self.num_subnetworks, width, law.keep_rate, stream_seed(setting.seed, "subnetworks")).to(
            setting.device
        )
        current = watch_mask(site)()
        return torch.cat([torch.ones_like(fixed[:1]) if current is None else current[None], fixed])


def _with_units(network: nn.Module, site: Site, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The network's outputs, and the units (B, width) that enter the site."""
    units: list[Tensor] = []
    handle = site.register_forward_pre_hook(lambda _site, seen: units.append(seen[0]))
    outputs: Tensor = network(inputs)
    handle.remove()
    return outputs, units[0]


def _of_subnetworks(accuracy: float, shares: Tensor, masks: Tensor) -> dict[str, float]:
    """The metrics of the current sub-network (the first) and of the fixed ones, from accuracies and masks."""
    current, fixed = float(shares[0]), shares[1:]
    return {
        "subnetwork_accuracy_current": current,
        "subnetwork_accuracy_fixed_mean": float(fixed.mean()),
        "subnetwork_accuracy_fixed_std": float(fixed.std()),
        "subnetwork_accuracy_fixed_min": float(fixed.min()),
        "subnetwork_gap": accuracy - float(fixed.mean()),
        "subnetwork_gap_current": accuracy - current,
        "effective_width": float(masks[1:].sum(1).double().mean()),
    }


_STEPS_PER_EPOCH = 25  # a pseudo-epoch; 938 of them are the paper's 25 passes over the data
_MOMENTUM: Fields = {"momentum": 0.9, "max_evaluation_samples": 2_000}

SUBNETWORKS_PROTOCOL = Protocol(
    source="Mianjy's thesis, section 5.5, and Mianjy and Arora 2020, section 6 (batches of 64, 25 passes over MNIST, "
    "constant learning rate 0.01, plain SGD); not given: the widths below the top (those of LeCun et al. 1998). At the "
    "scales smoke and short momentum 0.9 is added: within so few steps plain SGD learns next to nothing",
    epochs=938,
    batch_size=64,
    learning_rate=0.01,
    momentum=0.0,
    nesterov=False,
    validation_fraction=0.0,
    steps_per_epoch=_STEPS_PER_EPOCH,
    evaluate_at_epochs=(4, 8, 16, 32, 64, 128, 256, 512),
    scales={
        "short": {**_MOMENTUM, "epochs": 94},
        "smoke": {**_MOMENTUM, "epochs": 25, "evaluate_at_epochs": (4, 10), "max_train_samples": 20_000},
    },
)


def _lenet(width: int) -> Subnetworks:
    return Subnetworks(
        dataset="mnist",
        architecture="lenet",
        protocol=SUBNETWORKS_PROTOCOL,
        options={"width": width},
        defaults={"dropout.where": "last"},
    )


THESIS_FIG5_2_WIDTH_100 = _lenet(100)
"""LeNet with 100 units in its top hidden layer on MNIST, and 100 fixed sub-networks of it."""

THESIS_FIG5_2_WIDTH_1000 = _lenet(1_000)
"""LeNet with 1,000 units in its top hidden layer on MNIST, and 100 fixed sub-networks of it."""

THESIS_FIG5_2_WIDTH_10000 = _lenet(10_000)
"""LeNet with 10,000 units in its top hidden layer on MNIST, and 100 fixed sub-networks of it."""

THESIS_FIG5_2_WIDTH_100000 = _lenet(100_000)
"""LeNet with 100,000 units in its top hidden layer on MNIST, and 100 fixed sub-networks of it: for a GPU."""

THESIS_FIG5_2_WIDTH_250000 = _lenet(250_000)
"""LeNet with 250,000 units in its top hidden layer on MNIST, and 100 fixed sub-networks of it: for a GPU."""
