"""The linear pair against its closed form: never better than the minimum, and at the minimum it knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from tiny_tasks import prepared, tiny, with_pins
from torch import Tensor, nn

from tasks.experiments import TASKS
from tasks.linear import shallow as shallow_linear
from tasks.linear.shallow import ShallowLinear
from tasks.linear.synthetic import NUM_HIDDEN
from tasks.regularizers.base import Regularizer
from tasks.regularizers.dropblock import DropBlock
from tasks.regularizers.dropblock_sample import DropBlockSample
from tasks.regularizers.dropconnect import DropConnect
from tasks.regularizers.dropout import Dropout
from tasks.runtime.trained import Trained
from tasks.theory.structured import (
    dropblock_factors,
    dropblock_objective,
    dropconnect_objective,
    generalized_dropout_objective,
)

NAMES = ["shallow-linear-dropblock", "shallow-linear-dropblock-keep-0.8"]
KEEP = {"shallow-linear-dropblock": 0.5, "shallow-linear-dropblock-keep-0.8": 0.8}


def reading(task: ShallowLinear, network: nn.Module, regularizer: Regularizer) -> Mapping[str, float]:
    """One measurement of `network`'s weights under `regularizer`."""
    training = prepared(task, with_pins(regularizer, task))
    own = training.network.state_dict()
    own.update({name: tensor for name, tensor in network.state_dict().items() if name in own})
    training.network.load_state_dict(own)
    return training._measure(None, Trained())["validation"]


def at_the_optimum(task: ShallowLinear) -> nn.Module:
    """The pair with the weights that the theory gives."""
    training = prepared(task)
    split = training.batches.split  # type: ignore[attr-defined]  # data in memory
    U, V = dropblock_factors(
        split.targets.T.double(), split.inputs.T.double(), task.keep, task.block_size, width=NUM_HIDDEN
    )
    with torch.no_grad():
        training.network.first.weight.copy_(V.T)
        training.network.second.weight.copy_(U)
    return training.network


@pytest.fixture(scope="module", params=NAMES)
def solved(request: pytest.FixtureRequest) -> tuple[ShallowLinear, nn.Module]:
    task = TASKS[request.param]
    assert isinstance(task, ShallowLinear)
    return task, at_the_optimum(task)


def test_the_factors_of_the_theory_have_distance_zero(solved: tuple[ShallowLinear, nn.Module]) -> None:
    task, network = solved
    assert reading(task, network, DropBlockSample())["relative_distance"] == pytest.approx(0, abs=1e-9)


def test_no_step_away_from_the_optimum_comes_below_the_minimum(solved: tuple[ShallowLinear, nn.Module]) -> None:
    task, network = solved
    generator = torch.Generator().manual_seed(0)
    for size in (1e-3, 1e-2, 0.3):
        moved = {
            name: tensor + size * torch.randn(tensor.shape, generator=generator)
            for name, tensor in network.state_dict().items()
        }
        copied = prepared(task).network
        copied.load_state_dict(moved)
        assert reading(task, copied, DropBlockSample())["relative_distance"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_training_comes_nearer_to_the_minimum_and_never_below_it(name: str) -> None:
    task = tiny(name, epochs=20, batch_size=50, evaluate_every_epochs=5)
    outcome = prepared(task, with_pins(DropBlockSample(), task)).run()
    distances = [
        point.value for point in outcome.curves if (point.split, point.metric) == ("validation", "relative_distance")
    ]
    assert len(distances) == 5
    assert min(distances) >= 0
    assert distances[-1] < distances[0] / 2


def sampling_error(task: ShallowLinear, network: nn.Module, regularizer: Regularizer, num_masks: int) -> float:
    """Relative standard error of a mean over `num_masks` masks for each sample; too large rather than too small."""
    training = prepared(task, with_pins(regularizer, task))
    training.network.load_state_dict(network.state_dict())
    split = training.batches.split  # type: ignore[attr-defined]  # data in memory
    with torch.no_grad():
        errors = (training.network.train()(split.inputs) - split.targets).square().sum(1)
    return float(errors.std() / errors.mean()) / (len(split) * num_masks) ** 0.5


@pytest.mark.parametrize("num_masks", [4, 64])
def test_without_overlaps_the_stochastic_objective_goes_to_the_deterministic_one(
    solved: tuple[ShallowLinear, nn.Module], num_masks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shallow_linear, "NUM_MASKS", num_masks)
    task, network = solved
    error = sampling_error(task, network, DropBlockSample(), num_masks)
    assert error < 0.03 / num_masks**0.5  # it shrinks with the masks, and the deviation with it
    assert reading(task, network, DropBlockSample())["stochastic_deviation"] < 5 * error


def test_with_overlaps_it_goes_to_the_objective_of_the_overlapping_law_instead(
    solved: tuple[ShallowLinear, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, network = solved
    num_masks = 128
    monkeypatch.setattr(shallow_linear, "NUM_MASKS", num_masks)
    U, V = network.factors()
    split = prepared(task).batches.split  # type: ignore[attr-defined]  # data in memory
    Y, X = split.targets.double().T, split.inputs.double().T
    mean, covariance = moments_of_overlapping_blocks(NUM_HIDDEN, task.block_size, 1 - task.keep)
    overlapping = float(generalized_dropout_objective(mean, covariance, Y, U, V.T @ X))
    exact = abs(overlapping / float(dropblock_objective(Y, X, U, V, task.keep, task.block_size)) - 1)
    error = sampling_error(task, network, DropBlock(), num_masks)
    assert exact > 10 * error  # so that it is not mistaken for noise
    assert abs(reading(task, network, DropBlock())["stochastic_deviation"] - exact) < 5 * error


def moments_of_overlapping_blocks(width: int, block_size: int, drop_rate: float) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the keep mask: units i and j are kept if no block that covers either has its seed set."""
    num_seeds = width - block_size + 1
    gamma = drop_rate * width / (block_size * num_seeds)
    covering = [{seed for seed in range(num_seeds) if seed <= unit < seed + block_size} for unit in range(width)]
    both = torch.tensor([[(1 - gamma) ** len(i | j) for j in covering] for i in covering], dtype=torch.float64)
    return both.diagonal(), both - torch.outer(both.diagonal(), both.diagonal())


@pytest.mark.parametrize("name", NAMES)
def test_the_problem_pins_rate_block_scaling_and_schedule_for_whoever_has_them(name: str) -> None:
    task = TASKS[name]
    assert task.pins["drop_rate"] == pytest.approx(1 - KEEP[name])
    pinned = with_pins(DropBlock(), task)
    expected = DropBlock(drop_rate=1 - KEEP[name], block_size=5, scaling="expected", schedule="constant")
    assert pinned == expected
    assert with_pins(Dropout(), task) == Dropout(drop_rate=1 - KEEP[name])


def test_the_largest_deviation_is_the_largest_so_far() -> None:
    task = tiny("shallow-linear-dropblock", epochs=4, evaluate_every_epochs=1)
    outcome = prepared(task, with_pins(DropBlock(), task)).run()
    curves = {
        metric: [point.value for point in outcome.curves if (point.split, point.metric) == ("validation", metric)]
        for metric in ("stochastic_deviation", "largest_stochastic_deviation")
    }
    running = [max(curves["stochastic_deviation"][: end + 1]) for end in range(5)]
    assert curves["largest_stochastic_deviation"] == running


def test_a_reading_does_not_move_the_masks_of_training() -> None:
    task = TASKS["shallow-linear-dropblock"]
    training = prepared(task, with_pins(DropBlockSample(), task))
    x = training.batches.split.inputs[:50]  # type: ignore[attr-defined]  # data in memory
    twin = prepared(task, with_pins(DropBlockSample(), task))
    training._measure(0, Trained())
    assert torch.equal(training.network.train()(x), twin.network.train()(x))


def test_validation_and_test_are_readings_of_the_same_quantity() -> None:
    outcome = prepared(tiny("shallow-linear-dropblock")).run()
    assert outcome.final["validation"] == outcome.final["test"]


def test_the_data_is_the_same_for_every_seed_and_the_first_weights_are_not() -> None:
    task = TASKS["shallow-linear-dropblock"]
    one, other = prepared(task, seed=0), prepared(task, seed=1)
    assert one.batches.split.inputs is other.batches.split.inputs  # type: ignore[attr-defined]  # data in memory
    assert not torch.equal(one.network.first.weight, other.network.first.weight)
    assert task.dataset_fingerprint(None) == TASKS[NAMES[1]].dataset_fingerprint(None) != ""


def test_the_minimum_is_smaller_the_more_is_kept() -> None:
    task = TASKS["shallow-linear-dropblock"]
    assert isinstance(task, ShallowLinear)
    minima = [replace(task, keep=keep).global_minimum() for keep in (0.3, 0.5, 0.8, 1.0)]
    assert minima == sorted(minima, reverse=True)
    assert minima[-1] == pytest.approx(0, abs=1e-6)  # without dropping, the pair can be exact


@pytest.mark.parametrize("name", NAMES)
def test_the_reading_of_dropconnect_sees_its_masks_in_the_weights(name: str) -> None:
    """One mask serves a whole pass, so the mean over passes is near its expectation, not at it."""
    task = TASKS[name]
    assert isinstance(task, ShallowLinear)
    training = prepared(task, with_pins(DropConnect(), task))
    network, split = training.network, training.batches.split  # type: ignore[attr-defined]  # data in memory
    U, V = network.factors()
    Y, X = split.targets.T.double(), split.inputs.T.double()
    unmasked = float((Y - U @ V.T @ X).square().sum())
    expected = float(dropconnect_objective(Y, X, U, V, task.keep))
    deterministic = float(dropblock_objective(Y, X, U, V, task.keep, task.block_size))
    read = training._measure(None, Trained())["validation"]
    assert read["objective"] == pytest.approx(deterministic, rel=1e-9)
    assert abs(read["stochastic_deviation"] - abs(expected / deterministic - 1)) < 0.01
    assert abs(unmasked / deterministic - 1) > 0.1, "without masks in the weights it would read this"
