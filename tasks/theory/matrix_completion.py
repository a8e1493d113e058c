"""Dropout in matrix completion: the explicit regularizer, the weighted trace norm that it induces, and the bound.

A matrix M (..., a, b) is modelled as UV' with U (..., a, d), V (..., b, d) and width d. Of n observed entries, `rows`
and `columns` (n,) hold the indices and `values` (n,) the values. Losses are means over entries, without 1/2. Entries
are drawn from a product distribution: (i, k) with probability p_i q_k.

Source: Mianjy, PhD thesis (Johns Hopkins University), section 4.2; Arora, Bartlett, Mianjy and Srebro 2020,
"Dropout: Explicit forms and capacity control".
"""

import math
from typing import Literal

import torch
from torch import Tensor

from tasks.theory.checks import (
    require_alike,
    require_count,
    require_equal_sizes,
    require_finite,
    require_floating,
    require_matrix,
    require_nonnegative,
)

BoundVariant = Literal["derived", "printed"]


def completion_loss(U: Tensor, V: Tensor, rows: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """Mean squared error of a factor model on the observed entries, without dropout.

    Formula:
        L = (1 / n) sum_j (y_j - <u_{r_j}, v_{c_j}>)^2, u_i and v_k the rows of U and V.

    Args:
        U: row factors (..., a, d).
        V: column factors (..., b, d).
        rows: r, integers in 0..a-1, shape (n,).
        columns: c, integers in 0..b-1, shape (n,).
        values: y, shape (n,).

    Returns:
        The loss, shape (...).

    Source:
        Eq. 4.1 and section 4.2.

    Raises:
        ValueError: if a factor is not finite, the widths differ, or the entries do not fit them or one another.

    Example:
        >>> U, V = torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[3.0, 4.0], [0.0, 1.0]]).double()
        >>> completion_loss(U, V, torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([10.0, 2.0]).double())
        tensor(0.5000, dtype=torch.float64)
    """
    products = _products(U, V, rows, columns)
    require_floating("values", values)
    require_finite("values", values)
    require_equal_sizes("values must hold one number for each observed entry", (values.numel(), rows.numel()))
    return (values - products.sum(-1)).square().mean(-1)


def completion_regularizer(U: Tensor, V: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """What dropout on the hidden units adds to the expected loss on the observed entries, without its strength.

    Formula:
        R = (1 / n) sum_j sum_i U_{r_j i}^2 V_{c_j i}^2. With masks B_ii ~ Ber(1 - p) / (1 - p), one for all entries or
        one for each, E (1 / n) sum_j (y_j - <u_{r_j}, B v_{c_j}>)^2 = L + p / (1 - p) R.

    Args:
        U: row factors (..., a, d).
        V: column factors (..., b, d).
        rows: r, integers in 0..a-1, shape (n,).
        columns: c, integers in 0..b-1, shape (n,).

    Returns:
        R, shape (...), without the strength (`dropout_strength`).

    Source:
        Eq. 4.2 and Proposition 3. The texts leave open whether entries share a mask; checked by enumerating all masks.

    Raises:
        ValueError: as `completion_loss`.

    Example:
        >>> U, V = torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[3.0, 4.0]]).double()
        >>> completion_regularizer(U, V, torch.tensor([0]), torch.tensor([0]))  # 1 * 9 + 4 * 16
        tensor(73., dtype=torch.float64)
    """
    return _products(U, V, rows, columns).square().sum(-1).mean(-1)


def dropout_strength(drop_rate: float) -> float:
    """Weight of the explicit regularizer: the variance of a mask that is divided by its keep rate.

    Formula:
        lambda = p / (1 - p).

    Args:
        drop_rate: p in [0, 1).

    Returns:
        lambda >= 0.

    Source:
        Propositions 3 and 5. Not to be confused with lambda = (1 - theta) / theta of chapter 2, where theta = 1 - p is
        the keep rate: the number is the same.

    Raises:
        ValueError: if p lies outside [0, 1).

    Example:
        >>> dropout_strength(0.0), dropout_strength(0.5), dropout_strength(0.75)
        (0.0, 1.0, 3.0)
    """
    if not 0 <= drop_rate < 1:
        raise ValueError(f"drop_rate must lie in [0, 1), got {drop_rate}.")
    return drop_rate / (1 - drop_rate)


def weighted_trace_norm(matrix: Tensor, row_probabilities: Tensor, column_probabilities: Tensor) -> Tensor:
    """Sum of the singular values of a matrix whose rows and columns are scaled by the roots of their probabilities.

    Formula:
        ||diag(sqrt p) M diag(sqrt q)||_*.

    Args:
        matrix: M (..., a, b).
        row_probabilities: p >= 0, shape (a,), sum 1.
        column_probabilities: q >= 0, shape (b,), sum 1.

    Returns:
        The norm, shape (...).

    Source:
        Section 4.2, after Salakhutdinov and Srebro 2010.

    Raises:
        ValueError: if M is not a finite matrix, or p or q is not a distribution over its rows or columns.

    Example:
        >>> even = torch.full((2,), 0.5, dtype=torch.float64)
        >>> weighted_trace_norm(torch.eye(2).double(), even, even)  # two singular values of 1/2
        tensor(1.0000, dtype=torch.float64)
    """
    require_matrix("matrix", matrix)
    require_probabilities("row_probabilities", row_probabilities, matrix.shape[-2])
    require_probabilities("column_probabilities", column_probabilities, matrix.shape[-1])
    scaled = row_probabilities.sqrt()[:, None] * matrix * column_probabilities.sqrt()
    total: Tensor = torch.linalg.svdvals(scaled).sum(-1)
    return total


def weighted_trace_norm_of_factors(
    U: Tensor, V: Tensor, row_probabilities: Tensor, column_probabilities: Tensor
) -> Tensor:
    """`weighted_trace_norm` of UV', at a cost of O((a + b) d^2) instead of O(a b); differentiable once.

    Formula:
        ||diag(sqrt p) U V' diag(sqrt q)||_*, by `trace_norm_of_factors`.

    Args:
        U: row factors (a, d).
        V: column factors (b, d).
        row_probabilities: p >= 0, shape (a,), sum 1.
        column_probabilities: q >= 0, shape (b,), sum 1.

    Returns:
        The norm, a scalar.

    Raises:
        ValueError: as `population_regularizer`.

    Example:
        >>> even, U = torch.full((2,), 0.5, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
        >>> norm = weighted_trace_norm_of_factors(U, U, even, even)  # of the identity: two singular values of 1/2
        >>> round(float(norm), 12)
        1.0
    """
    _require_factors(U, V)
    require_probabilities("row_probabilities", row_probabilities, U.shape[-2])
    require_probabilities("column_probabilities", column_probabilities, V.shape[-2])
    return trace_norm_of_factors(row_probabilities.sqrt()[:, None] * U, column_probabilities.sqrt()[:, None] * V)


def trace_norm_of_factors(A: Tensor, B: Tensor) -> Tensor:
    """The trace norm of AB', at a cost of O((a + b) d^2) instead of O(a b); differentiable once.

    Values are not checked, so that a training step can call it without waiting for the device.

    Formula:
        ||AB'||_* = tr(W'AB') with A = Q_A R_A, B = Q_B R_B (the Q have orthonormal columns), R_A R_B' = P S Q' and
        W = Q_A P Q' Q_B'. W is a subgradient of the norm and is treated as constant.

    Args:
        A: factor (a, d), finite floating-point numbers.
        B: factor (b, d), of the dtype and on the device of A.

    Returns:
        The norm, a scalar.

    Example:
        >>> round(float(trace_norm_of_factors(torch.eye(2).double(), 3 * torch.eye(2).double())), 12)
        6.0
    """
    with torch.no_grad():
        (left, left_R), (right, right_R) = torch.linalg.qr(A), torch.linalg.qr(B)
        P, _, Q_transposed = torch.linalg.svd(left_R @ right_R.mT, full_matrices=False)
        left, right = left @ P, right @ Q_transposed.mT
    total: Tensor = ((left.mT @ A) * (right.mT @ B)).sum()
    return total


def induced_regularizer(matrix: Tensor, row_probabilities: Tensor, column_probabilities: Tensor, width: int) -> Tensor:
    """Least expected regularizer of all factor models of a width that compute the matrix.

    Formula:
        Theta(M) = min over UV' = M of R(U, V) = ||diag(sqrt p) M diag(sqrt q)||_*^2 / d, attained where all hidden
        units contribute equally (`tasks.theory.linear.jointly_equalize` of the scaled factors).

    Args:
        matrix: M (..., a, b), of rank at most d.
        row_probabilities: p, shape (a,).
        column_probabilities: q, shape (b,).
        width: d >= 1. That M can be computed by this width is not checked.

    Returns:
        Theta(M), shape (...).

    Source:
        Proposition 4; checked by minimising over all factors of a matrix numerically.

    Raises:
        ValueError: as `weighted_trace_norm`, or if the width is not a positive integer.

    Example:
        >>> even = torch.full((2,), 0.5, dtype=torch.float64)
        >>> induced_regularizer(torch.eye(2).double(), even, even, width=4)
        tensor(0.2500, dtype=torch.float64)
    """
    require_count("width", width)
    return weighted_trace_norm(matrix, row_probabilities, column_probabilities).square() / width


def population_regularizer(U: Tensor, V: Tensor, row_probabilities: Tensor, column_probabilities: Tensor) -> Tensor:
    """Expected regularizer of dropout for entries drawn from a product distribution, without its strength.

    Formula:
        R(U, V) = sum_i (sum_r p_r U_ri^2) (sum_c q_c V_ci^2), the expectation of `completion_regularizer` over entries.
        It is at least `induced_regularizer` of UV'.

    Args:
        U: row factors (..., a, d).
        V: column factors (..., b, d).
        row_probabilities: p, shape (a,).
        column_probabilities: q, shape (b,).

    Returns:
        R, shape (...).

    Source:
        Proof of Proposition 4; checked by enumerating all entries.

    Raises:
        ValueError: if a factor is not finite, the widths differ, or p or q is not a distribution.

    Example:
        >>> even, U = torch.full((2,), 0.5, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
        >>> float(population_regularizer(U, U, even, even))  # two units of (1/2) (1/2) each
        0.5
    """
    _require_factors(U, V)
    require_probabilities("row_probabilities", row_probabilities, U.shape[-2])
    require_probabilities("column_probabilities", column_probabilities, V.shape[-2])
    return ((row_probabilities @ U.square()) * (column_probabilities @ V.square())).sum(-1)


def generalization_gap_bound(
    regularizer: float,
    width: int,
    row_probabilities: Tensor,
    column_probabilities: Tensor,
    num_examples: int,
    failure_probability: float,
    variant: BoundVariant = "derived",
) -> float:
    """Upper bound on true risk minus empirical risk of a factor model with a small regularizer, predictions clipped.

    Formula:
        derived: 8 C + 4 sqrt(log(2 / delta) / (2 n)), where
        C = sqrt(d R) [sqrt(2 m log(a + b) / n) + log(a + b) / (3 n sqrt(min_ik p_i q_k))], m = max(a, b),
        bounds the Rademacher complexity of all matrices with ||diag(sqrt p) M diag(sqrt q)||_*^2 <= d R.
        printed: 8 sqrt((2 d R m log m + log(2 / delta) / 4) / n).

    Args:
        regularizer: R(U, V) <= R, a level >= 0 chosen before the sample is drawn.
        width: d >= 1.
        row_probabilities: p > 0, shape (a,).
        column_probabilities: q > 0, shape (b,).
        num_examples: n >= 1.
        failure_probability: delta in (0, 1), the probability with which the bound may fail.
        variant: "derived", or "printed" for the thesis's formula, which assumes p_i q_k >= log(m) / (n sqrt(a b)).

    Returns:
        The bound, for values and predictions within [-1, 1] and values that are entries of a matrix (no noise); vacuous
        above 4.

    Source:
        Theorem 11 (alpha = d R). Corrected: Theorem 20, on which it rests, bounds the complexity by O(.) with an
        unknown constant, which Theorem 11 takes to be 1. That is too small: for 2x2 matrices and n = 2 the complexity
        is 1.207 sqrt(d R), printed is 0.833 sqrt(d R). C is the matrix Bernstein inequality (Tropp 2015, theorem
        6.1.1), whose second term covers rare entries without an assumption. Checked by listing all samples and signs.

    Raises:
        ValueError: if R is negative, a count is not a positive integer, p or q is not a distribution or has a zero,
            delta lies outside (0, 1), or the variant is unknown.

    Example:
        >>> even = torch.full((100,), 0.01, dtype=torch.float64)
        >>> round(generalization_gap_bound(1e-4, 10, even, even, 100_000, 0.05), 3)
        0.044
    """
    if variant not in ("derived", "printed"):
        raise ValueError(f"variant must be 'derived' or 'printed', got {variant!r}.")
    require_nonnegative("regularizer", regularizer)
    require_count("width", width)
    require_count("num_examples", num_examples)
    require_probabilities("row_probabilities", row_probabilities)
    require_probabilities("column_probabilities", column_probabilities)
    least = float(row_probabilities.min() * column_probabilities.min())
    if least == 0:
        raise ValueError("row_probabilities and column_probabilities must have no zero entry for a bound, got one.")
    if not 0 < failure_probability < 1:
        raise ValueError(f"failure_probability must lie in (0, 1), got {failure_probability}.")
    sizes = (row_probabilities.numel(), column_probabilities.numel())
    larger, level = max(sizes), width * regularizer
    confidence = math.log(2 / failure_probability)
    if variant == "printed":
        return 8 * math.sqrt((2 * level * larger * math.log(larger) + confidence / 4) / num_examples)
    logarithm = math.log(sum(sizes))
    spread = math.sqrt(2 * larger * logarithm / num_examples)
    rare = logarithm / (3 * num_examples * math.sqrt(least))
    return 8 * math.sqrt(level) * (spread + rare) + 4 * math.sqrt(confidence / (2 * num_examples))


def require_probabilities(name: str, value: Tensor, size: int | None = None) -> None:
    """Raise ValueError unless `value` is a distribution: a vector, of `size` entries if given, none negative, sum 1.

    Example:
        >>> require_probabilities("row_probabilities", torch.tensor([0.5, 0.75]).double())
        Traceback (most recent call last):
        ValueError: row_probabilities must sum to 1, got 1.25.
    """
    if value.dim() != 1 or value.numel() == 0:
        raise ValueError(f"{name} must be a non-empty vector, got shape {tuple(value.shape)}.")
    require_floating(name, value)
    require_finite(name, value)
    if size is not None:
        require_equal_sizes(f"{name} must hold one number for each row or column", (value.numel(), size))
    smallest, total = float(value.detach().min()), float(value.detach().double().sum())
    if smallest < 0:
        raise ValueError(f"{name} must not be negative, got {smallest}.")
    if abs(total - 1) > value.numel() * 10 * torch.finfo(value.dtype).eps:
        raise ValueError(f"{name} must sum to 1, got {total:.10g}.")


def _products(U: Tensor, V: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The product of each hidden unit for each observed entry, shape (..., n, d)."""
    _require_factors(U, V)
    _require_places("rows", rows, U.shape[-2])
    _require_places("columns", columns, V.shape[-2])
    require_equal_sizes("rows and columns must have the same length", (rows.numel(), columns.numel()))
    return U[..., rows, :] * V[..., columns, :]


def _require_factors(U: Tensor, V: Tensor) -> None:
    require_matrix("U", U)
    require_matrix("V", V)
    require_equal_sizes("U and V must have the same number of columns", (U.shape[-1], V.shape[-1]))
    require_alike(U=U, V=V)


def _require_places(name: str, value: Tensor, size: int) -> None:
    if value.dim() != 1 or value.numel() == 0:
        raise ValueError(f"{name} must be a non-empty vector, got shape {tuple(value.shape)}.")
    if value.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"{name} must hold integers (int64 or int32), got {value.dtype}.")
    smallest, largest = int(value.min()), int(value.max())
    if smallest < 0 or largest >= size:
        raise ValueError(f"{name} must lie in 0..{size - 1}, got values from {smallest} to {largest}.")
