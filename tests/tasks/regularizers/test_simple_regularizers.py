"""Weight decay, max-norm, label smoothing, cutout and early stopping: each against its formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_tasks import IMAGE_TASK, TINY_TASKS, prepared, tiny, weights_of
from torch import Tensor, nn

from tasks.architectures.two_layer_relu import TwoLayerReLU
from tasks.metrics import cross_entropy
from tasks.regularizers.base import Batch, History, Hooks, Regularizer, Step
from tasks.regularizers.cutout import Cutout
from tasks.regularizers.early_stopping import EarlyStopping
from tasks.regularizers.label_smoothing import LabelSmoothing
from tasks.regularizers.max_norm import MaxNorm
from tasks.regularizers.weight_decay import WeightDecay


@dataclass(frozen=True, kw_only=True)
class SquaredWeights(Regularizer):
    """Half of rate ||w||^2 as a penalty, to compare weight decay with."""

    rate: float

    def penalty(self, step: Step) -> Tensor:
        return self.rate / 2 * sum((p.square().sum() for p in step.network.parameters()), torch.zeros(()))


def trained_in_double(momentum: float, *regularizers: Regularizer) -> Tensor:
    task = tiny("digits-mlp", epochs=2, momentum=momentum, learning_rate=0.1)
    training = prepared(task, *regularizers)
    training.network.double()
    original = training._loss
    training._loss = lambda outputs, targets: original(outputs, targets.double())
    training._loss_of_labels = None
    training.network.input.register_forward_hook(lambda module, inputs, output: output.double())
    for epoch in (1, 2):
        training.run_epoch(epoch)
    return weights_of(training.network)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_coupled_weight_decay_is_the_penalty_of_half_the_squared_weights(momentum: float) -> None:
    decayed = trained_in_double(momentum, WeightDecay(rate=0.02))
    torch.testing.assert_close(decayed, trained_in_double(momentum, SquaredWeights(rate=0.02)), rtol=0, atol=1e-12)
    assert float((decayed - trained_in_double(momentum)).abs().max()) > 1e-3


def test_a_weight_without_a_gradient_shrinks_geometrically() -> None:
    task = tiny("digits-mlp", epochs=1, batch_size=32, momentum=0.0, learning_rate=0.5, milestones=())
    training = prepared(task, WeightDecay(rate=0.1))
    training._loss = lambda outputs, targets: (outputs * 0).sum()
    training._loss_of_labels = None
    before = weights_of(training.network)
    training.run_epoch(1)
    torch.testing.assert_close(weights_of(training.network), before * (1 - 0.5 * 0.1) ** 4)


def step_on(network: nn.Module, seed: int = 0) -> Step:
    return Step(
        network=network,
        loss=lambda batch: batch.inputs.sum(),
        rng=np.random.default_rng(seed),
        index=0,
        epoch=1,
        progress=0.0,
    )


def projected(limit: float, factor: float) -> tuple[nn.Module, nn.Module]:
    """A network with weights `factor` times their first ones, and its projection."""
    networks = []
    for project in (False, True):
        training = prepared(IMAGE_TASK, MaxNorm(limit=limit))
        with torch.no_grad():
            for parameter in training.network.parameters():
                parameter.mul_(factor)
        if project:
            training.hooks.after_step(step_on(training.network))
        networks.append(training.network)
    return networks[0], networks[1]


def units_of(network: nn.Module) -> list[Tensor]:
    """The incoming weights of every unit, one row each, layer by layer."""
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return [layer.weight.detach().flatten(1) for layer in layers]


@pytest.mark.parametrize("factor", [0.1, 1.0, 10.0])
def test_max_norm_cuts_long_rows_to_the_limit_and_leaves_short_ones_alone(factor: float) -> None:
    before, after = projected(0.8, factor)
    for old, new in zip(units_of(before), units_of(after), strict=True):
        long = old.norm(dim=1) > 0.8
        assert torch.equal(new[~long], old[~long])
        torch.testing.assert_close(new[long].norm(dim=1), torch.full((int(long.sum()),), 0.8))
        torch.testing.assert_close(F.normalize(new[long]), F.normalize(old[long]))


def test_max_norm_leaves_biases_alone() -> None:
    before, after = (dict(network.named_parameters()) for network in projected(0.1, 5.0))
    assert all(torch.equal(before[name], after[name]) for name in before if name.endswith("bias"))


def test_projecting_a_second_time_changes_nothing() -> None:
    training = prepared(IMAGE_TASK, MaxNorm(limit=0.3))
    training.hooks.after_step(step_on(training.network))
    once = weights_of(training.network)
    training.hooks.after_step(step_on(training.network))
    torch.testing.assert_close(weights_of(training.network), once, rtol=2e-7, atol=0)


def test_max_norm_holds_after_every_step_of_training() -> None:
    training = prepared(IMAGE_TASK, MaxNorm(limit=0.3))
    for epoch in (1, 2):
        training.run_epoch(epoch)
        assert all(float(rows.norm(dim=1).max()) <= 0.3 * (1 + 1e-6) for rows in units_of(training.network))


@pytest.mark.parametrize(
    ("where", "cut"),
    [
        ("all", ["stem.0", "branch.0", "classifier.2", "classifier.5"]),
        ("dense", ["classifier.2", "classifier.5"]),
        ("conv", ["stem.0", "branch.0"]),
        ("last", ["classifier.2"]),
    ],
)
def test_where_says_which_layers_max_norm_cuts(where: str, cut: list[str]) -> None:
    training = prepared(TINY_TASKS["digits-convnet"], MaxNorm(limit=0.01, where=where))
    training.hooks.after_step(step_on(training.network))
    layers = {n: m for n, m in training.network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    short = [
        name for name, layer in layers.items() if float(layer.weight.detach().flatten(1).norm(dim=1).max()) < 0.011
    ]
    assert short == cut


def test_max_norm_counts_the_projections_of_an_epoch() -> None:
    training = prepared(IMAGE_TASK, MaxNorm(limit=0.3))
    long = sum(int((rows.norm(dim=1) > 0.3).sum()) for rows in units_of(training.network))
    training.hooks.after_step(step_on(training.network))
    assert training.hooks.after_epoch(1, training.network) == {"max_norm.projections": long}
    assert long > 0
    training.hooks.after_step(step_on(training.network))
    again = training.hooks.after_epoch(2, training.network)["max_norm.projections"]
    assert again <= 0.5 * long  # projected rows may lie above the limit by a rounding


def test_max_norm_is_skipped_where_it_chooses_no_trained_layer() -> None:
    network = TwoLayerReLU(num_classes=1, in_channels=1, image_size=4, top="frozen")
    assert MaxNorm(where="last").skip_reason(network) is None
    assert "finds no layer" in str(MaxNorm(where="conv").skip_reason(network))


def test_a_row_of_zeros_survives_max_norm() -> None:
    training = prepared(IMAGE_TASK, MaxNorm(limit=0.3))
    with torch.no_grad():
        for parameter in training.network.parameters():
            parameter.zero_()
    training.hooks.after_step(step_on(training.network))
    assert not weights_of(training.network).any()


@pytest.mark.parametrize("amount", [0.05, 0.1, 0.6])
def test_smoothed_targets_are_a_mixture_that_sums_to_1(amount: float) -> None:
    targets = torch.eye(5, dtype=torch.float64)
    smooth = LabelSmoothing(amount=amount).transform_batch(Batch(targets, targets), step_on(nn.Identity())).targets
    torch.testing.assert_close(smooth.sum(1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(smooth, (1 - amount) * targets + amount / 5)
    assert torch.equal(smooth.argmax(1), torch.arange(5))


def test_the_gradient_on_smoothed_targets_is_softmax_minus_target() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    onehot = torch.eye(5, dtype=torch.float64)[:4]
    batch = LabelSmoothing(amount=0.1).transform_batch(Batch(logits, onehot), step_on(nn.Identity()))
    (gradient,) = torch.autograd.grad(cross_entropy(logits, batch.targets), logits)
    expected = (logits.detach().softmax(1) - batch.targets) / 4  # the loss is a mean over samples
    torch.testing.assert_close(gradient, expected)
    built_in = F.cross_entropy(logits, torch.arange(4), label_smoothing=0.1)
    torch.testing.assert_close(cross_entropy(logits, batch.targets), built_in)


def test_a_regression_has_no_labels_to_smooth() -> None:
    reason = TINY_TASKS["shallow-linear-dropblock"].skip_reason(LabelSmoothing())
    assert reason == "LabelSmoothing needs class targets; this task is a regression."


def holes(side_fraction: float, size: int, num_images: int = 4000) -> Tensor:
    """Which pixels were blanked, (images, size, size)."""
    batch = Batch(torch.ones(num_images, 3, size, size), torch.zeros(num_images, 1))
    cut = Cutout(side_fraction=side_fraction).transform_batch(batch, step_on(nn.Identity()))
    assert torch.equal(cut.inputs[:, :1].expand_as(cut.inputs), cut.inputs)  # all channels alike
    assert set(cut.inputs.unique().tolist()) <= {0.0, 1.0}
    assert cut.targets is batch.targets
    return cut.inputs[:, 0] == 0


@pytest.mark.parametrize(("side", "size"), [(4, 8), (2, 8), (3, 9), (8, 8), (5, 8)])
def test_the_hole_is_a_square_cut_at_the_border_around_a_uniform_pixel(side: int, size: int) -> None:
    blanked = holes(side / size, size)
    rows, columns = blanked.any(2), blanked.any(1)
    assert torch.equal(blanked, rows[:, :, None] & columns[:, None, :])  # a rectangle
    # Listed by hand: the run of pixels that a centre at each place blanks.
    runs = {
        tuple(max(0, centre - side // 2) <= pixel < centre - side // 2 + side for pixel in range(size))
        for centre in range(size)
    }
    assert {tuple(row) for row in rows.tolist()} == {tuple(column) for column in columns.tolist()} == runs
    areas = blanked.sum((1, 2))
    assert -(-(side**2) // 4) <= int(areas.min()) <= int(areas.max()) <= side**2


def test_every_pixel_is_a_centre_equally_often() -> None:
    centres = holes(1 / 8, 8, num_images=64_000)  # a hole of one pixel is its centre
    counts = centres.sum(0).double()
    assert ((counts / 64_000 - 1 / 64).abs() <= 5 * (1 / 64 / 64_000) ** 0.5).all()


def test_a_side_that_rounds_to_no_pixel_blanks_nothing() -> None:
    assert not holes(0.05, 8, num_images=5).any()


def test_cutout_needs_images() -> None:
    reason = TINY_TASKS["shallow-linear-dropblock"].skip_reason(Cutout())
    assert reason == "Cutout needs images at an input site; the network has none."


def watch(values: list[float], patience_fraction: float, planned: int, higher: bool = True) -> tuple[int, float, bool]:
    """Evaluations until it stops, the value of the weights that are left, and whether they were exchanged."""
    network = nn.Linear(1, 1, bias=False)
    hooks = EarlyStopping(patience_fraction=patience_fraction).attach(network, context=None)
    for index, value in enumerate(values):
        with torch.no_grad():
            network.weight.fill_(value)
        seen = values[: index + 1]
        history = History(network=network, values=seen, higher_is_better=higher, num_evaluations=planned)
        if hooks.should_stop(history):
            break
    changed = hooks.finish(network)
    return len(seen), float(network.weight.detach()), changed


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4], (4, 0.4, False)),  # never worse
        ([0.1, 0.4, 0.3, 0.3, 0.5], (4, 0.4, True)),  # two without improvement: the last is not seen
        ([0.1, 0.4, 0.3, 0.5, 0.2], (5, 0.5, True)),  # over before the patience is
        ([0.1, 0.0, 0.4, 0.3, 0.5], (5, 0.5, False)),  # an improvement starts the patience anew
        ([0.4, 0.4, 0.4], (3, 0.4, True)),  # an equal value is no improvement
    ],
)
def test_it_stops_after_its_patience_and_returns_the_best_weights(
    values: list[float], expected: tuple[int, float, bool]
) -> None:
    assert watch(values, 0.2, planned=10) == pytest.approx(expected)
    turned = watch([1 - value for value in values], 0.2, planned=10, higher=False)
    assert turned == pytest.approx((expected[0], 1 - expected[1], expected[2]))


@pytest.mark.parametrize(("fraction", "patience"), [(0.0, 1), (0.01, 1), (0.3, 3), (0.99, 10)])
def test_the_patience_is_a_share_of_the_planned_evaluations_but_at_least_one(fraction: float, patience: int) -> None:
    num_seen, _, _ = watch([0.9] + [0.1] * 20, fraction, planned=10)
    assert num_seen == 1 + patience


def test_with_full_patience_it_is_off() -> None:
    assert watch([0.9, 0.1, 0.1], 1.0, planned=2) == pytest.approx((3, 0.1, False))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WeightDecay(rate=-1), "WeightDecay.rate must be finite and >= 0, got -1."),
        (lambda: MaxNorm(limit=0), "MaxNorm.limit must be > 0"),
        (
            lambda: LabelSmoothing(amount=1.0),
            r"LabelSmoothing.amount must lie in \[0, 1\) \(0 switches it off\), got 1",
        ),
        (
            lambda: Cutout(side_fraction=1.5),
            r"Cutout.side_fraction must lie in \[0, 1\] \(0 switches it off\), got 1.5",
        ),
        (lambda: EarlyStopping(patience_fraction=2), r"must lie in \[0, 1\] \(1 switches it off\), got 2"),
    ],
    ids=["weight_decay", "max_norm", "label_smoothing", "cutout", "early_stopping"],
)
def test_a_value_out_of_range_is_refused_with_what_is_allowed(make: Callable[[], Hooks], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
