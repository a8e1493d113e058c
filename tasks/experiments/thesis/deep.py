"""Figures 3-2 and 3-3 of Mianjy's thesis: deep linear networks with dropout, on new Gaussian samples at every step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from tasks.datasets.batches import Batches
from tasks.experiments.thesis.shrinkage import fresh
from tasks.linear.networks import DeepLinear
from tasks.linear.task import EXCESS, LinearProblem, LinearTask, Reading
from tasks.protocols import Protocol
from tasks.runtime.streams import torch_stream
from tasks.theory.deep_linear import (
    effective_regularization,
    envelope_optimum,
    equalization_gap,
    explicit_regularizer,
)

INITIAL_GAIN = 0.7  # at 1 some seeds start so far from the optimum that the learning rate of the others diverges


@dataclass(frozen=True, kw_only=True)
class DeepFactorization(LinearProblem):
    """min over W_1..W_{k+1} of ||N - W_{k+1}..W_1||_F^2 + R: what dropout on all hidden layers minimises for C = I.

    N = AB' + noise, with A and B of `rank` columns N(0, 1) and noise N(0, `noise`^2), divided by its spectral norm,
    which scales targets and optimum equally; it is the same for all seeds. Metrics:

    * `objective`, `minimum`: F, and the lower bound by the convex envelope of R (Lemma 9). With one output, or if the
      condition of Theorem 10 holds, the bound is the minimum; otherwise F is larger;
    * `singular_value/i`, `bound_singular_value/i`, `target_singular_value/i`: of the map, of the minimiser of the
      envelope, and of N;
    * `equalization_gap`, `equalization_gap/l`: r and r_l of figure 3-3, 0 for an equalised network; absent without
      dropout.
    """

    widths: tuple[int, ...]
    rank: int
    noise: float
    dataset: str = "low_rank_gaussian"
    architecture: str = "deep_linear"

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        """d_1..d_k."""
        return self.widths[1:-1]

    def defining_tensors(self) -> tuple[Tensor, ...]:
        """N."""
        return (_noisy_map(self.widths[-1], self.widths[0], self.rank, self.noise),)

    def step_factor(self, keep: float) -> float:
        """keep^2: with keep^k for k layers, training at high drop rates would be too slow; with keep it diverges."""
        return keep**2

    def network(self, generator: torch.Generator) -> nn.Module:
        """A network whose layers nearly keep the mean square of their inputs."""
        return DeepLinear(self.widths, INITIAL_GAIN, generator)

    def batches(self, protocol: Protocol, seed: int, device: torch.device) -> Batches:
        """New samples at every step."""
        return fresh(self.defining_tensors()[0].to(device), protocol, seed)

    def reading(self, keep: float, device: torch.device) -> Reading:
        """Objective, spectrum and gaps."""
        target = self.defining_tensors()[0].double().to(device)
        moment = torch.eye(self.widths[0], dtype=torch.float64, device=device)
        best = envelope_optimum(target, moment, self.hidden_widths, keep)
        bound = torch.linalg.svdvals(best)
        strength = effective_regularization(self.hidden_widths, keep)
        minimum = (target - best).square().sum() + strength * bound.sum().square()
        constants = _numbered("bound_singular_value", bound)
        constants |= _numbered("target_singular_value", torch.linalg.svdvals(target))

        def read(network: nn.Module) -> dict[str, float]:
            assert isinstance(network, DeepLinear)
            weights = network.weights()
            product = torch.linalg.multi_dot(weights[::-1])
            regularizer = explicit_regularizer(weights, moment, keep).sum()
            objective = (target - product).square().sum() + regularizer
            return {
                EXCESS: float((objective - minimum) / target.square().sum()),
                "objective": float(objective),
                "minimum": float(minimum),
                **_numbered("singular_value", torch.linalg.svdvals(product)),
                **constants,
                **_gaps(weights, moment, keep),
            }

        return read


def _gaps(weights: list[Tensor], moment: Tensor, keep: float) -> dict[str, float]:
    """The equalization gaps; none without dropout, where regularizer and bound are both 0."""
    if keep == 1:
        return {}
    gap = equalization_gap(weights, moment, keep)
    return {"equalization_gap": float(gap.total), **_numbered("equalization_gap", gap.per_order)}


def _numbered(name: str, values: Tensor) -> dict[str, float]:
    return {f"{name}/{place}": float(value) for place, value in enumerate(values, start=1)}


@lru_cache
def _noisy_map(num_outputs: int, num_inputs: int, rank: int, noise: float) -> Tensor:
    generator = torch_stream(0, "data/low_rank_gaussian")
    left, right = (torch.randn(size, rank, generator=generator) for size in (num_outputs, num_inputs))
    drawn = left @ right.T + noise * torch.randn(num_outputs, num_inputs, generator=generator)
    scaled: Tensor = drawn / torch.linalg.matrix_norm(drawn, 2)
    return scaled


SPECTRUM_PROTOCOL = Protocol(
    source="Mianjy's thesis, section 3.4 (batches of 1000 fresh samples, learning rate tuned over 1, 0.1, 0.01; steps "
    "and initial weights are not given)",
    epochs=20,
    batch_size=1000,
    learning_rate=0.1,
    momentum=0.0,
    nesterov=False,
    milestones=(0.6, 0.85),
    decay=0.3,
    evaluate_every_epochs=2,
    max_train_samples=100_000,
    scales={
        "short": {"epochs": 20, "batch_size": 200, "max_train_samples": 10_000, "evaluate_every_epochs": 2},
        "smoke": {"epochs": 10, "batch_size": 100, "max_train_samples": 2_000, "evaluate_every_epochs": 2},
    },
)

GAP_PROTOCOL = Protocol(
    source="Mianjy's thesis, section 3.4.2 (batches of 1000 fresh samples; steps and initial weights are not given)",
    epochs=80,
    batch_size=1000,
    learning_rate=0.2,
    momentum=0.0,
    nesterov=False,
    milestones=(0.6, 0.85),
    decay=0.3,
    evaluate_every_epochs=2,
    max_train_samples=50_000,
    scales={
        "short": {"epochs": 40, "batch_size": 200, "max_train_samples": 10_000, "evaluate_every_epochs": 2},
        "smoke": {"epochs": 20, "batch_size": 100, "max_train_samples": 2_000, "evaluate_every_epochs": 2},
    },
)

THESIS_FIG3_2 = LinearTask(
    problem=DeepFactorization(widths=(20, 20, 20, 20, 20, 20), rank=15, noise=0.1),
    protocol=SPECTRUM_PROTOCOL,
    most_seeds_together=5,  # so that batches of 1000 samples for all of them stay in the processor's cache
)
"""Deep linear net 20-20-20-20-20-20 with dropout: the shrinkage of the singular values of its map."""

THESIS_FIG3_3 = LinearTask(
    problem=DeepFactorization(widths=(5, 5, 5, 5, 5, 5, 1), rank=1, noise=0.0), protocol=GAP_PROTOCOL
)
"""Deep linear net of five hidden layers of width 5 and one output: its equalization by dropout."""
