"""Theory tasks: readings of weights at the known optimum, laws of the readings, and what training does to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from slow_params import slow_but
from torch import nn

from tasks.experiments import SUITES, TASKS
from tasks.experiments.structured.suites import overlapping_drop_rate
from tasks.experiments.structured.tasks import samples_of
from tasks.linear.networks import DeepLinear, LinearPair, TiedAutoencoder
from tasks.linear.task import LinearTask, keep_rate_of
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Regularizer
from tasks.regularizers.dropblock import DropBlock
from tasks.regularizers.dropblock_sample import DropBlockSample
from tasks.regularizers.dropconnect import DropConnect
from tasks.regularizers.dropout import Dropout
from tasks.regularizers.label_smoothing import LabelSmoothing
from tasks.regularizers.weight_decay import WeightDecay
from tasks.runtime.trained import Trained
from tasks.task import Setting, Task
from tasks.theory.deep_linear import rank_one_equalized
from tasks.theory.linear import factorize
from tasks.theory.structured import dropblock_factors
from tasks.training import Training

CASES = {
    "structured-fig1": DropBlockSample(drop_rate=0.5, block_size=5),
    "structured-fig2": DropConnect(drop_rate=0.5),
    "structured-fig4": DropBlock(drop_rate=0.5, block_size=5, scaling="expected", schedule="constant"),
    "thesis-fig2-1": Dropout(drop_rate=0.375),
    "thesis-fig2-3-width-20": Dropout(drop_rate=0.5),
    "thesis-fig3-2": Dropout(drop_rate=0.3),
    "thesis-fig3-3": Dropout(drop_rate=0.3),
}


def prepared(
    name: str, *regularizers: Regularizer, seed: int = 0, scale: str = "smoke", **protocol: object
) -> Training:
    task = TASKS[name]
    assert isinstance(task, LinearTask)
    shortened = replace(task.protocol.at(scale), **{"scales": {}, **protocol})
    task = replace(task, protocol=shortened)
    named = [(type(part).__name__, part) for part in regularizers]
    setting = Setting(seed=seed, scale="paper", learning_rate=task.default_learning_rate("paper"))
    return task.prepare(named, setting)


def read(training: Training) -> Mapping[str, float]:
    return training._measure(None, Trained())["validation"]


def set_pair(network: nn.Module, U: torch.Tensor, V: torch.Tensor) -> None:
    assert isinstance(network, LinearPair)
    with torch.no_grad():
        network.second.weight.copy_(U)
        network.first.weight.copy_(V.T)


@pytest.mark.parametrize("drop_rate", [0.1, 0.5, 0.9])
def test_the_factors_of_theorem_7_read_as_optimal_balanced_and_of_its_spectrum(drop_rate: float) -> None:
    training = prepared("structured-fig1", DropBlockSample(drop_rate=drop_rate, block_size=5))
    inputs, targets = (tensor.double().T for tensor in samples_of("gaussian"))
    set_pair(training.network, *dropblock_factors(targets, inputs, 1 - drop_rate, block_size=5, width=50))
    reading = read(training)
    assert reading["excess_objective"] == pytest.approx(0, abs=1e-8)
    assert reading["unevenness"] == pytest.approx(0, abs=1e-5)
    assert reading["spectrum_distance"] == pytest.approx(0, abs=1e-5)
    assert abs(reading["dropblock_deviation"]) * reading["objective"] < 5 * reading["sampling_error"]
    assert reading["kept_fraction"] == pytest.approx(1 - drop_rate, abs=0.03)


@pytest.mark.parametrize(("width", "lam"), [(20, 0.1), (20, 1.0), (80, 0.5)])
def test_the_factors_of_theorem_6_read_as_optimal_and_equalized(width: int, lam: float) -> None:
    training = prepared(f"thesis-fig2-3-width-{width}", Dropout(drop_rate=lam / (1 + lam)))
    task = TASKS[f"thesis-fig2-3-width-{width}"]
    assert isinstance(task, LinearTask)
    set_pair(training.network, *factorize(task.problem.defining_tensors()[0].double(), width, lam))
    reading = read(training)
    assert reading["excess_objective"] == pytest.approx(0, abs=1e-6)
    assert reading["unevenness"] == pytest.approx(0, abs=1e-5)
    assert reading["importance_variance"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("lam", slow_but([0.0, 0.1, 0.6, 2.0], [0.1]))
def test_the_scalar_optimum_is_the_one_on_the_diagonal(lam: float) -> None:
    training = prepared("thesis-fig2-1", Dropout(drop_rate=lam / (1 + lam)))
    network = training.network
    assert isinstance(network, TiedAutoencoder)
    with torch.no_grad():
        network.weight.fill_(math.sqrt(2 / (2 + lam)))
    reading = read(training)
    assert reading["excess_objective"] == pytest.approx(0, abs=1e-6)
    assert reading["optimal_squared_norm"] == pytest.approx(4 / (2 + lam))
    assert reading["squared_norm"] == pytest.approx(4 / (2 + lam))


def test_the_measured_landscape_is_the_closed_form_within_its_sampling_error() -> None:
    lam = 0.6
    reading = read(prepared("thesis-fig2-1", Dropout(drop_rate=lam / (1 + lam))))
    points = {name: value for name, value in reading.items() if name.startswith("landscape/")}
    assert len(points) == 31**2
    for name, value in points.items():
        x, y = (float(part) for part in name.split("/")[1:])
        exact = (2 - x * x - y * y) ** 2 + lam * (x**4 + y**4)
        assert value == pytest.approx(exact, rel=0.15, abs=0.1)


def test_the_landscape_is_measured_once() -> None:
    training = prepared("thesis-fig2-1", Dropout(drop_rate=0.5))
    assert any(name.startswith("landscape/") for name in read(training))
    assert not any(name.startswith("landscape/") for name in read(training))


def test_a_rank_one_equalized_network_has_no_gap_and_reaches_the_bound_at_its_own_map() -> None:
    training = prepared("thesis-fig3-3", Dropout(drop_rate=0.3))
    task, network = TASKS["thesis-fig3-3"], training.network
    assert isinstance(task, LinearTask)
    assert isinstance(network, DeepLinear)
    target = task.problem.defining_tensors()[0].double()
    strength = (1 + 0.3 / 0.7 / 5) ** 5 - 1
    weights = rank_one_equalized(torch.ones(1).double(), target[0] / (1 + strength), (5,) * 5)
    with torch.no_grad():
        for layer, weight in zip(network.linear_layers(), weights, strict=True):
            layer.weight.copy_(weight)
    reading = read(training)
    assert reading["excess_objective"] == pytest.approx(0, abs=1e-6)
    assert reading["equalization_gap"] == pytest.approx(0, abs=1e-5)
    assert all(reading[f"equalization_gap/{order}"] == pytest.approx(0, abs=1e-4) for order in range(1, 6))
    assert reading["singular_value/1"] == pytest.approx(reading["bound_singular_value/1"], rel=1e-5)


@pytest.mark.parametrize("name", slow_but(CASES, ["thesis-fig3-2"]))
def test_no_iterate_lies_below_the_bound_and_training_comes_nearer(name: str) -> None:
    outcome = prepared(name, CASES[name], seed=1).run()
    excess = [p.value for p in outcome.curves if (p.split, p.metric) == ("validation", "excess_objective")]
    assert min(excess) >= -1e-6
    assert excess[-1] < excess[0]


@pytest.mark.parametrize("name", slow_but(CASES, ["thesis-fig3-2"]))
def test_the_same_seed_trains_to_the_same_weights(name: str) -> None:
    ends = []
    for _ in range(2):
        training = prepared(name, CASES[name], epochs=2)
        training.run()
        ends.append(torch.cat([weight.flatten() for weight in training.network.state_dict().values()]))
    assert torch.equal(*ends)


def test_dropconnect_follows_the_corrected_law_and_not_the_printed_one() -> None:
    for design, printed_holds in (("-orthogonal", True), ("-correlated", False)):
        training = prepared(f"structured-fig2{design}", DropConnect(drop_rate=0.5), epochs=8)
        reading = training.run().final["validation"]
        error = reading["sampling_error"] / reading["dropconnect_objective"]
        assert abs(reading["dropconnect_deviation"]) < 5 * error
        assert (abs(reading["dropout_deviation"]) < 5 * error) == printed_holds


def test_the_designs_are_what_they_are_called() -> None:
    orthogonal, correlated = (samples_of(name)[0].double() for name in ("orthogonal", "correlated"))
    gram = orthogonal.T @ orthogonal / len(orthogonal)
    assert torch.allclose(gram, torch.eye(100).double(), atol=1e-5)
    neighbours = torch.corrcoef(correlated.T).diagonal(offset=1)
    assert neighbours.mean() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(("drop_rate", "block_size"), [(0.5, 5), (0.2, 3), (0.4, 7), (0.3, 1)])
def test_the_rate_of_overlapping_blocks_is_the_one_that_their_masks_have(drop_rate: float, block_size: int) -> None:
    setting = overlapping_drop_rate(drop_rate, block_size, width=50)
    site = DropBlock(drop_rate=setting, block_size=block_size, scaling="expected", schedule="constant")
    training = prepared("structured-fig4", site)
    x = torch.ones(20_000, 50)
    kept = (training.network.site(x) != 0).double().mean()
    assert kept == pytest.approx(1 - drop_rate, abs=0.01)


def test_the_keep_rate_is_read_from_the_one_contestant_that_drops() -> None:
    dropout, decay = ("dropout", Dropout(drop_rate=0.25)), ("weight_decay", WeightDecay())
    assert keep_rate_of([decay, dropout]) == 0.75
    assert keep_rate_of([decay]) == keep_rate_of([]) == 1.0
    with pytest.raises(ValueError, match="closed form for one drop rate, got 2"):
        keep_rate_of([dropout, ("dropblock", DropBlock())])


@pytest.mark.parametrize("name", ["structured-fig1", "structured-fig3-mnist", "thesis-fig3-2"])
def test_masks_without_a_drop_rate_are_skipped_where_the_closed_form_needs_one(name: str) -> None:
    """With the reference at keep rate 1, their excess over it would be that of the noise."""
    task: Task = TASKS[name]
    skipped = {other: task.skip_reason(REGULARIZERS[other]()) or "" for other in REGULARIZERS.own}
    for masks in ("generalized_dropout", "concrete_dropout"):
        assert "has no field drop_rate" in skipped[masks]
    for known in ("none", "weight_decay", "l1", "sam", "dropblock_sample", "path_norm", "nuclear_norm"):
        assert skipped[known] == ""


def test_contestants_that_make_no_sense_are_skipped_with_a_reason() -> None:
    task: Task = TASKS["thesis-fig2-1"]
    assert "class targets" in str(task.skip_reason(LabelSmoothing()))
    assert task.skip_reason(Dropout()) is None
    assert task.skip_reason(DropConnect()) is not None  # tied weights are no layer that could drop its own


def test_every_suite_of_the_theory_plans_known_tasks_without_tuning() -> None:
    modules = (
        "tasks.experiments.structured.suites",
        "tasks.experiments.thesis.suites",
        "tasks.experiments.theory_suite",
    )
    names = [name for name in SUITES if SUITES.target(name).startswith(modules)]
    assert {name for name in names if name != "theory"} >= {
        "structured-fig1", "structured-fig2", "structured-fig4", "thesis-fig2-1", "thesis-fig2-2", "thesis-fig2-3",
        "thesis-fig3-2", "thesis-fig3-3",
    }  # fmt: skip
    everything = set(SUITES["theory"].cells())
    for name in names:
        suite = SUITES[name]
        assert suite.tune_trials == 0
        cells = suite.cells()
        assert set(cells) <= everything or any(TASKS[task].needs_data for task, _ in cells)
        assert all(TASKS[task].skip_reason(REGULARIZERS[regularizer]()) is None for task, regularizer in cells)
    assert not any(TASKS[task].needs_data for task, _ in everything)
