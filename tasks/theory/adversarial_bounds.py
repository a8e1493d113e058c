"""Guarantees for adversarial training of two-layer Leaky ReLU networks with attacks on the reflected loss.

The network and the attack are those of `tasks.theory.attack_bounds`; the hidden weights W are trained, starting with
||W_1||_F <= omega. Data have ||x|| <= R and y v.x >= gamma > nu for a unit vector v (Assumption 3). Training is
Algorithm 6: SGD, one example per step, on the logistic loss l(z) = log(1 + e^-z) at the attacked point.

Numbers of steps are returned as real numbers: round them up.

Source: Mianjy, PhD thesis (Johns Hopkins University), sections 6.3 and 6.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tasks.theory.attack_bounds import (
    AdversarialSetting,
    AttackSchedule,
    Variant,
    attack_schedule,
    attack_steps_for,
    beta_robust_error,
    effective_slope_bound,
    is_effective_attack,
    least_beta,
    output_weight_for,
    require_epsilon,
    require_positive,
    require_variant,
)
from tasks.theory.checks import require_nonnegative

__all__ = [
    "AdversarialSetting",
    "AttackSchedule",
    "Convergence",
    "attack_schedule",
    "attack_steps_for",
    "beta_robust_error",
    "convergence",
    "effective_slope_bound",
    "halfspace_convergence",
    "is_effective_attack",
    "largest_training_step",
    "least_beta",
    "output_weight_for",
    "steps_to_small_slope",
    "weight_norm_bound",
    "worst_case_cost",
]


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """What adversarial training reaches: one iterate with a beta-robust error of at most `error`, in expectation."""

    num_steps: float  # T_tr
    step_size: float  # eta_tr
    beta: float  # see `beta_robust_error`
    error: float  # 2 epsilon


def largest_training_step(setting: AdversarialSetting) -> float:
    """The largest training step size for which the guarantees hold.

    Formula:
        eta_tr <= 1 / (m kappa^2 (R + nu)^2).

    Args:
        setting: R, gamma, nu, alpha, kappa, m, omega.

    Returns:
        The right-hand side.

    Source:
        Theorem 16 and Lemma 19.

    Example:
        >>> setting = AdversarialSetting(
        ...     input_norm=0.75, margin=0.75, radius=0.25, slope=1.0, output_weight=0.125, width=64, initial_norm=0.0
        ... )
        >>> largest_training_step(setting)
        1.0
    """
    return 1 / (setting.width * setting.output_weight**2 * (setting.input_norm + setting.radius) ** 2)


def steps_to_small_slope(
    setting: AdversarialSetting, epsilon: float, step_size: float, variant: Variant = "derived"
) -> float:
    """Training steps within which some iterate has E[-l'(y f(delta))] <= epsilon, for any attack.

    Formula:
        T_tr <= 4 (1 + omega gamma alpha c epsilon) / (eta (gamma - nu)^2 alpha^2 c^2 epsilon^2),
        c = ||a||_2 (derived) or kappa sqrt(m) (printed).

    Args:
        setting: R, gamma, nu, alpha, kappa, m, omega, ||a||_2.
        epsilon: in (0, 1].
        step_size: eta in (0, `largest_training_step`].
        variant: "derived", or "printed" for the thesis's c.

    Returns:
        The bound on T_tr.

    Source:
        Lemma 19. Corrected: its proof uses |a_r| = kappa, but the lemma assumes only ||a||_inf <= kappa, and the
        printed form fails if some |a_r| are small. With v_r = a_r v* / ||a||_2 in the proof it holds for any a, with
        ||a||_2 in place of kappa sqrt(m). Both are equal for |a_r| = kappa.

    Raises:
        ValueError: if epsilon or the step size lies outside its range, or the variant is unknown.

    Example:
        >>> setting = AdversarialSetting(
        ...     input_norm=0.75, margin=0.75, radius=0.25, slope=1.0, output_weight=0.125, width=64, initial_norm=0.0
        ... )
        >>> steps_to_small_slope(setting, epsilon=0.5, step_size=1.0)  # 4 / (.5^2 * .5^2)
        64.0
    """
    require_epsilon(epsilon)
    require_positive("step_size", step_size)
    if step_size > largest_training_step(setting) * (1 + 1e-12):
        raise ValueError(f"step_size must be at most {largest_training_step(setting):g}, got {step_size}.")
    norm = setting.norm_of_output_weights(variant)
    growth = setting.initial_norm * setting.margin * setting.slope * norm * epsilon
    return 4 * (1 + growth) / (step_size * ((setting.margin - setting.radius) * setting.slope * norm * epsilon) ** 2)


def convergence(setting: AdversarialSetting, epsilon: float, variant: Variant = "derived") -> Convergence:
    """Training steps after which the beta-robust error is small, with attacks by `attack_schedule`.

    Formula:
        T_tr <= 64 (R + nu)^2 (1 + omega gamma alpha c epsilon) / ((gamma - nu)^2 alpha^2 epsilon^2)
                (kappa sqrt(m) / c)^2,
        c = ||a||_2 (derived) or kappa sqrt(m) (printed), for which the last factor is 1.

    Args:
        setting: R, gamma, nu, alpha, kappa, m, omega, ||a||_2.
        epsilon: in (0, 1]; the error is at most 2 epsilon, which is vacuous for epsilon >= 1/2.
        variant: "derived", or "printed" for the thesis's c.

    Returns:
        Steps, step size, beta and error.

    Source:
        Theorem 16, from Lemma 19 at epsilon / 4. Corrected in the same way as Lemma 19.

    Raises:
        ValueError: if epsilon lies outside (0, 1], or the variant is unknown.

    Example:
        >>> setting = AdversarialSetting(
        ...     input_norm=0.75, margin=0.75, radius=0.25, slope=1.0, output_weight=0.125, width=64, initial_norm=0.0
        ... )
        >>> convergence(setting, epsilon=0.5)
        Convergence(num_steps=1024.0, step_size=1.0, beta=0.0, error=1.0)
    """
    require_epsilon(epsilon)
    norm, largest = setting.norm_of_output_weights(variant), setting.norm_of_output_weights("printed")
    growth = setting.initial_norm * setting.margin * setting.slope * norm * epsilon
    scale = (setting.input_norm + setting.radius) / ((setting.margin - setting.radius) * setting.slope * epsilon)
    return Convergence(
        num_steps=64 * scale**2 * (1 + growth) * (largest / norm) ** 2,
        step_size=largest_training_step(setting),
        beta=least_beta(setting),
        error=2 * epsilon,
    )


def halfspace_convergence(input_norm: float, margin: float, radius: float, epsilon: float) -> Convergence:
    """Training steps after which adversarial training of a linear predictor has a small robust error (beta is 0).

    Formula:
        T_tr <= 128 (R + nu)^2 / ((gamma - nu)^2 epsilon^2), eta_tr = (R + nu)^-2,
        for alpha = 1, |a_r| = 1 / sqrt(m) and omega = 1 / gamma, at any width.

    Args:
        input_norm: R.
        margin: gamma in (nu, R].
        radius: nu >= 0.
        epsilon: in (0, 1].

    Returns:
        Steps, step size, beta = 0 and error. The attack has eta_atk <= 1 / ||W||_F^2.

    Source:
        Corollary 4. It says "for any epsilon", but needs epsilon <= 1 for 1 + epsilon <= 2.

    Raises:
        ValueError: if a number lies outside its range.

    Example:
        >>> round(halfspace_convergence(input_norm=1.0, margin=0.5, radius=0.1, epsilon=0.2).num_steps)
        24200
    """
    setting = AdversarialSetting(
        input_norm=input_norm,
        margin=margin,
        radius=radius,
        slope=1.0,
        output_weight=1.0,
        width=1,
        initial_norm=1 / margin if margin > 0 else 0.0,
    )
    general = convergence(setting, epsilon)
    return replace(general, num_steps=128 * ((input_norm + radius) / ((margin - radius) * epsilon)) ** 2)


def weight_norm_bound(initial_norm: float, step_size: float, num_steps: float) -> float:
    """Upper bound on the norm of the weights after training steps, on which the number of attack steps depends.

    Formula:
        ||W_{T+1}||_F^2 <= ||W_1||_F^2 + 3 eta_tr T, for each run and each attack.

    Args:
        initial_norm: ||W_1||_F >= 0.
        step_size: eta_tr in [0, `largest_training_step`].
        num_steps: T >= 0.

    Returns:
        The bound on ||W_{T+1}||_F.

    Source:
        Eq. 6.7.

    Raises:
        ValueError: if a number is negative.

    Example:
        >>> weight_norm_bound(initial_norm=2.0, step_size=0.5, num_steps=8)
        4.0
    """
    for name, value in (("initial_norm", initial_norm), ("step_size", step_size), ("num_steps", num_steps)):
        require_nonnegative(name, value)
    return math.sqrt(initial_norm**2 + 3 * step_size * num_steps)


def worst_case_cost(
    input_norm: float, margin: float, radius: float, slope: float, epsilon: float, variant: Variant = "derived"
) -> float:
    """Upper bound on the number of attack steps in the whole training, for any weights that training reaches.

    Formula:
        derived: sum_{t=1..T} 24 nu^2 t / ((R + nu)^2 epsilon) = 12 nu^2 T (T + 1) / ((R + nu)^2 epsilon).
        printed: 196608 nu^2 (R + nu)^2 / ((gamma - nu)^4 alpha^4 epsilon^5).
        T is that of `convergence` with |a_r| = 1 / sqrt(m) and omega^2 = 3 / (R + nu)^2.

    Args:
        input_norm: R.
        margin: gamma in (nu, R].
        radius: nu >= 0.
        slope: alpha in (0, 1].
        epsilon: in (0, 1].
        variant: "derived", or "printed" for the thesis's formula.

    Returns:
        The cost, with T taken as a real number.

    Source:
        Section 6.3, "Dependence on the norm of iterates". Corrected: the thesis neglects T against T^2, and its
        constant needs omega gamma alpha epsilon <= 1, which omega gamma = sqrt(3) gamma / (R + nu) does not guarantee.

    Raises:
        ValueError: if a number lies outside its range, or the variant is unknown.

    Example:
        >>> f"{worst_case_cost(input_norm=1.0, margin=0.5, radius=0.1, slope=0.5, epsilon=0.1):.2e}"
        '4.02e+10'
    """
    reach = input_norm + radius
    setting = AdversarialSetting(
        input_norm=input_norm,
        margin=margin,
        radius=radius,
        slope=slope,
        output_weight=1.0,
        width=1,
        initial_norm=math.sqrt(3) / reach if reach > 0 else 0.0,
    )
    require_variant(variant)
    num_steps = convergence(setting, epsilon).num_steps
    if variant == "printed":
        return 196608 * (radius * reach) ** 2 / (((margin - radius) * slope) ** 4 * epsilon**5)
    return 12 * radius**2 * num_steps * (num_steps + 1) / (reach**2 * epsilon)
