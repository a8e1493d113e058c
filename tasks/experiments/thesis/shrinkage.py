"""Figures 2-1 to 2-3 of Mianjy's thesis: shallow linear networks with dropout and new samples at every step."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from tasks.datasets.batches import Batches
from tasks.linear.fresh_batches import FreshBatches
from tasks.linear.networks import LinearPair, TiedAutoencoder
from tasks.linear.readings import stochastic_objective, unevenness
from tasks.linear.task import EXCESS, LinearProblem, LinearTask, Reading
from tasks.protocols import Protocol
from tasks.runtime.streams import torch_stream
from tasks.theory.linear import factorize, path_norm_squared

NUM_LANDSCAPE_MASKS = 4000  # masks over which the objective at one point of a landscape is averaged


@dataclass(frozen=True, kw_only=True)
class ScalarAutoencoder(LinearProblem):
    """min over u in R^r of (m - ||u||^2)^2 + lambda sum_i u_i^4: one input, tied weights, r hidden units.

    This is the objective of dropout for x ~ N(0, 1), lambda = (1 - keep) / keep. The minima have
    ||u||^2 = r m / (r + lambda) and entries of equal magnitude. Metrics: `objective`, `minimum`, `squared_norm` and
    `optimal_squared_norm`, `unevenness` (of the u_i^2), `weight_1`.. (the trajectory); and, before training,
    `landscape/u_1/u_2`: the regularizer's own training objective, measured with its masks at the points of a grid.
    Entries of the initial u are N(0, 1).
    """

    scalar: float = 2.0
    num_hidden: int = 2
    landscape_axis: tuple[float, ...] = tuple(round(-1.95 + place * 0.13, 2) for place in range(31))
    dataset: str = "scalar_gaussian"
    architecture: str = "tied_autoencoder"

    def defining_tensors(self) -> tuple[Tensor, ...]:
        """The scalar."""
        return (torch.tensor([[self.scalar]]),)

    def network(self, generator: torch.Generator) -> nn.Module:
        """Weights N(0, 1)."""
        return TiedAutoencoder(1, self.num_hidden, 1.0, generator)

    def batches(self, protocol: Protocol, seed: int, device: torch.device) -> Batches:
        """New samples at every step."""
        return fresh(torch.tensor([[self.scalar]], device=device), protocol, seed)

    def reading(self, keep: float, device: torch.device) -> Reading:
        """The objective at the current weights; at the first call also its landscape."""
        lam = (1 - keep) / keep
        target = torch.tensor([[self.scalar]], dtype=torch.float64, device=device)
        best, _ = factorize(target, self.num_hidden, lam)
        minimum = _objective(target, best, best, lam)
        landscapes = iter([self._landscape])  # empty after the first call

        def read(network: nn.Module) -> dict[str, float]:
            assert isinstance(network, TiedAutoencoder)
            U = network.factor()
            objective = _objective(target, U, U, lam)
            return {
                EXCESS: float((objective - minimum) / target.square().sum()),
                "objective": float(objective),
                "minimum": float(minimum),
                "squared_norm": float(U.square().sum()),
                "optimal_squared_norm": float(best.square().sum()),
                "unevenness": unevenness(U.square().sum(0)),
                **{f"weight_{place}": float(value) for place, value in enumerate(U[0], start=1)},
                **{name: value for landscape in landscapes for name, value in landscape(network).items()},
            }

        return read

    @torch.no_grad()
    def _landscape(self, network: TiedAutoencoder) -> dict[str, float]:
        """The stochastic objective over the first two weights, for inputs of mean square 1."""
        at = TiedAutoencoder(1, self.num_hidden, 0.0, torch_stream(0, "weights"))
        at.site, inputs = network.site, network.weight.new_ones(NUM_LANDSCAPE_MASKS, 1)
        values = {}
        for point in itertools.product(self.landscape_axis, repeat=2):
            at.weight.data[0, :2] = torch.tensor(point)
            sampled = stochastic_objective(at, inputs, self.scalar * inputs, num_passes=1)
            values[f"landscape/{point[0]:g}/{point[1]:g}"] = sampled.mean / NUM_LANDSCAPE_MASKS
        return values


@dataclass(frozen=True, kw_only=True)
class Factorization(LinearProblem):
    """min over U, V of ||M - UV'||_F^2 + lambda sum_i ||u_i||^2 ||v_i||^2: the objective of dropout for x ~ N(0, I).

    M (120 x 80) has uniformly distributed singular vectors and an exponentially decaying spectrum,
    s_i = exp(-(i - 1) / 10) (the thesis does not give the rate). It is the same for all seeds, which draw initial
    weights (their distribution is not given in the thesis), samples and masks. Metrics: `objective`, `minimum` (Theorem
    6), `importance_variance` (variance of ||u_i|| ||v_i||, figure 2-3, right), `unevenness` (their standard deviation
    divided by the mean), `spectrum_distance`.
    """

    num_hidden: int
    num_inputs: int = 80
    num_outputs: int = 120
    decay: float = 10.0
    dataset: str = "decaying_spectrum"
    architecture: str = "linear_pair"

    def defining_tensors(self) -> tuple[Tensor, ...]:
        """M."""
        return (_decaying_map(self.num_outputs, self.num_inputs, self.decay),)

    def network(self, generator: torch.Generator) -> nn.Module:
        """A network with Glorot's normal initialisation, N(0, 2 / (fan in + fan out)), larger than the optimum."""
        network = LinearPair(self.num_inputs, self.num_hidden, self.num_outputs, generator)
        with torch.no_grad():
            for layer in (network.first, network.second):
                layer.weight.mul_((2 / sum(layer.weight.shape)) ** 0.5)
        return network

    def batches(self, protocol: Protocol, seed: int, device: torch.device) -> Batches:
        """New samples at every step."""
        return fresh(self.defining_tensors()[0].to(device), protocol, seed)

    def reading(self, keep: float, device: torch.device) -> Reading:
        """The objective at the current weights, and the evenness of the hidden units."""
        lam = (1 - keep) / keep
        target = self.defining_tensors()[0].double().to(device)
        best_U, best_V = factorize(target, self.num_hidden, lam)
        minimum = _objective(target, best_U, best_V, lam)
        spectrum = torch.linalg.svdvals(best_U @ best_V.T)

        def read(network: nn.Module) -> dict[str, float]:
            assert isinstance(network, LinearPair)
            U, V = network.factors()
            objective = _objective(target, U, V, lam)
            scores = U.norm(dim=0) * V.norm(dim=0)
            return {
                EXCESS: float((objective - minimum) / target.square().sum()),
                "objective": float(objective),
                "minimum": float(minimum),
                "importance_variance": float(scores.var(correction=0)),
                "unevenness": unevenness(scores),
                "spectrum_distance": float((torch.linalg.svdvals(U @ V.T) - spectrum).norm() / spectrum.norm()),
            }

        return read


def fresh(linear_map: Tensor, protocol: Protocol, seed: int) -> FreshBatches:
    """Batches of new samples by a protocol, whose `max_train_samples` is the number of samples of an epoch."""
    assert protocol.max_train_samples is not None
    return FreshBatches(linear_map, protocol.batch_size, protocol.max_train_samples // protocol.batch_size, seed)


def _objective(target: Tensor, U: Tensor, V: Tensor, lam: float) -> Tensor:
    return (target - U @ V.T).square().sum() + lam * path_norm_squared(U, V)


@lru_cache
def _decaying_map(num_outputs: int, num_inputs: int, decay: float) -> Tensor:
    generator = torch_stream(0, "data/decaying_spectrum")
    left, right = (
        torch.linalg.qr(torch.randn(size, num_inputs, generator=generator, dtype=torch.float64)).Q
        for size in (num_outputs, num_inputs)
    )
    values = torch.exp(-torch.arange(num_inputs, dtype=torch.float64) / decay)
    drawn: Tensor = (left * values) @ right.T
    return drawn.float()


SCALAR_PROTOCOL = Protocol(
    source="Mianjy's thesis, section 2.6 (Algorithm 1, one fresh sample a step; steps and learning rate are not given)",
    epochs=100,
    batch_size=1,
    learning_rate=0.005,  # at 0.02 one start in thirty diverges for lambda = 2, and none ends nearer
    momentum=0.0,
    nesterov=False,
    milestones=(0.4, 0.75),
    decay=0.1,
    max_train_samples=50,
    scales={
        "short": {"epochs": 50, "learning_rate": 0.02, "max_train_samples": 20},
        "smoke": {"epochs": 20, "learning_rate": 0.02, "max_train_samples": 20},
    },
)

FACTORIZATION_PROTOCOL = Protocol(
    source="Mianjy's thesis, section 2.6 (Algorithm 1, one fresh sample a step; steps and learning rate are not given)",
    epochs=40,
    batch_size=1,
    learning_rate=0.003,
    momentum=0.0,
    nesterov=False,
    milestones=(0.6, 0.85),
    decay=0.3,
    max_train_samples=500,
    scales={
        "short": {"epochs": 20, "batch_size": 10, "learning_rate": 0.01, "max_train_samples": 1000},
        "smoke": {"epochs": 10, "batch_size": 10, "learning_rate": 0.01, "max_train_samples": 300},
    },
)

THESIS_FIG2_1 = LinearTask(problem=ScalarAutoencoder(), protocol=SCALAR_PROTOCOL)
"""Tied autoencoder with one input and two hidden units: the landscape of dropout's objective, and its minima."""

THESIS_FIG2_2 = LinearTask(problem=ScalarAutoencoder(), protocol=SCALAR_PROTOCOL)
"""Tied autoencoder with one input and two hidden units: trajectories of dropout from two starts to its optima."""

THESIS_FIG2_3_WIDTH_20 = LinearTask(problem=Factorization(num_hidden=20), protocol=FACTORIZATION_PROTOCOL)
"""Linear network 80-20-120 with dropout: its objective against Theorem 6, and the equalization of its units."""

THESIS_FIG2_3_WIDTH_80 = LinearTask(problem=Factorization(num_hidden=80), protocol=FACTORIZATION_PROTOCOL)
"""Linear network 80-80-120 with dropout: its objective against Theorem 6, and the equalization of its units."""
