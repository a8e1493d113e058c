"""One mini-batch step of SGD on a factor model with dropout on its hidden units, without autograd.

A prediction is sum_i s_i U_ri V_ci, with s the mask divided by the keep rate. The gradient is zero except for the rows
of the factors that the batch observes, so a step changes those in place, and its cost does not depend on the numbers of
rows. If numba is installed, the step is a compiled loop, with the same result up to rounding.
"""

import torch
from torch import Tensor

from tasks.runtime import compiled
from tasks.theory.checks import require_keep_rate, require_nonnegative

COMPILED_DTYPES = (torch.float32, torch.float64)


def completion_step(
    U: Tensor,
    V: Tensor,
    rows: Tensor,
    columns: Tensor,
    values: Tensor,
    learning_rate: float,
    mask: Tensor | None = None,
    keep_rate: float = 1.0,
) -> Tensor:
    """Take one step of SGD on the mean squared error of a batch, in place; compiled where possible.

    Formula:
        e_j = sum_i s_ji U_{r_j i} V_{c_j i} - y_j with the factors before the step, s = mask / keep_rate; then
        U_{r_j i} -= (2 eta / n) e_j s_ji V_{c_j i} and V_{c_j i} -= (2 eta / n) e_j s_ji U_{r_j i}, summed over j, with
        the factors before the step on the right. (Updating sample by sample is a different algorithm.)

    Args:
        U: row factors (a, d), changed in place.
        V: column factors (b, d), changed in place.
        rows: r, int64 in 0..a-1, shape (n,); a row may occur more than once.
        columns: c, int64 in 0..b-1, shape (n,).
        values: y, shape (n,).
        learning_rate: eta >= 0.
        mask: bool, (d,) for one mask that the batch shares, (n, d) for one per entry, or None for no dropout. Both have
            the same expected loss (`tasks.theory.matrix_completion.completion_regularizer`); a shared one is cheaper.
        keep_rate: in (0, 1], by which kept units are divided.

    Returns:
        The mean squared error of the batch under the mask, before the step, a scalar. If training has diverged it is
        not finite, which is not checked here.

    Source:
        Mianjy, thesis, section 4.6 (SGD with dropout on MovieLens); checked against autograd over three steps.

    Raises:
        ValueError: if shapes do not fit, or a rate lies outside its range.
        IndexError: if a row or a column lies outside its factor.

    Example:
        >>> U, V = torch.ones(1, 2), torch.ones(1, 2)
        >>> entry, mask = torch.tensor([0]), torch.tensor([True, False])
        >>> float(completion_step(U, V, entry, entry, torch.tensor([1.0]), 0.25, mask, keep_rate=0.5))  # (2 - 1)^2
        1.0
        >>> U  # 1 - 0.25 * 2 * 1 * 2 * 1 where kept
        tensor([[0., 1.]])
    """
    scales = _scales(U, V, rows, columns, values, learning_rate, mask, keep_rate)
    on_cpu = U.device.type == "cpu" and U.dtype in COMPILED_DTYPES
    if on_cpu and U.is_contiguous() and V.is_contiguous() and compiled.is_available():
        from tasks.theory.completion_kernels_compiled import step

        return step(U, V, rows, columns, values, scales, learning_rate)
    return _step(U, V, rows, columns, values, scales, learning_rate)


def completion_step_portably(
    U: Tensor,
    V: Tensor,
    rows: Tensor,
    columns: Tensor,
    values: Tensor,
    learning_rate: float,
    mask: Tensor | None = None,
    keep_rate: float = 1.0,
) -> Tensor:
    """`completion_step` without compiled loops, on any device."""
    scales = _scales(U, V, rows, columns, values, learning_rate, mask, keep_rate)
    return _step(U, V, rows, columns, values, scales, learning_rate)


@torch.no_grad()
def _step(
    U: Tensor, V: Tensor, rows: Tensor, columns: Tensor, values: Tensor, scales: Tensor, learning_rate: float
) -> Tensor:
    left, right = U.index_select(0, rows), V.index_select(0, columns)
    if scales.shape[0] == 1:
        errors = (left * right) @ scales[0] - values
    else:
        errors = torch.linalg.vecdot(left * right, scales) - values
    factors = errors.mul(-2 * learning_rate / rows.numel())[:, None] * scales
    U.index_add_(0, rows, right.mul_(factors))
    V.index_add_(0, columns, left.mul_(factors))
    return errors.square().mean()


def _scales(
    U: Tensor,
    V: Tensor,
    rows: Tensor,
    columns: Tensor,
    values: Tensor,
    learning_rate: float,
    mask: Tensor | None,
    keep_rate: float,
) -> Tensor:
    """Check all arguments and return the mask divided by the keep rate, (1, d) or (n, d)."""
    require_nonnegative("learning_rate", learning_rate)
    require_keep_rate("keep_rate", keep_rate)
    if U.dim() != 2 or V.dim() != 2 or U.shape[1] != V.shape[1]:
        found = f"{tuple(U.shape)} and {tuple(V.shape)}"
        raise ValueError(f"U and V must be matrices with the same number of columns, got shapes {found}.")
    num_entries, width = rows.numel(), U.shape[1]
    if num_entries == 0 or not rows.shape == columns.shape == values.shape == (num_entries,):
        found = ", ".join(str(tuple(each.shape)) for each in (rows, columns, values))
        raise ValueError(f"rows, columns and values must be non-empty vectors of equal length, got shapes {found}.")
    if not U.dtype == V.dtype == values.dtype:
        raise ValueError(f"U, V and values must have the same dtype, got {U.dtype}, {V.dtype} and {values.dtype}.")
    if not rows.dtype == columns.dtype == torch.int64:
        raise ValueError(f"rows and columns must hold int64, got {rows.dtype} and {columns.dtype}.")
    if mask is None:
        return U.new_ones(1, width)
    if mask.dtype != torch.bool or mask.shape not in ((width,), (num_entries, width)):
        allowed, found = f"({width},) or ({num_entries}, {width})", f"{mask.dtype} of shape {tuple(mask.shape)}"
        raise ValueError(f"mask must be boolean, of shape {allowed}, got {found}.")
    return mask.reshape(-1, width).to(U.dtype).mul_(1 / keep_rate)
