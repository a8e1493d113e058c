"""The explicit regularizer of dropout in deep linear networks, by order, and its lower bounds.

A network computes W_{k+1} ... W_1 x; its k hidden layers have widths d_1..d_k and are all dropped with keep rate theta,
lambda = (1 - theta) / theta. Weights W_i have shape (..., d_i, d_{i-1}); C = E[xx'] is the second moment of the inputs.

Source: Mianjy, PhD thesis (Johns Hopkins University), chapter 3; Mianjy and Arora 2019.
"""

import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tasks.theory.checks import (
    require_equal_sizes,
    require_keep_rate,
    require_matrix,
    require_positive_semidefinite,
    require_widths,
)


class EqualizationGap(NamedTuple):
    """Relative excess of a regularizer over its lower bound: 0 for an equalized network."""

    per_order: Tensor  # (..., k): r_l = R_l / LB_l - 1 for orders 1..k
    total: Tensor  # (...): R / (nu ||W C^(1/2)||_*^2) - 1


def explicit_regularizer(weights: Sequence[Tensor], second_moment: Tensor, keep: float) -> Tensor:
    """What dropout on all hidden layers adds to the expected squared error, by order (the number of pivot layers).

    Formula:
        E ||y - dropped network(x)||^2 = E ||y - W_{k+1}..W_1 x||^2 + sum_{l=1..k} lambda^l R_l, and R_l is the sum over
        l pivot layers j_1 < .. < j_l and pivot units i_1..i_l of the squared products
        ||W_{j_1->1}(i_1, :) C^(1/2)|| * prod_p W_{j_{p+1}->j_p+1}(i_{p+1}, i_p) * ||W_{k+1->j_l+1}(:, i_l)||.
        Evaluated by carrying second moments S through the net as polynomials in lambda: S <- W S W', then
        S <- S + lambda diag(S); the coefficient of lambda^l in tr(W_{k+1} S W_{k+1}') is R_l.

    Args:
        weights: W_1..W_{k+1}, k >= 1.
        second_moment: C, shape (..., d_0, d_0), positive semidefinite.
        keep: theta in (0, 1].

    Returns:
        lambda^l R_l for l = 1..k, shape (..., k); their sum is the regularizer.

    Source:
        Proposition 8. Corrected: Remark 6 swaps the rows and columns of both matrices (k = 1 gives
        lambda sum_i ||W_1(i, :)||_C^2 ||W_2(:, i)||^2). Checked by the sum over pivots and by enumerating all masks.

    Raises:
        ValueError: if there are fewer than two weights, shapes do not fit, an entry is not finite, C is not positive
            semidefinite, or keep lies outside (0, 1].

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> explicit_regularizer([one, one, one], one, keep=0.5)  # (1 + lambda)^2 - 1 = 2 lambda + lambda^2
        tensor([2., 1.], dtype=torch.float64)
    """
    _require_weights(weights, second_moment)
    require_keep_rate("keep", keep)
    odds = (1 - keep) / keep
    moments = [second_moment]  # by order, lambda^l included
    for weight in weights[:-1]:
        moments = [weight @ moment @ weight.mT for moment in moments]
        lifted = [odds * torch.diag_embed(moment.diagonal(dim1=-2, dim2=-1)) for moment in moments]
        moments = [moments[0], *(a + b for a, b in zip(moments[1:], lifted, strict=False)), lifted[-1]]
    return torch.stack([((weights[-1] @ moment) * weights[-1]).sum((-2, -1)) for moment in moments[1:]], -1)


def effective_regularization(hidden_widths: Sequence[int], keep: float) -> float:
    """Strength with which dropout penalises the squared nuclear norm of the network's map.

    Formula:
        nu = sum_{l=1..k} sum_{j_1<..<j_l} lambda^l / (d_{j_1} .. d_{j_l}) = prod_i (1 + lambda / d_i) - 1.

    Args:
        hidden_widths: d_1..d_k, k >= 1.
        keep: theta in (0, 1].

    Returns:
        nu >= 0; infinity if it exceeds the largest float.

    Source:
        Definition 4; the product form is checked by the sum.

    Raises:
        ValueError: if there is no width, a width is not a positive integer, or keep lies outside (0, 1].

    Example:
        >>> round(effective_regularization([1, 2], keep=0.5), 12)  # (1 + 1) (1 + 1/2) - 1
        2.0
    """
    require_widths(hidden_widths)
    require_keep_rate("keep", keep)
    odds = (1 - keep) / keep
    log_factor = sum(math.log1p(odds / width) for width in hidden_widths)
    return math.expm1(log_factor) if log_factor < math.log(sys.float_info.max) else math.inf


def regularizer_lower_bounds(weights: Sequence[Tensor], second_moment: Tensor, keep: float) -> Tensor:
    """Smallest value that each order of the regularizer can have in any network with the same map and widths.

    Formula:
        LB_l = lambda^l e_l(1/d_1, .., 1/d_k) ||W_{k+1}..W_1 C^(1/2)||_*^2, e_l the elementary symmetric polynomial;
        attained by all orders together iff the network is equalized (Definition 5).

    Args:
        weights: W_1..W_{k+1}, k >= 1.
        second_moment: C, shape (..., d_0, d_0), positive semidefinite.
        keep: theta in (0, 1].

    Returns:
        LB_l for l = 1..k, shape (..., k), lambda^l included as in `explicit_regularizer`; their sum is nu times the
        squared nuclear norm.

    Source:
        Eqs. 3.14 and 3.15 (3.14 leaves lambda^l out); C^(1/2), which both omit, is that of Theorem 9. Checked on random
        weights.

    Raises:
        ValueError: as `explicit_regularizer`.

    Example:
        >>> W = torch.ones(2, 1, dtype=torch.float64)
        >>> regularizer_lower_bounds([W, W.mT], torch.ones(1, 1, dtype=torch.float64), keep=0.5)  # 2^2 / 2
        tensor([2.], dtype=torch.float64)
    """
    _require_weights(weights, second_moment)
    require_keep_rate("keep", keep)
    odds = (1 - keep) / keep
    symmetric = [1.0]  # coefficients of prod_i (1 + lambda / d_i)
    for weight in weights[:-1]:
        share = odds / weight.shape[-2]
        symmetric = [a + share * b for a, b in zip([*symmetric, 0.0], [0.0, *symmetric], strict=True)]
    network_map = weights[0]
    for weight in weights[1:]:
        network_map = weight @ network_map
    nuclear: Tensor = torch.linalg.svdvals(network_map @ _square_root(second_moment)).sum(-1)
    return nuclear.square()[..., None] * torch.tensor(symmetric[1:], dtype=nuclear.dtype, device=nuclear.device)


def equalization_gap(weights: Sequence[Tensor], second_moment: Tensor, keep: float) -> EqualizationGap:
    """Relative excess of the regularizer over its lower bound, by order and in total; 0 iff the network is equalized.

    Formula:
        r_l = R_l / LB_l - 1, r = R / (nu ||W_{k+1}..W_1 C^(1/2)||_*^2) - 1.

    Args:
        weights: W_1..W_{k+1}, k >= 1, with a map that is not zero.
        second_moment: C, shape (..., d_0, d_0), positive semidefinite.
        keep: theta in (0, 1); without dropout both regularizer and bound are zero.

    Returns:
        `EqualizationGap` of the gaps per order (..., k) and in total (...), all >= 0 up to rounding.

    Source:
        Lemma 7 and section 3.4.2 (figure 3-3).

    Raises:
        ValueError: as `explicit_regularizer`, or if keep is 1, or a map is zero.

    Example:
        >>> W = torch.tensor([[1.0], [0.0]], dtype=torch.float64)  # one of two units does all the work
        >>> float(equalization_gap([W, W.mT], torch.ones(1, 1, dtype=torch.float64), keep=0.5).total)
        1.0
    """
    require_keep_rate("keep", keep, one_allowed=False)
    bounds = regularizer_lower_bounds(weights, second_moment, keep)
    if not bool((bounds > 0).all()):
        raise ValueError("weights must compute a map that is not zero on the inputs, got one whose nuclear norm is 0.")
    orders = explicit_regularizer(weights, second_moment, keep)
    return EqualizationGap(orders / bounds - 1, orders.sum(-1) / bounds.sum(-1) - 1)


def _square_root(second_moment: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(second_moment)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()[..., None, :]) @ vectors.mT
    return root


def _require_weights(weights: Sequence[Tensor], second_moment: Tensor) -> None:
    if len(weights) < 2:
        raise ValueError(f"weights must hold at least 2 matrices, one hidden layer and the output, got {len(weights)}.")
    require_positive_semidefinite("second_moment", second_moment)
    size = second_moment.shape[-1]
    for number, weight in enumerate(weights, start=1):
        require_matrix(f"weight {number}", weight)
        require_equal_sizes(f"weight {number} must have one column for each unit below", (weight.shape[-1], size))
        size = weight.shape[-2]
