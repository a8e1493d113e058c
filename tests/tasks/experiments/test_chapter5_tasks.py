"""Sub-networks beside their network, dropout in wide networks, and figure 5-1: readings against plain computations."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tiny_tasks import prepared, trained_in_two_parts
from torch import nn

from tasks.architectures.two_layer_relu import TwoLayerReLU
from tasks.datasets.separable import direction
from tasks.datasets.separable_stream import SeparableStream
from tasks.experiments import SUITES, TASKS
from tasks.experiments.thesis.chapter5_calculations import THESIS_FIG5_1
from tasks.experiments.thesis.lazy_regime import THESIS_FIG5_LAZY_WIDTH_100, base_2_loss
from tasks.experiments.thesis.subnetworks import THESIS_FIG5_2_WIDTH_100
from tasks.regularizers.base import Regularizer
from tasks.regularizers.dropout import Dropout
from tasks.regularizers.lazy_dropout import LazyDropout
from tasks.regularizers.max_norm import MaxNorm
from tasks.regularizers.none import Unregularized
from tasks.runtime.streams import stream_seed
from tasks.sites import watch_mask
from tasks.task import Setting
from tasks.theory.lazy_dropout import lazy_constants
from tasks.theory.subnetworks import fixed_masks

CPU = torch.device("cpu")
DIGITS = replace(
    THESIS_FIG5_2_WIDTH_100,
    dataset="digits",
    architecture="two_layer_mlp",
    options={"width": 30},
    num_subnetworks=6,
    protocol=replace(THESIS_FIG5_2_WIDTH_100.protocol, epochs=2, learning_rate=0.1, evaluate_at_epochs=(), scales={}),
)
LAZY = replace(
    THESIS_FIG5_LAZY_WIDTH_100, protocol=replace(THESIS_FIG5_LAZY_WIDTH_100.protocol, epochs=2, steps_per_epoch=40)
)


class Thinned(nn.Module):
    """Keeps the units of one mask, times a factor."""

    def __init__(self, mask: torch.Tensor, factor: float) -> None:
        super().__init__()
        self.mask, self.factor = mask, factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.mask * self.factor


@pytest.mark.parametrize(
    ("regularizer", "factor"),
    [(Dropout(drop_rate=0.6, where="last"), 2.5), (LazyDropout(drop_rate=0.6), 1.0), (Unregularized(), 2.0)],
    ids=["dropout", "lazy_dropout", "none"],
)
def test_sub_networks_are_the_network_with_units_left_out(regularizer: Regularizer, factor: float) -> None:
    training = prepared(DIGITS, regularizer, seed=3)
    outcome = training.run()
    measured, network = outcome.final["test"], training.network.eval()
    (site,) = [each for each in network.modules() if getattr(each, "kind", "") == "dense"]
    visited = watch_mask(site)()
    keep = 0.5 if isinstance(regularizer, Unregularized) else 0.4
    fixed = fixed_masks(6, 30, keep, stream_seed(3, "subnetworks"))
    test = training._evaluate.__closure__  # the split itself: no copy of how it is made
    assert test is not None
    split = next(cell.cell_contents["test"] for cell in test if isinstance(cell.cell_contents, dict))

    def accuracy(mask: torch.Tensor) -> float:
        site.fillings = nn.ModuleList([Thinned(mask, factor)])
        (batch,) = split.in_order(batch_size=len(split))
        return float((network(batch.inputs).argmax(1) == batch.targets.argmax(1)).double().mean())

    each = torch.tensor([accuracy(mask) for mask in fixed], dtype=torch.float64)
    expected = {
        "subnetwork_accuracy_fixed_mean": float(each.mean()),
        "subnetwork_accuracy_fixed_std": float(each.std()),
        "subnetwork_accuracy_fixed_min": float(each.min()),
        "subnetwork_gap": measured["accuracy"] - float(each.mean()),
        "effective_width": float(fixed.sum(1).double().mean()),
    }
    if visited is not None:
        expected["subnetwork_accuracy_current"] = accuracy(visited)
    assert {name: measured[name] for name in expected} == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
def test_the_gap_to_sub_networks_falls_with_the_width_and_grows_with_the_rate() -> None:
    def gap(width: int, drop_rate: float) -> float:
        protocol = replace(DIGITS.protocol, epochs=12, momentum=0.9, learning_rate=0.05)
        task = replace(DIGITS, options={"width": width}, num_subnetworks=30, protocol=protocol)
        training = prepared(task, Dropout(drop_rate=drop_rate, where="last"))
        return training.run().final["test"]["subnetwork_gap"]

    gaps = {(width, rate): gap(width, rate) for width, rate in ((20, 0.1), (20, 0.8), (400, 0.8))}
    assert gaps[20, 0.8] > gaps[20, 0.1] + 0.05
    assert gaps[20, 0.8] > gaps[400, 0.8] + 0.05
    assert abs(gaps[400, 0.8]) < 0.05


def test_sub_networks_need_a_dense_site() -> None:
    reason = replace(DIGITS, dataset="cifar10", architecture="resnet56", options={}).skip_reason(Dropout())
    assert reason == "Sub-networks need a dense site that one dense layer reads; the network has none."


def test_the_passes_of_the_paper_are_all_its_steps() -> None:
    protocol = THESIS_FIG5_2_WIDTH_100.protocol
    assert protocol.epochs * 25 == 25 * (60_000 // 64 + 1)
    assert (protocol.momentum, protocol.at("smoke").momentum, protocol.at("short").epochs) == (0.0, 0.9, 94)


def test_points_of_the_stream_are_fresh_separated_and_on_the_sphere() -> None:
    stream = SeparableStream(10, 0.3, 1, 300, 0, CPU)
    first, second = (list(stream.epoch()) for _ in range(2))
    points = torch.cat([batch.inputs.flatten(1).double() for batch in [*first, *second]])
    signs = 2 * torch.cat([batch.targets for batch in [*first, *second]]).argmax(1) - 1
    assert len(points.unique(dim=0)) == 600
    assert bool((signs * (points @ direction(10)) >= 0.3 - 1e-6).all())
    torch.testing.assert_close(points.norm(dim=1), torch.ones(600).double(), rtol=0, atol=1e-6)
    assert abs(float(signs.double().mean())) < 5 / math.sqrt(600)


@pytest.mark.slow
def test_a_lazy_training_goes_on_where_it_was_cut_off() -> None:
    pair = ("lazy_dropout", LazyDropout()), ("max_norm", MaxNorm())
    whole = prepared(LAZY, *pair)
    outcome = whole.run()
    _, continued = trained_in_two_parts(LAZY, *pair)
    assert continued.final == outcome.final


def test_readings_of_the_lazy_regime_follow_their_definitions() -> None:
    training = prepared(LAZY, ("lazy_dropout", LazyDropout(drop_rate=0.25)), ("max_norm", MaxNorm(limit=17.0)))
    network = training.network
    assert isinstance(network, TwoLayerReLU)
    first = network.hidden.weight.detach().clone()
    last = training.run().final["test"]
    moves = (network.hidden.weight.detach() - first).norm(dim=1)
    assert last["largest_move_times_sqrt_width"] == pytest.approx(10 * float(moves.max()), rel=1e-6)
    assert 0 < last["flipped_share_times_sqrt_width"] < 10
    mask = watch_mask(network.site)()
    assert mask is not None
    assert last["active_width"] == int(mask.sum()) < last["active_width_bound"]
    assert last["error_bound"] == pytest.approx(
        4 * lazy_constants(0.75 * 0.3 / 2, 10, math.log(2), 80, 100).lam ** 2 / (math.log(2) * 80)
    )
    assert last["error_bound"] > 1
    assert 0 <= last["error"] < 0.5


def test_a_step_size_beyond_the_theorems_has_no_bounds() -> None:
    training = LAZY.prepare([], Setting(seed=0, scale="smoke", learning_rate=1.0))
    readings = training.evaluate()["test"]
    assert "error" in readings
    assert not {"error_bound", "subnetwork_bound", "active_width_bound", "least_width"} & set(readings)


def test_max_norm_begins_at_the_limit_of_the_theorem() -> None:
    limit = THESIS_FIG5_LAZY_WIDTH_100.defaults["max_norm.limit"]
    assert limit == pytest.approx(math.sqrt(10) + max(1 / (14 * 0.075**2), 2 * math.sqrt(math.log(100))) + 1)


def test_the_loss_to_base_2_is_nowhere_below_the_0_1_loss() -> None:
    margins = torch.linspace(-3, 3, 61)[:, None]
    of_class_1 = torch.tensor([[0.0, 1.0]])
    losses = torch.stack([base_2_loss(z[None], of_class_1) for z in margins])
    assert bool((losses >= (margins.squeeze(1) <= 0).float() - 1e-6).all())
    assert float(base_2_loss(torch.zeros(1, 1), of_class_1)) == pytest.approx(1.0)


def test_the_line_of_figure_5_1_bounds_the_loss() -> None:
    readings = THESIS_FIG5_1.readings("smoke")
    assert readings["largest_violation"] == 0
    assert readings["linear_bound/-4.00"] == pytest.approx(1 + 4 / math.log(2))
    assert readings["base_2_loss/-2.00"] == pytest.approx(math.log2(1 + math.exp(2)))
    assert readings["base_2_loss/0.00"] == readings["linear_bound/0.00"] == 1


def test_one_training_serves_both_figures_under_both_names() -> None:
    names = ("thesis-fig5-2", "thesis-fig5-3", "convergence-fig1", "convergence-fig2")
    assert len({id(SUITES[name]) for name in names}) == 1
    assert {task for group in SUITES["thesis-fig5-2"].groups for task in group.tasks} <= set(TASKS)
    assert set(SUITES["thesis-fig5-lazy"].cells()) <= set(SUITES["thesis"].cells())
