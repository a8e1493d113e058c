"""Dropout training of wide two-layer ReLU networks: the width that the theory requires, and its bounds.

A network f(x) = a' relu(W x) / sqrt(m) has fixed a_r = +-1 and trained W (m, d), standard normal at first. Each of T
steps draws an example (x, y) with ||x|| = 1 and y = +-1, and a mask b_r ~ Ber(q) that is not divided by q. It follows
the gradient of the logistic loss at y a' (b o relu(W x)) / sqrt(m) with step size eta, then projects rows of W to norm
at most c. For prediction, W is multiplied by q. Logarithms in the loss are to base 2, so that it is at least the 0-1
loss.

The widths that the theory requires are far too large to train, and the bounds are vacuous (above 1) at most sizes that
can be trained. What can be checked are rates of convergence.

Source: Mianjy, PhD thesis (Johns Hopkins University), chapter 5; Mianjy and Arora 2020, "On Convergence and
Generalization of Dropout Training".
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tasks.theory.checks import (
    require_count,
    require_equal_sizes,
    require_finite,
    require_floating,
    require_keep_rate,
    require_matrix,
)


@dataclass(frozen=True, kw_only=True)
class LazyConstants:
    """Constants of the theorems on dropout in wide networks."""

    c: float  # limit on the norm of each row of W
    lam: float  # lambda, the distance of the competitor W_1 + lambda V from the start
    least_width: int  # the smallest m for which the theorems hold


def lazy_constants(
    margin: float, dimension: int, step_size: float, num_steps: int, width: int | None = None
) -> LazyConstants:
    """Constants of the convergence theorem, and the least width that satisfies its condition.

    Formula:
        c = sqrt(d) + max(1 / (14 gamma^2), 2 sqrt(ln m)) + 1,
        lambda = (5 / gamma) ln(2 eta T) + sqrt((44 / gamma^2) ln(24 eta c sqrt(m) T^2)), m >= 2401 gamma^-6 lambda^2.
        Both sides of the condition depend on m; the least solution is found by iteration from below.

    Args:
        margin: gamma in (0, 1/2]; the (q, gamma)-margin is at most q / 2 (`margin_of`).
        dimension: d >= 1.
        step_size: eta in (0, ln 2].
        num_steps: T >= 1, with 2 eta T >= 1.
        width: m for c and lambda; None: the least width.

    Returns:
        c, lambda and the least width, to double precision.

    Source:
        Theorem 14 (Theorem 4.1 of the paper). Corrected: both texts bound the norm of all initial rows by 2 sqrt(ln m);
        with high probability it is at most sqrt(d) + 2 sqrt(ln m), which is less than c.

    Raises:
        ValueError: if an argument lies outside its range.

    Example:
        >>> constants = lazy_constants(0.1, 784, 0.5, 10**6)
        >>> round(constants.lam), f"{constants.least_width:.1e}"
        (1168, '3.3e+15')
    """
    if not 0 < margin <= 0.5:
        raise ValueError(f"margin must lie in (0, 1/2], got {margin}.")
    require_count("dimension", dimension)
    _require_schedule(step_size, num_steps)
    if 2 * step_size * num_steps < 1:
        raise ValueError(f"step_size * num_steps must be at least 1/2, got {step_size * num_steps}.")

    def at(m: int) -> tuple[float, float]:
        c = math.sqrt(dimension) + max(1 / (14 * margin**2), 2 * math.sqrt(math.log(m))) + 1
        confidence = math.log(24 * step_size * c * math.sqrt(m)) + 2 * math.log(num_steps)
        return c, (5 * math.log(2 * step_size * num_steps) + math.sqrt(44 * confidence)) / margin

    least, needed = 0, 1
    while least < needed:  # `needed` increases with m, so that this stops at the least m that suffices
        least = needed
        needed = math.ceil(2401 * margin**-6 * at(least)[1] ** 2)
    if width is not None:
        require_count("width", width)
    c, lam = at(least if width is None else width)
    return LazyConstants(c=c, lam=lam, least_width=least)


def error_bound(lam: float, step_size: float, num_steps: int) -> float:
    """Upper bound on the mean over training of the expected error of the full network.

    Formula:
        (1 / T) sum_t E P{y f(x; q W_t) < 0} <= 4 lambda^2 / (eta T).

    Args:
        lam: lambda > 0, of `lazy_constants`.
        step_size: eta in (0, ln 2].
        num_steps: T >= 1.

    Returns:
        The bound; vacuous above 1.

    Source:
        Theorem 14. The proof gives 3 in place of 4.

    Raises:
        ValueError: if an argument lies outside its range.

    Example:
        >>> constants = lazy_constants(0.1, 784, 0.5, 10**6)
        >>> round(error_bound(constants.lam, 0.5, 10**6), 1)
        10.9
    """
    _require_lam(lam)
    _require_schedule(step_size, num_steps)
    return 4 * lam**2 / (step_size * num_steps)


def subnetwork_bound(
    lam: float,
    step_size: float,
    num_steps: int,
    failure_probability: float,
    variant: Literal["derived", "printed"] = "derived",
) -> float:
    """Upper bound on the mean over training of the error of the sub-networks that dropout samples.

    Formula:
        derived: (4 ln 2 / (3 - e)) lambda^2 / (eta T) + (2 / (3 - e)) ln(1 / delta) / T,
        that is 9.84 lambda^2 / (eta T) + 7.10 ln(1 / delta) / T.
        printed: 12 lambda^2 / (eta T) + 6 ln(1 / delta) / T.

    Args:
        lam: lambda > 0, of `lazy_constants`.
        step_size: eta in (0, ln 2].
        num_steps: T >= 1.
        failure_probability: delta in (0, 1).
        variant: "derived", or "printed" for the theorem's formula.

    Returns:
        The bound; vacuous above 1. It fails with probability at most delta plus that with which the bound on the losses
        fails (delta again, in the proof).

    Source:
        Theorem 15 (Theorem 4.2 of the paper). Corrected: Freedman's inequality with the bounds of the proof gives
        (3 - e) sum Q <= sum Q_t + ln(1 / delta) / ln 2, and the error is at most 2 ln 2 Q; its last lines round this to
        other constants, of which 6 is too small. Two events have to hold, not one.

    Raises:
        ValueError: if an argument lies outside its range, or the variant is unknown.

    Example:
        >>> [round(subnetwork_bound(1.0, 0.5, 10, math.exp(-1), v), 3) for v in ("derived", "printed")]
        [2.678, 3.0]
    """
    if variant not in ("derived", "printed"):
        raise ValueError(f"variant must be 'derived' or 'printed', got {variant!r}.")
    _require_lam(lam)
    _require_schedule(step_size, num_steps)
    _require_failure_probability(failure_probability)
    losses, confidence = lam**2 / (step_size * num_steps), -math.log(failure_probability) / num_steps
    if variant == "printed":
        return 12 * losses + 6 * confidence
    return (4 * math.log(2) * losses + 2 * confidence) / (3 - math.e)


def active_width_bound(keep_rate: float, width: int, num_steps: int, failure_probability: float) -> float:
    """Upper bound on the number of active hidden units over all masks of a training, with high probability.

    Formula:
        q m + sqrt(2 m ln(T / delta)).

    Args:
        keep_rate: q in (0, 1].
        width: m >= 1.
        num_steps: T >= 1, with one mask per step.
        failure_probability: delta in (0, 1).

    Returns:
        The bound, which may exceed m.

    Source:
        Section 5.3, below Theorem 15. Hoeffding's inequality already holds with half of the second term; checked
        against the binomial distribution.

    Raises:
        ValueError: if an argument lies outside its range.

    Example:
        >>> round(active_width_bound(0.2, 10_000, 1000, 0.05))
        2445
    """
    require_keep_rate("keep_rate", keep_rate)
    require_count("width", width)
    require_count("num_steps", num_steps)
    _require_failure_probability(failure_probability)
    return keep_rate * width + math.sqrt(2 * width * math.log(num_steps / failure_probability))


def margin_of(inputs: Tensor, labels: Tensor, direction: Tensor, keep_rate: float = 1.0) -> Tensor:
    """(q, gamma)-margin of linearly separable data, which the theorems assume, from a separating direction.

    Formula:
        gamma = (q / 2) min_i y_i <u, x_i> / ||u||, which is min_i E y_i <psi(z), b x_i 1[<z, x_i> >= 0]> for the
        constant map psi = u / ||u||, with z standard normal and b ~ Ber(q). Other maps may give more, up to q / 2.

    Args:
        inputs: X (n, d), rows of norm 1 in the theorems; only zero rows are an error.
        labels: y, each -1 or 1, shape (n,).
        direction: u (..., d), not zero.
        keep_rate: q in (0, 1].

    Returns:
        gamma, shape (...); not above 0 if the direction does not separate the data.

    Source:
        Assumption 2. Corrected: psi is any measurable map with ||psi|| <= 1; both texts require a linear one, but the
        only bounded linear map is zero. The paper's version omits x. Checked by quadrature over z.

    Raises:
        ValueError: if a row or the direction is zero or not finite, a label is neither -1 nor 1, sizes differ, or q
            lies outside (0, 1].

    Example:
        >>> inputs = torch.tensor([[0.6, 0.8], [-0.6, 0.8]], dtype=torch.float64)
        >>> margin_of(inputs, torch.tensor([1, -1]), torch.tensor([2.0, 0.0]).double(), keep_rate=0.5)
        tensor(0.1500, dtype=torch.float64)
    """
    require_matrix("inputs", inputs)
    require_keep_rate("keep_rate", keep_rate)
    require_equal_sizes("labels must hold one number for each row of inputs", (labels.numel(), inputs.shape[-2]))
    if bool((labels.abs() != 1).any()):
        raise ValueError("labels must be -1 or 1, got another value.")
    if bool((inputs == 0).all(-1).any()):
        raise ValueError("inputs must have no row that is zero, got one.")
    require_floating("direction", direction)
    require_finite("direction", direction)
    require_equal_sizes("direction must have one entry for each column", (direction.shape[-1], inputs.shape[-1]))
    if bool((direction == 0).all(-1).any()):
        raise ValueError("direction must not be zero, got zero.")
    unit = direction / torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
    margins = (unit @ inputs.mT) * labels.to(inputs.dtype)
    least: Tensor = keep_rate / 2 * margins.amin(-1)
    return least


def _require_lam(lam: float) -> None:
    if not (math.isfinite(lam) and lam > 0):
        raise ValueError(f"lam must be finite and > 0, got {lam}.")


def _require_schedule(step_size: float, num_steps: int) -> None:
    if not 0 < step_size <= math.log(2):
        raise ValueError(f"step_size must lie in (0, ln 2], got {step_size}.")
    require_count("num_steps", num_steps)


def _require_failure_probability(value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"failure_probability must lie in (0, 1), got {value}.")
