"""Upper bounds on the local Rademacher complexity of networks under dropout and DropBlock, as LocalDrop states them.

Each layer l = 1..L enters through one term T_l: the norm of the keep rates of its inputs times the tail of its singular
values. Terms are represented by their logarithms, because the bounds multiply them. The bounds are the formulas from
which LocalDrop derives its regularizer; they are not a guarantee, since the proof drops the Rademacher signs in one
place (eq. 36) and assumes a loss that is 1-Lipschitz in each class.

Source: Lu, Xu, Du, Ishida, Zhang and Sugiyama 2021, "LocalDrop", Theorems 1 and 2, Corollaries 1 and 2, section 3.4.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from tasks.theory.checks import (
    require_count,
    require_equal_sizes,
    require_finite,
    require_matrix,
    require_nonnegative,
)

BoundVariant = Literal["derived", "printed"]


def dense_log_term(weight: Tensor, keep_rates: Tensor | None = None, num_untouched: int = 0) -> Tensor:
    """Logarithm of what a dense layer contributes to the bound.

    Formula:
        T = ||theta||_2 sum_{j > h} sigma_j(W); without dropout the factor ||theta||_2 is 1, not the norm of ones.

    Args:
        weight: W, shape (..., outputs, inputs).
        keep_rates: theta in [0, 1] of the inputs, shape (..., inputs), or None for a network without dropout.
        num_untouched: h >= 0, the number of leading singular values that are left out.

    Returns:
        log T, shape (...); minus infinity where T = 0.

    Source:
        Theorem 1 and Corollary 1.

    Raises:
        ValueError: if W is not a finite matrix, theta does not fit it or lies outside [0, 1], or h is negative.

    Example:
        >>> W = torch.diag(torch.tensor([3.0, 2.0], dtype=torch.float64))
        >>> round(float(dense_log_term(W, torch.tensor([0.6, 0.8]).double(), 1).exp()), 6)  # norm 1, tail 2
        2.0
    """
    require_matrix("weight", weight)
    require_count("num_untouched", num_untouched, at_least=0)
    tail: Tensor = torch.linalg.svdvals(weight)[..., num_untouched:].sum(-1)
    if keep_rates is None:
        return tail.log()
    _require_rates(keep_rates)
    sizes = (keep_rates.shape[-1], weight.shape[-1])
    require_equal_sizes("keep_rates must hold one rate for each input of the layer", sizes)
    norm: Tensor = torch.linalg.vector_norm(keep_rates, dim=-1)
    return tail.log() + norm.log()


def convolutional_log_term(
    kernels: Tensor, keep_rates: Tensor | None = None, num_untouched: int = 0, groups: int = 1
) -> Tensor:
    """Logarithm of what a convolutional layer contributes to the bound.

    Formula:
        T = sqrt(S) sum_m ||theta_m||_F sum_j sum_{k > h} sigma_k(W_jm), S = c_out c_in p q, with W_jm the p x q kernel
        from input channel m to output channel j, theta_m the keep rates of map m. c_in = c_out = 1 is Theorem 2. In a
        grouped convolution the sum over j is over the group of m, and S counts the weights that there are.

    Args:
        kernels: W, shape (c_out, c_in / groups, p, q).
        keep_rates: the keep matrix of each input map, shape (c_in, height, width), or (height, width) if all share one
            (`tasks.theory.drop_rates.keep_matrix`), or None for a network without DropBlock.
        num_untouched: h >= 0, the number of leading singular values of each kernel that are left out.
        groups: as in torch's `Conv2d`, a divisor of c_in and c_out.

    Returns:
        log T, a scalar; minus infinity where T = 0.

    Source:
        Theorem 2, Corollary 2 and the bound for many channels in section 3.4. Corrected: that bound mixes indices
        (c_{a+1}, W^a_ij within the product over j); T_l is the term that its derivation gives for layer l.

    Raises:
        ValueError: if the kernels are not 4-dimensional and finite, theta does not fit them or lies outside [0, 1],
            h is negative, or the groups do not divide c_out.

    Example:
        >>> kernels = torch.full((2, 1, 1, 1), 3.0, dtype=torch.float64)
        >>> convolutional_log_term(kernels, torch.full((1, 2, 2), 0.5).double()).exp()  # sqrt(2) * 1 * (3 + 3)
        tensor(8.4853, dtype=torch.float64)
    """
    require_matrix("kernels", kernels)
    require_equal_sizes("kernels must have 4 dimensions (c_out, c_in, p, q)", (kernels.dim(), 4))
    require_count("num_untouched", num_untouched, at_least=0)
    require_count("groups", groups)
    require_equal_sizes("groups must divide the output channels", (kernels.shape[0] % groups, 0))
    of_kernels = torch.linalg.svdvals(kernels)[..., num_untouched:].sum(2)  # (c_out, c_in / groups)
    tails: Tensor = of_kernels.view(groups, -1, kernels.shape[1]).sum(1).flatten()  # (c_in,)
    if keep_rates is not None:
        _require_rates(keep_rates)
        if keep_rates.dim() == 3:
            channels = (keep_rates.shape[0], len(tails))
            require_equal_sizes("keep_rates must hold one matrix for each input channel", channels)
        tails = tails * torch.linalg.matrix_norm(keep_rates)
    return tails.sum().log() + math.log(kernels.numel()) / 2


def rademacher_log_bound(
    log_terms: Sequence[Tensor],
    data_norm: float,
    num_examples: int,
    num_classes: int,
    delta: float | Sequence[float] = 1.0,
    sizes: Sequence[int] | None = None,
) -> Tensor:
    """Logarithm of the upper bound on the local Rademacher complexity, from the terms of its layers.

    Formula:
        k [ sqrt(delta_L) + (B / n) 2^(L-1) prod_i T_i + sum_{i=2..L} 2^(i-1) sqrt(delta_{L-i+1}) prod_{j<i} T_{L-j+1} ]
        = k R_L with R_1 = sqrt(delta_1) + T_1 B / n and R_l = sqrt(delta_l) + 2 T_l R_{l-1}.
        Layers may be dense and convolutional in any order.

    Args:
        log_terms: log T_1 .. log T_L, L >= 1, each of shape (...).
        data_norm: B >= 0, the Frobenius norm of the matrix of all n examples. Not the norm of one example: if each has
            norm at most b, B is at most b sqrt(n).
        num_examples: n >= 1.
        num_classes: k >= 1.
        delta: delta_l >= 0, the bound on the mean squared output of layer l: one for all layers, or one for each.
        sizes: None for the derived bound; S_1..S_L (1 for dense layers) for the printed one, which has S_l delta_l
            instead of delta_l below the last layer.

    Returns:
        The logarithm of the bound, shape (...).

    Source:
        Theorem 1 (eq. 6), Theorem 2 (eq. 14) and their corollaries. Corrected: eqs. 14, 15 and 53 print
        sqrt((S delta)_l), while the proof (eqs. 47 and 52) gives sqrt(delta_l). The recursion is checked against the
        closed forms.

    Raises:
        ValueError: if there is no layer, the lists differ in length, a count is not a positive integer, or a norm or
            variance is negative or not finite.

    Example:
        >>> log_terms = [torch.tensor(0.0, dtype=torch.float64)] * 2  # T_1 = T_2 = 1
        >>> round(float(rademacher_log_bound(log_terms, 2.0, 2, 1).exp()), 6)  # 1 + 2 * (1 + 1 * 2 / 2)
        5.0
    """
    if not log_terms:
        raise ValueError("log_terms must hold one term for each of at least 1 layer, got none.")
    require_nonnegative("data_norm", data_norm)
    require_count("num_examples", num_examples)
    require_count("num_classes", num_classes)
    log_offsets = _log_offsets(delta, sizes, len(log_terms))
    carried = log_terms[0] + _log(data_norm / num_examples)
    bound = torch.logaddexp(carried.new_tensor(log_offsets[0]), carried)
    for log_term, log_offset in zip(log_terms[1:], log_offsets[1:], strict=True):
        bound = torch.logaddexp(bound.new_tensor(log_offset), math.log(2) + log_term + bound)
    return bound + math.log(num_classes)


def dense_bound(
    weights: Sequence[Tensor],
    keep_rates: Sequence[Tensor] | None,
    data_norm: float,
    num_examples: int,
    num_classes: int,
    num_untouched: int = 0,
    delta: float | Sequence[float] = 1.0,
) -> Tensor:
    """Upper bound on the local Rademacher complexity of a fully connected network, with dropout or without.

    Formula:
        `rademacher_log_bound` of the terms `dense_log_term`.

    Args:
        weights: W_1..W_L, each (..., k_l, k_{l-1}).
        keep_rates: theta_0..theta_{L-1}, theta_0 of the data, each (..., k_l), or None for a network without dropout.
        data_norm: B >= 0, the Frobenius norm of the matrix of all examples.
        num_examples: n >= 1.
        num_classes: k >= 1.
        num_untouched: h >= 0.
        delta: delta_l >= 0, one for all layers or one for each.

    Returns:
        The bound, shape (...); infinity if it is above the range of the dtype.

    Source:
        Theorem 1 (eq. 6) and Corollary 1.

    Raises:
        ValueError: as the two functions, or if there are not as many keep rates as weights.

    Example:
        >>> W = torch.ones(1, 1, dtype=torch.float64)
        >>> round(float(dense_bound([W, W], [W[0], W[0] / 2], 2.0, 2, 1)), 6)  # 1 + 2 * 0.5 * (1 + 1)
        3.0
    """
    rates = _one_for_each(keep_rates, len(weights))
    log_terms = [dense_log_term(W, theta, num_untouched) for W, theta in zip(weights, rates, strict=True)]
    return rademacher_log_bound(log_terms, data_norm, num_examples, num_classes, delta).exp()


def convolutional_bound(
    kernels: Sequence[Tensor],
    keep_rates: Sequence[Tensor] | None,
    data_norm: float,
    num_examples: int,
    num_classes: int,
    num_untouched: int = 0,
    delta: float | Sequence[float] = 1.0,
    variant: BoundVariant = "derived",
) -> Tensor:
    """Upper bound on the local Rademacher complexity of a convolutional network, with DropBlock or without.

    Formula:
        `rademacher_log_bound` of the terms `convolutional_log_term`; "printed" has sqrt(S_l delta_l) for sqrt(delta_l)
        below the last layer and is never smaller, since S_l >= 1.

    Args:
        kernels: W_1..W_L, each (c_l, c_{l-1}, p, q).
        keep_rates: keep matrices of the maps below each layer, (c_{l-1}, height, width) or (height, width), or None.
        data_norm: B >= 0, the Frobenius norm of the matrix of all examples.
        num_examples: n >= 1.
        num_classes: k >= 1.
        num_untouched: h >= 0.
        delta: delta_l >= 0, one for all layers or one for each.
        variant: "derived", or "printed" for the paper's formula.

    Returns:
        The bound, a scalar; infinity if it is above the range of the dtype.

    Source:
        Theorem 2 (eq. 14), Corollary 2 (eq. 15), section 3.4 for many channels.

    Raises:
        ValueError: as the two functions, if there are not as many keep rates as kernels, or the variant is unknown.

    Example:
        >>> W = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)  # T = sqrt(4) * 1
        >>> [round(float(convolutional_bound([W, W], None, 1.0, 1, 1, variant=v)), 6) for v in ("derived", "printed")]
        [13.0, 17.0]
    """
    if variant not in ("derived", "printed"):
        raise ValueError(f"variant must be 'derived' or 'printed', got {variant!r}.")
    rates = _one_for_each(keep_rates, len(kernels))
    log_terms = [convolutional_log_term(W, theta, num_untouched) for W, theta in zip(kernels, rates, strict=True)]
    sizes = [W.numel() for W in kernels] if variant == "printed" else None
    return rademacher_log_bound(log_terms, data_norm, num_examples, num_classes, delta, sizes).exp()


def _log_offsets(delta: float | Sequence[float], sizes: Sequence[int] | None, num_layers: int) -> list[float]:
    """Logarithms of sqrt(delta_l), below the last layer of sqrt(S_l delta_l) if sizes are given."""
    deltas = list(delta) if isinstance(delta, Sequence) else [delta] * num_layers
    require_equal_sizes("delta must be one number or one for each layer", (len(deltas), num_layers))
    for value in deltas:
        require_nonnegative("delta", value)
    if sizes is None:
        return [_log(value) / 2 for value in deltas]
    require_equal_sizes("sizes must hold one size for each layer", (len(sizes), num_layers))
    for size in sizes:
        require_count("sizes", size)
    factors = [*sizes[:-1], 1]
    return [_log(value * factor) / 2 for value, factor in zip(deltas, factors, strict=True)]


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _one_for_each(keep_rates: Sequence[Tensor] | None, num_layers: int) -> Sequence[Tensor | None]:
    if keep_rates is None:
        return [None] * num_layers
    require_equal_sizes("keep_rates must hold one entry for each layer", (len(keep_rates), num_layers))
    return keep_rates


def _require_rates(keep_rates: Tensor) -> None:
    require_finite("keep_rates", keep_rates)
    low, high = float(keep_rates.detach().min()), float(keep_rates.detach().max())
    if low < 0 or high > 1:
        raise ValueError(f"keep_rates must lie in [0, 1], got entries from {low} to {high}.")
