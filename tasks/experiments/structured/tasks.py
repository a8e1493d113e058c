"""Figures 1, 2 and 4 of Pal et al. 2020: two linear layers with DropBlock, DropConnect and dropout, synthetic data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn

from tasks.datasets.batches import Batches, Split
from tasks.linear.networks import LinearPair
from tasks.linear.readings import block_norms, kept_fraction, stochastic_objective, unevenness
from tasks.linear.synthetic import NUM_HIDDEN, NUM_INPUTS, NUM_OUTPUTS, NUM_SAMPLES, linear_samples
from tasks.linear.task import EXCESS, LinearProblem, LinearTask, Reading
from tasks.protocols import Protocol
from tasks.regularizers.base import Scalar
from tasks.theory.structured import (
    dropblock_global_minimum,
    dropblock_objective,
    dropconnect_objective,
    dropout_objective,
)

NEIGHBOUR_CORRELATION = 0.9  # of the `correlated` design: features i and j have 0.9^|i - j|

Design = Literal["gaussian", "orthogonal", "correlated"]
Law = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]  # (Y, X, U, V, keep) -> expected objective


@dataclass(frozen=True, kw_only=True)
class StructuredPair(LinearProblem):
    """min over U, V of ||Y - UV'X||_F^2 + Omega for Y = MX: 1000 samples, 100 inputs, 80 outputs, 50 hidden units.

    Entries of X, of the initial weights, and of both factors of M (rank 50) are N(0, 1), as in section 5.1. The block
    size is that of the closed-form minimum (1 for dropout). Metrics:

    * `objective`, `minimum`: F and F*; F* is a lower bound, which this width attains at every rate of the suites (for
      other spectra or fewer blocks it may not be attained; see `dropblock_factors`);
    * `stochastic_objective` and `sampling_error`: mean of the regularizer's own training objective over passes with
      new masks, and the standard error of that mean;
    * `<law>_objective` and `<law>_deviation`: the expected objective by the closed form `<law>`, and the stochastic
      objective divided by it, minus 1;
    * `kept_fraction`: measured fraction of hidden units that a mask keeps;
    * `unevenness`: standard deviation of ||U_i V_i'X||_F over the blocks divided by its mean: 0 for balanced weights;
    * `spectrum_distance`: relative distance of the singular values of UV'X to those of the minimiser.

    The design of X decides whether DropConnect equals dropout: its objective depends on the diagonal of XX' where that
    of dropout depends on all of XX'. Rows of X are `gaussian` (nearly orthogonal), `orthogonal`, or `correlated`.
    """

    laws: Mapping[str, Law]
    block_size: int
    design: Design = "gaussian"
    fixed_keep: float | None = None  # keep rate of the closed form, for comparisons of regularizers with other rates
    dataset: str = "synthetic_linear"
    architecture: str = "linear_pair"

    def __hash__(self) -> int:
        return id(self)  # problems are module constants

    def reference_keep(self, keep: float) -> float:
        """`fixed_keep`, if given."""
        return keep if self.fixed_keep is None else self.fixed_keep

    def defining_tensors(self) -> tuple[Tensor, ...]:
        """Inputs (samples x inputs) and targets (samples x outputs)."""
        return samples_of(self.design)

    def network(self, generator: torch.Generator) -> nn.Module:
        """Weights N(0, 1)."""
        return LinearPair(NUM_INPUTS, NUM_HIDDEN, NUM_OUTPUTS, generator)

    def batches(self, protocol: Protocol, seed: int, device: torch.device) -> Batches:
        """The samples, in random order by the seed."""
        inputs, targets = (tensor.to(device) for tensor in samples_of(self.design))
        return Batches(Split(inputs=inputs, targets=targets), protocol.batch_size, seed)

    def reading(self, keep: float, device: torch.device) -> Reading:
        """F and F*, the stochastic objective and its closed forms, balance and spectrum."""
        inputs, targets = (tensor.to(device) for tensor in samples_of(self.design))
        X, Y = inputs.double().T, targets.double().T
        beta = self.block_size / NUM_HIDDEN * (1 - keep) / keep
        best, minimum = dropblock_global_minimum(_spectrum(self.design).to(device), beta, self.block_size)
        zero = Y.square().sum()

        def read(network: nn.Module) -> dict[str, float]:
            assert isinstance(network, LinearPair)
            U, V = network.factors()
            objective = dropblock_objective(Y, X, U, V, keep, self.block_size)
            sampled = stochastic_objective(network, inputs, targets)
            laws = {name: float(law(Y, X, U, V, keep)) for name, law in self.laws.items()}
            return {
                EXCESS: float((objective - minimum) / zero),
                "objective": float(objective),
                "minimum": float(minimum),
                "stochastic_objective": sampled.mean,
                "sampling_error": sampled.error,
                **{f"{name}_objective": value for name, value in laws.items()},
                **{f"{name}_deviation": sampled.mean / value - 1 for name, value in laws.items()},
                "kept_fraction": kept_fraction(network, NUM_SAMPLES),
                "unevenness": unevenness(block_norms(U, V.T @ X, self.block_size)),
                "spectrum_distance": float((torch.linalg.svdvals(U @ (V.T @ X)) - best).norm() / best.norm()),
            }

        return read


@lru_cache(maxsize=3)
def samples_of(design: Design) -> tuple[Tensor, Tensor]:
    """Inputs (samples x inputs) of a design and targets (samples x outputs); the same for every seed."""
    return linear_samples({"gaussian": _as_drawn, "orthogonal": _orthogonal, "correlated": _correlated}[design])


def _as_drawn(inputs: Tensor) -> Tensor:
    return inputs


def _orthogonal(inputs: Tensor) -> Tensor:
    """Features whose columns over the samples are exactly orthogonal, with mean square 1."""
    scaled: Tensor = torch.linalg.qr(inputs.double()).Q * NUM_SAMPLES**0.5
    return scaled.float()


def _correlated(inputs: Tensor) -> Tensor:
    """Features correlated with their neighbours."""
    place = torch.arange(NUM_INPUTS)
    correlations = NEIGHBOUR_CORRELATION ** (place[:, None] - place).abs().double()
    mixed: Tensor = inputs.double() @ torch.linalg.cholesky(correlations).T
    return mixed.float()


@lru_cache(maxsize=3)
def _spectrum(design: Design) -> Tensor:
    spectrum: Tensor = torch.linalg.svdvals(samples_of(design)[1].double())
    return spectrum


def _dropblock_law(Y: Tensor, X: Tensor, U: Tensor, V: Tensor, keep: float) -> Tensor:
    return dropblock_objective(Y, X, U, V, keep, BLOCK_SIZE)


BLOCK_SIZE = 5  # not given by the paper

PROTOCOL = Protocol(
    source="Pal et al. 2020, section 5.1 (one sample per step, 1e5 steps; the learning rate is not given)",
    epochs=100,
    batch_size=1,
    learning_rate=2e-5,  # with one sample per step, 4e-5 diverges at a drop rate of 0.9
    momentum=0.0,
    nesterov=False,
    milestones=(0.5, 0.75, 0.9),
    decay=0.5,  # with a faster decay, small singular values do not converge at a drop rate of 0.9
    evaluate_every_epochs=5,
    scales={
        "short": {"epochs": 150, "batch_size": 20, "learning_rate": 1e-4, "decay": 0.2, "evaluate_every_epochs": 10},
        "smoke": {"epochs": 20, "batch_size": 50, "learning_rate": 1e-4, "decay": 0.2, "evaluate_every_epochs": 4},
    },
)
_PINNED: Mapping[str, Scalar] = {"block_size": BLOCK_SIZE, "scaling": "expected", "schedule": "constant"}
_CONNECT_LAWS = {"dropout": dropout_objective, "dropconnect": dropconnect_objective}

STRUCTURED_FIG1 = LinearTask(
    problem=StructuredPair(laws={"dropblock": _dropblock_law}, block_size=BLOCK_SIZE), protocol=PROTOCOL, pins=_PINNED
)
"""Linear network 100-50-80 with DropBlock: stochastic and deterministic objective, and their closed-form minimum."""

STRUCTURED_FIG2 = LinearTask(problem=StructuredPair(laws=_CONNECT_LAWS, block_size=1), protocol=PROTOCOL)
"""Linear network 100-50-80 with DropConnect and dropout, on Gaussian inputs as in the paper."""

STRUCTURED_FIG2_ORTHOGONAL = LinearTask(
    problem=StructuredPair(laws=_CONNECT_LAWS, block_size=1, design="orthogonal"), protocol=PROTOCOL
)
"""Linear network 100-50-80 with DropConnect and dropout, on orthogonal features, where both objectives are equal."""

STRUCTURED_FIG2_CORRELATED = LinearTask(
    problem=StructuredPair(laws=_CONNECT_LAWS, block_size=1, design="correlated"), protocol=PROTOCOL
)
"""Linear network 100-50-80 with DropConnect and dropout, on correlated features, where the objectives differ."""

STRUCTURED_FIG4 = LinearTask(
    problem=StructuredPair(laws={"dropblock": _dropblock_law}, block_size=BLOCK_SIZE, fixed_keep=0.5),
    protocol=PROTOCOL,
    pins=_PINNED,
)
"""Linear network 100-50-80 with DropBlock, overlapping and not, against the minimum at keep rate 0.5."""
