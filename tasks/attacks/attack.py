"""One loop for FGSM, BIM, PGD, and their forms with the reflected loss: start, step, project, keep.

Source: Mianjy, PhD thesis (Johns Hopkins University), Algorithm 5 and section 6.5.2.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from numbers import Real
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from tasks.attacks.isolation import kept_buffers, own_stream, trains
from tasks.attacks.loss import LOSSES, LossName, hard_margins
from tasks.attacks.sets import BALLS, STARTS, NormName, Projection, projection
from tasks.attacks.steps import STEPS, StepName
from tasks.regularizers.parts.checks import check_at_least, check_choice, check_count, check_factor

Weights = Callable[[Tensor], Tensor]  # scores (B, K) -> the derivative of the objective by the scores, (B, K)


@dataclass(frozen=True, kw_only=True)
class AttackSettings:
    """The set of perturbations, the steps, the loss that is maximised, and the point that is returned.

    Example:
        >>> AttackSettings(radius=0.1, step_size=-1.0)
        Traceback (most recent call last):
        ValueError: AttackSettings.step_size must be finite and >= 0, got -1.0.
    """

    radius: float  # nu >= 0, in the units of the inputs; 0 returns the inputs and draws nothing
    norm: NormName = "linf"
    step_size: float  # eta >= 0, the factor on the output of `step`
    num_steps: int = 1  # >= 1. The thesis counts the start as well: its T_atk is num_steps + 1
    step: StepName = "sign"
    step_decay: float = 1.0  # in (0, 1]: the factor of the step size after every `decay_every` steps
    decay_every: int = 10
    loss: LossName = "cross_entropy"
    # Raw steps only: the gradient of the sum of the samples' losses, or of their mean, whose size depends on the batch
    # size. Table 6-I needs the first for PGD-inf and the second for PGD-2.
    gradient: Literal["per_sample", "batch_mean"] = "per_sample"
    box: tuple[float, float] | None = None  # range of valid inputs; points are clipped to it before the ball
    random_start: bool = False  # uniform in the ball
    num_restarts: int = 1  # > 1 needs random starts; the result with the smallest margin is returned
    keep: Literal["best", "last"] = "best"  # the point of the smallest margin, the start included, or the last point
    # "moved": the attack's batches update the running statistics of batch normalisation, as in the reference code for
    # table 6-II, which attacks in training mode. "kept": they are restored, so that only training data count.
    batch_statistics: Literal["kept", "moved"] = "kept"

    def __post_init__(self) -> None:
        check_at_least(self, "radius", 0)
        check_at_least(self, "step_size", 0)
        check_factor(self, "step_decay")
        for field in ("num_steps", "decay_every", "num_restarts"):
            check_count(self, field, 1)
        check_choice(self, "norm", BALLS)
        check_choice(self, "step", STEPS)
        check_choice(self, "loss", LOSSES)
        check_choice(self, "gradient", ("per_sample", "batch_mean"))
        check_choice(self, "keep", ("best", "last"))
        check_choice(self, "batch_statistics", ("kept", "moved"))
        if self.num_restarts > 1 and not self.random_start:
            raise ValueError(
                "AttackSettings.num_restarts above 1 needs random_start=True (otherwise all restarts are the same), "
                f"got {self.num_restarts}."
            )
        if self.box is not None:
            _check_box(self.box)


class InputGradients(Protocol):
    """A network's scores and input gradients; implemented by `Autograd`, `two_layer.TwoLayer` and others."""

    def scores(self, points: Tensor) -> Tensor:
        """Scores (B, K) of points (B, ...)."""

    def scores_and_gradients(self, points: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        """Scores (B, K), and the gradient of sum_bk w_bk f_bk(x) by the points, with w = weights(scores) constant."""


@dataclass(frozen=True)
class Autograd:
    """Input gradients of any network by autograd; no gradients of parameters are computed.

    Example:
        >>> network = nn.Linear(2, 1, bias=False)
        >>> _ = network.weight.data.copy_(torch.tensor([[3.0, 4.0]]))
        >>> scores, gradients = Autograd(network).scores_and_gradients(torch.ones(1, 2), torch.ones_like)
        >>> scores, gradients, network.weight.grad
        (tensor([[7.]]), tensor([[3., 4.]]), None)
    """

    network: nn.Module

    def scores(self, points: Tensor) -> Tensor:
        """Scores (B, K)."""
        with torch.no_grad():
            scores: Tensor = self.network(points)
        return scores

    def scores_and_gradients(self, points: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        """See `InputGradients`."""
        points = points.detach().requires_grad_()
        with torch.enable_grad():
            scores: Tensor = self.network(points)
        fixed = scores.detach()
        (gradients,) = torch.autograd.grad(scores, points, grad_outputs=weights(fixed).to(scores.dtype))
        return fixed, gradients


def attack(
    network: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    settings: AttackSettings,
    *,
    generator: torch.Generator | None = None,
    gradients: InputGradients | None = None,
) -> Tensor:
    """Perturb inputs so that the network's loss on them increases.

    Formula:
        x_1 = x or uniform in Delta(x);  x_{t+1} = Pi(x_t + eta_t s(grad_x L(x_t))),  t = 1..num_steps;
        Pi clips to the box and then projects onto the ball of radius nu around x; s is the step; L is the loss, summed
        or averaged over the batch; eta_t = step_size step_decay^floor((t - 1) / decay_every).
        The result is the point of the smallest margin z among x_1..x_{num_steps + 1}, or the last one.

    Args:
        network: maps inputs to scores (B, K), or to one output (B, 1). It is not changed: no gradient is accumulated,
            the mode stays, batch statistics are restored (see `AttackSettings.batch_statistics`), and layers that use
            torch's global generator draw from `generator`. The streams of regularizers in the network do advance;
            the caller can separate them (`tasks.runtime.streams.Streams.aside`).
        inputs: x, shape (B, ...), floating point.
        targets: the true labels, integers, shape (B,), in 0..K-1; for one output 0 and 1, which stand for y = -1 and
            +1.
        settings: the attack.
        generator: of the device of the inputs; needed for random starts.
        gradients: a faster implementation of this network's gradients, such as `two_layer.TwoLayer`.

    Returns:
        A tensor of the shape of the inputs, without gradient.

    Source:
        Algorithm 5. Corrected: it computes the iterates 2..T+1 but returns one of 1..T, so that its last step has no
        effect; here the last iterate is included. "Best by the loss" is "smallest z" for both losses, since both
        decrease in z. Steps that use only the direction of the gradient leave out the factor l'(z) in evaluation mode,
        where samples do not influence each other: so it cannot underflow, and for two classes the iterates of the plain
        and the reflected loss are equal bit for bit.

    Raises:
        ValueError: if inputs are not floating point, targets are not integers or do not fit, random starts have no
            generator, or it is on another device.

    Example:
        >>> network = nn.Linear(2, 1, bias=False)
        >>> _ = network.weight.data.copy_(torch.tensor([[3.0, -4.0]]))
        >>> attack(network, torch.ones(1, 2), torch.tensor([1]), AttackSettings(radius=0.5, step_size=0.5))
        tensor([[0.5000, 1.5000]])
    """
    _check_batch(inputs, targets, settings, generator)
    if settings.radius == 0:
        return inputs.detach()
    gradients = Autograd(network) if gradients is None else gradients
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        if generator is not None or trains(network):
            stack.enter_context(own_stream(inputs.device, generator))
        if settings.batch_statistics == "kept":
            stack.enter_context(kept_buffers(network))
        inputs = inputs.clone() if inputs.is_inference() else inputs.detach()  # autograd rejects inference tensors
        project = projection(settings.norm, inputs, settings.radius, settings.box)
        search = _Search(inputs, targets, settings, gradients, project, coupled=trains(network))
        result = search.ascend()
        for _ in range(settings.num_restarts - 1):
            result = _smaller(result, search.ascend())
    return result.points


@dataclass(frozen=True)
class _Result:
    points: Tensor
    margins: Tensor


@dataclass(frozen=True)
class _Search:
    """One attack on one batch."""

    inputs: Tensor
    labels: Tensor
    settings: AttackSettings
    gradients: InputGradients
    project: Projection
    coupled: bool  # whether samples may influence each other, as with batch normalisation in training mode

    def ascend(self) -> _Result:
        """Run the steps from one start; returns the best or the last point."""
        settings, step = self.settings, STEPS[self.settings.step]
        points, best = self._start(), None
        for t in range(settings.num_steps):
            scores, gradients = self.gradients.scores_and_gradients(points, self._weights)
            if settings.keep == "best":
                best = _smaller(best, self._result(points, scores))
            step_size = settings.step_size * settings.step_decay ** (t // settings.decay_every)
            points = self.project(torch.add(points, step(gradients), alpha=step_size))
        if settings.keep == "last" and settings.num_restarts == 1:
            return _Result(points, points.new_empty(0))  # its margins are not used
        return _smaller(best, self._result(points, self.gradients.scores(points)))

    def _start(self) -> Tensor:
        if not self.settings.random_start:
            return self.inputs
        return self.project(STARTS[self.settings.norm](self.inputs, self.settings.radius, None))

    def _weights(self, scores: Tensor) -> Tensor:
        loss = LOSSES[self.settings.loss]
        margins, weights = loss.margins_of(_wide(scores), self.labels)
        if self.coupled or self.settings.step == "raw":
            weights = weights * loss.slope(margins).unsqueeze(-1)
        else:
            weights = -weights
        return weights / len(scores) if self.settings.gradient == "batch_mean" else weights

    def _result(self, points: Tensor, scores: Tensor) -> _Result:
        return _Result(points, hard_margins(_wide(scores), self.labels))


def _smaller(first: _Result | None, second: _Result) -> _Result:
    """For each sample the point with the smaller margin; the first one if they are equal."""
    if first is None:
        return second
    better = second.margins < first.margins
    chosen = better.view(-1, *[1] * (first.points.dim() - 1))
    return _Result(torch.where(chosen, second.points, first.points), torch.where(better, second.margins, first.margins))


def _wide(scores: Tensor) -> Tensor:
    """Scores in at least single precision, since margins of half-precision scores are too inaccurate."""
    return scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores


def _check_box(bounds: tuple[float, float]) -> None:
    ordered = len(bounds) == 2 and all(isinstance(bound, Real) for bound in bounds) and bounds[0] < bounds[1]
    if not ordered:
        raise ValueError(f"AttackSettings.box must be None or two numbers (low, high) with low < high, got {bounds!r}.")


def _check_batch(inputs: Tensor, targets: Tensor, settings: AttackSettings, generator: torch.Generator | None) -> None:
    if not inputs.is_floating_point() or inputs.dim() < 2:
        raise ValueError(
            "inputs must hold floating-point numbers in at least 2 dimensions (B, ...), "
            f"got {inputs.dtype} of shape {tuple(inputs.shape)}."
        )
    if targets.dtype != torch.int64 or targets.shape != inputs.shape[:1]:
        raise ValueError(
            f"targets must be int64 of shape ({len(inputs)},), one for each input, "
            f"got {targets.dtype} of shape {tuple(targets.shape)}."
        )
    if settings.random_start and generator is None:
        raise ValueError("Random starts need the argument generator, got None.")
    if generator is not None and generator.device.type != inputs.device.type:
        raise ValueError(
            f"generator must be on the device of the inputs, got {generator.device} for inputs on {inputs.device}."
        )
