"""Measurements of a factor model: errors on ratings, and the closed forms of dropout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from tasks.completion.factor_model import FactorModel
from tasks.datasets.batches import Split
from tasks.linear.readings import stochastic_objective
from tasks.runtime.state import State
from tasks.theory.matrix_completion import (
    completion_loss,
    completion_regularizer,
    dropout_strength,
    population_regularizer,
    weighted_trace_norm_of_factors,
)

BATCH_SIZE = 4_096  # of predictions: larger ones exceed the processor's cache
NUM_SAMPLED, NUM_PASSES = 5_000, 64  # training ratings and masks for the stochastic objective


class Readings:
    """Errors on the splits that a training may see, and the lowest error of all evaluations so far."""

    def __init__(self, seen: Mapping[str, Split]) -> None:
        self.seen = seen
        self._lowest: dict[str, float] = {}

    def __call__(self, network: nn.Module) -> dict[str, dict[str, float]]:
        """The current errors of the network."""
        measured = {}
        for name, split in self.seen.items():
            error = rmse(network, split)
            self._lowest[name] = min(error, self._lowest.get(name, error))
            measured[name] = {"rmse": error, "oracle_rmse": self._lowest[name]}
        return measured

    def state(self) -> State:
        """The lowest errors so far."""
        return dict(self._lowest)

    def restore(self, state: State) -> None:
        """Set the lowest errors."""
        self._lowest = dict(state)


@torch.no_grad()
def rmse(network: nn.Module, split: Split) -> float:
    """Root mean squared error of the network, in its current mode, over a whole split."""
    total = torch.zeros((), dtype=torch.float64, device=split.targets.device)
    for batch in split.in_order(BATCH_SIZE):
        total += (network(batch.inputs) - batch.targets).square().sum(dtype=torch.float64)
    return float((total / len(split)).sqrt())


def at_end(
    network: nn.Module, train: Split, readings: Readings, drop_rates: Sequence[float]
) -> dict[str, dict[str, float]]:
    """The error on training ratings, and the closed forms of dropout for the trained weights.

    Args:
        network: a factor model that has observed its training entries.
        train: training ratings.
        readings: those of the training, which hold the test ratings if these may be seen.
        drop_rates: of the regularizers that have one. The closed form is left out if there are several, or if the one
            rate is not that of the masks: of a penalty without masks, or beside masks that have no rate.
    """
    assert isinstance(network, FactorModel)
    U, V = (factor.detach().double() for factor in network.factors())
    rows, columns = train.inputs.T.contiguous()
    frequencies = network.frequencies()
    norm = weighted_trace_norm_of_factors(U, V, *frequencies)
    found = {
        "completion_regularizer": float(completion_regularizer(U, V, rows, columns)),
        "population_regularizer": float(population_regularizer(U, V, *frequencies)),
        "induced_regularizer": float(norm.square() / U.shape[1]),
        "weighted_trace_norm": float(norm),
    }
    if (drop_rate := _rate_of_masks(network, drop_rates)) is not None:
        found |= _objective_check(network, train.first(NUM_SAMPLED), (U, V), drop_rate)
    if (test := readings.seen.get("test")) is not None:
        found["unseen_fraction"] = _unseen_fraction(network, test)
    last = "test" if "test" in readings.seen else "validation"
    return {last: found, "train": {"rmse": rmse(network, train)}}


def _rate_of_masks(network: FactorModel, drop_rates: Sequence[float]) -> float | None:
    """The drop rate of the masks at the site, 0 without masks; None if it is unknown."""
    if not network.site.fillings:
        return None if any(drop_rates) else 0.0
    return drop_rates[0] if len(drop_rates) == 1 else None


def _objective_check(
    network: FactorModel, sampled: Split, factors: tuple[Tensor, Tensor], drop_rate: float
) -> dict[str, float]:
    """The stochastic objective, with masks of the regularizer's modules, and its deviation from the closed form."""
    rows, columns = sampled.inputs.T.contiguous()
    loss = completion_loss(*factors, rows, columns, sampled.targets.squeeze(1).double())
    objective = float(loss + dropout_strength(drop_rate) * completion_regularizer(*factors, rows, columns))
    measured = stochastic_objective(network, sampled.inputs, sampled.targets, NUM_PASSES)
    return {
        "dropout_objective": objective,
        "dropout_deviation": measured.mean / len(sampled) / objective - 1,
        "sampling_error": measured.error / len(sampled),
    }


def _unseen_fraction(network: FactorModel, test: Split) -> float:
    rows, columns = test.inputs.unbind(1)
    unseen = (network.row_probabilities[rows] == 0) | (network.column_probabilities[columns] == 0)
    return float(unseen.double().mean())
