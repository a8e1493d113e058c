"""Guarantees for attacks on the reflected loss in two-layer Leaky ReLU networks.

The network is f(x) = a^T s(Wx) with s(t) = max(t, alpha t), W of shape (m, d), and a fixed with |a_r| <= kappa. The
attack is Algorithm 5: raw gradient steps within the l_2 ball of radius nu on the reflected loss l_-(z) = -log(1 + e^z)
of the margin z = y f, as `tasks.attacks.attack` takes them with step="raw", norm="l2" and loss="margin".

Numbers of steps are returned as real numbers: round them up.

Source: Mianjy, PhD thesis (Johns Hopkins University), sections 6.2 to 6.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from tasks.attacks.loss import logistic_slope
from tasks.theory.checks import require_count, require_finite, require_nonnegative

Variant = Literal["derived", "printed"]


@dataclass(frozen=True, kw_only=True)
class AdversarialSetting:
    """The constants of the guarantees: those of the data (Assumption 3), the attack and the network.

    Raises:
        ValueError: if a number lies outside its range.

    Example:
        >>> AdversarialSetting(
        ...     input_norm=1.0, margin=0.5, radius=0.6, slope=0.5, output_weight=0.1, width=100, initial_norm=1.0
        ... )
        Traceback (most recent call last):
        ValueError: Guarantees need 0 <= radius < margin <= input_norm, got radius 0.6, margin 0.5, input_norm 1.0.
    """

    input_norm: float  # R, a bound on ||x||
    margin: float  # gamma, in (nu, R]
    radius: float  # nu >= 0, the size of attacks
    slope: float  # alpha in (0, 1], of Leaky ReLU; 1 is a linear network
    output_weight: float  # kappa > 0, a bound on |a_r|
    width: int  # m >= 1
    initial_norm: float  # omega >= 0, a bound on ||W_1||_F
    output_norm: float | None = None  # ||a||_2 <= kappa sqrt(m); None: kappa sqrt(m), that is |a_r| = kappa for all r

    def __post_init__(self) -> None:
        for name in ("input_norm", "margin", "radius", "output_weight", "initial_norm"):
            require_nonnegative(name, getattr(self, name))
        require_count("width", self.width)
        if not self.radius < self.margin <= self.input_norm:
            raise ValueError(
                "Guarantees need 0 <= radius < margin <= input_norm, "
                f"got radius {self.radius}, margin {self.margin}, input_norm {self.input_norm}."
            )
        if not 0 < self.slope <= 1:
            raise ValueError(f"slope must lie in (0, 1] (1 is a linear network), got {self.slope}.")
        if self.output_weight == 0:
            raise ValueError("output_weight must be positive, got 0: the network would be 0.")
        if self.output_norm is not None and not 0 < self.output_norm <= self._largest_norm * (1 + 1e-12):
            raise ValueError(
                f"output_norm must lie in (0, output_weight sqrt(width)] = (0, {self._largest_norm:g}], "
                f"got {self.output_norm}."
            )

    @property
    def _largest_norm(self) -> float:
        return self.output_weight * math.sqrt(self.width)

    def norm_of_output_weights(self, variant: Variant) -> float:
        """||a||_2 for "derived", kappa sqrt(m) for "printed"."""
        require_variant(variant)
        return self._largest_norm if variant == "printed" or self.output_norm is None else self.output_norm


@dataclass(frozen=True, kw_only=True)
class AttackSchedule:
    """The schedule that the guarantees require of an attack on weights of a given norm."""

    step_size: float  # eta_atk, the largest one
    num_steps: float  # T_atk, the smallest number of points, including the start


def least_beta(setting: AdversarialSetting) -> float:
    """The smallest beta for which the guarantees hold; 0 for linear networks.

    Formula:
        beta >= 2 nu (1 - alpha) kappa sqrt(m).

    Args:
        setting: R, gamma, nu, alpha, kappa, m, omega.

    Returns:
        The right-hand side.

    Source:
        Theorem 16 and Lemma 18.

    Example:
        >>> setting = AdversarialSetting(
        ...     input_norm=0.75, margin=0.75, radius=0.25, slope=0.5, output_weight=0.125, width=64, initial_norm=0.0
        ... )
        >>> least_beta(setting)
        0.25
    """
    return 2 * setting.radius * (1 - setting.slope) * setting.output_weight * math.sqrt(setting.width)


def is_effective_attack(margins: Tensor, weight_norm: float, beta: float) -> Tensor:
    """Which attacks are beta-effective: they reach a margin of at most -beta, with weights scaled to norm 1.

    Formula:
        y f_W(delta) / ||W||_F <= -beta.

    Args:
        margins: y f_W(delta) of the attacked points, any shape.
        weight_norm: ||W||_F > 0.
        beta: >= 0.

    Returns:
        Booleans of the same shape.

    Source:
        Definition 7, eq. 6.4. It does not depend on the scale of W, since f is homogeneous in W.

    Raises:
        ValueError: if margins are not finite, the norm is not positive or beta is negative.

    Example:
        >>> import torch
        >>> is_effective_attack(torch.tensor([-3.0, -1.0, 1.0]), weight_norm=2.0, beta=1.0)
        tensor([ True, False, False])
    """
    require_finite("margins", margins)
    require_nonnegative("beta", beta)
    require_positive("weight_norm", weight_norm)
    return margins <= -beta * weight_norm


def beta_robust_error(margins: Tensor, weight_norm: float, beta: float) -> Tensor:
    """Fraction of examples for which some attack reaches a margin below -beta.

    Formula:
        L_beta(W) = P{min_delta y f_W(delta) / ||W||_F < -beta}; beta = 0 is the robust error.

    Args:
        margins: min_delta y f_W(delta) of each example, shape (n,).
        weight_norm: ||W||_F > 0.
        beta: >= 0.

    Returns:
        The fraction, a scalar.

    Source:
        Eqs. 6.1 and 6.3, with "<" where Definition 7 has "<=".

    Raises:
        ValueError: as `is_effective_attack`.

    Example:
        >>> import torch
        >>> beta_robust_error(torch.tensor([-3.0, -1.0, 0.0, 1.0]), weight_norm=1.0, beta=0.0)
        tensor(0.5000)
    """
    require_finite("margins", margins)
    require_nonnegative("beta", beta)
    require_positive("weight_norm", weight_norm)
    return (margins < -beta * weight_norm).to(margins.dtype).mean()


def effective_slope_bound(margins: Tensor, radius: float, step_size: float, num_steps: int) -> Tensor:
    """Upper bound on -l'(z) at any effective attack, from the margins that the attack found.

    Formula:
        -l'(z*) <= -2 l'(z) + 4 nu^2 / (eta T),
        z* the margin at any beta-effective attack with beta >= `least_beta`, z the smallest margin of the attack's T
        points, with eta <= 1 / (kappa^2 m ||W||_F^2).

    Args:
        margins: z, any shape.
        radius: nu >= 0.
        step_size: eta > 0.
        num_steps: T >= 1, the number of points, the start included: `AttackSettings.num_steps` + 1.

    Returns:
        The bound, of the shape of the margins.

    Source:
        Lemma 18, eq. 6.6. It needs |a_r| <= kappa only.

    Raises:
        ValueError: if an argument lies outside its range.

    Example:
        >>> import torch
        >>> effective_slope_bound(torch.zeros(1), radius=0.1, step_size=1.0, num_steps=4)  # 2 / 2 + 4 * .01 / 4
        tensor([1.0100])
    """
    require_finite("margins", margins)
    require_nonnegative("radius", radius)
    require_positive("step_size", step_size)
    require_count("num_steps", num_steps)
    return -2 * logistic_slope(margins) + 4 * radius**2 / (step_size * num_steps)


def attack_schedule(setting: AdversarialSetting, weight_norm: float, epsilon: float) -> AttackSchedule:
    """Step size and number of steps of the attack on weights of a given norm.

    Formula:
        eta_atk <= 1 / (kappa^2 m ||W||_F^2),  T_atk >= 8 nu^2 / (eta_atk epsilon).

    Args:
        setting: R, gamma, nu, alpha, kappa, m, omega.
        weight_norm: ||W_t||_F > 0.
        epsilon: in (0, 1].

    Returns:
        The largest step size and, with it, the least number of steps.

    Source:
        Theorem 16.

    Raises:
        ValueError: if the norm is not positive, or epsilon lies outside (0, 1].

    Example:
        >>> setting = AdversarialSetting(
        ...     input_norm=0.75, margin=0.75, radius=0.25, slope=1.0, output_weight=0.125, width=64, initial_norm=0.0
        ... )
        >>> attack_schedule(setting, weight_norm=4.0, epsilon=0.5)
        AttackSchedule(step_size=0.0625, num_steps=16.0)
    """
    require_positive("weight_norm", weight_norm)
    require_epsilon(epsilon)
    step_size = 1 / (setting.output_weight**2 * setting.width * weight_norm**2)
    return AttackSchedule(step_size=step_size, num_steps=8 * setting.radius**2 / (step_size * epsilon))


def output_weight_for(beta: float, radius: float, slope: float, width: int) -> float:
    """The |a_r| = kappa for which `least_beta` is a given beta.

    Formula:
        kappa = beta / (2 nu (1 - alpha) sqrt(m)).

    Args:
        beta: > 0.
        radius: nu > 0.
        slope: alpha in (0, 1).
        width: m >= 1.

    Returns:
        kappa. With it `convergence` is Corollary 5.

    Source:
        Corollary 5.

    Raises:
        ValueError: if a number lies outside its range.

    Example:
        >>> output_weight_for(beta=0.1, radius=0.1, slope=0.5, width=100)
        0.1
    """
    for name, value in (("beta", beta), ("radius", radius)):
        require_positive(name, value)
    _require_leaky(slope)
    require_count("width", width)
    return beta / (2 * radius * (1 - slope) * math.sqrt(width))


def attack_steps_for(
    beta: float, slope: float, weight_norm: float, epsilon: float, variant: Variant = "derived"
) -> float:
    """Least number of attack steps if |a_r| is `output_weight_for` beta.

    Formula:
        derived: T_atk >= 2 beta^2 ||W||_F^2 / ((1 - alpha)^2 epsilon).
        printed: T_atk >= 2 (1 - alpha)^2 / (beta^2 ||W||_F^2 epsilon).

    Args:
        beta: > 0.
        slope: alpha in (0, 1).
        weight_norm: ||W_t||_F > 0.
        epsilon: in (0, 1].
        variant: "derived", or "printed" for the thesis's formula.

    Returns:
        The bound on T_atk.

    Source:
        Corollary 5. Corrected: its fraction is inverted. Theorem 16 has T_atk >= 8 nu^2 / (eta_atk epsilon), and
        eta_atk = 4 nu^2 (1 - alpha)^2 / (beta^2 ||W||_F^2) here. In the printed form, larger weights would have smaller
        steps and fewer of them.

    Raises:
        ValueError: if a number lies outside its range, or the variant is unknown.

    Example:
        >>> attack_steps_for(beta=0.5, slope=0.5, weight_norm=4.0, epsilon=0.1)
        320.0
        >>> attack_steps_for(beta=0.5, slope=0.5, weight_norm=4.0, epsilon=0.1, variant="printed")
        1.25
    """
    for name, value in (("beta", beta), ("weight_norm", weight_norm)):
        require_positive(name, value)
    _require_leaky(slope)
    require_epsilon(epsilon)
    require_variant(variant)
    squared = (beta * weight_norm / (1 - slope)) ** 2
    return 2 * (squared if variant == "derived" else 1 / squared) / epsilon


def require_variant(variant: str) -> None:
    """Raise ValueError unless the variant is known."""
    if variant not in ("derived", "printed"):
        raise ValueError(f"variant must be 'derived' or 'printed', got {variant!r}.")


def require_epsilon(epsilon: float) -> None:
    """Raise ValueError unless `epsilon` lies in (0, 1]."""
    if not 0 < epsilon <= 1:
        raise ValueError(f"epsilon must lie in (0, 1], got {epsilon}.")


def require_positive(name: str, value: float) -> None:
    """Raise ValueError unless `value` is finite and above 0."""
    require_nonnegative(name, value)
    if value == 0:
        raise ValueError(f"{name} must be positive, got {value}.")


def _require_leaky(slope: float) -> None:
    if not 0 < slope < 1:
        raise ValueError(f"slope must lie in (0, 1): for a linear network beta is 0 at any output weight, got {slope}.")
