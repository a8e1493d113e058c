"""Checks of arguments, whose messages name the rule, the value received and what is allowed."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def require_count(name: str, value: int, at_least: int = 1) -> None:
    """Raise ValueError unless `value` is an integer (no bool) that is at least `at_least`.

    Example:
        >>> require_count("width", 3)
        >>> require_count("width", 0)
        Traceback (most recent call last):
        ValueError: width must be an integer >= 1, got 0.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ValueError(f"{name} must be an integer >= {at_least}, got {value!r}.")


def require_keep_rate(name: str, value: float, one_allowed: bool = True) -> None:
    """Raise ValueError unless `value` is a keep rate: above 0 and up to 1, where 1 itself may be excluded.

    Example:
        >>> require_keep_rate("keep", 1.0)
        >>> require_keep_rate("keep", 0.0)
        Traceback (most recent call last):
        ValueError: keep must lie in (0, 1], got 0.0.
    """
    inside = 0 < value <= 1 if one_allowed else 0 < value < 1  # False for NaN
    if not inside:
        raise ValueError(f"{name} must lie in (0, 1{']' if one_allowed else ')'}, got {value}.")


def require_nonnegative(name: str, value: float) -> None:
    """Raise ValueError unless `value` is finite and at least 0.

    Example:
        >>> require_nonnegative("lam", -1.0)
        Traceback (most recent call last):
        ValueError: lam must be finite and >= 0, got -1.0.
    """
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be finite and >= 0, got {value}.")


def require_matrix(name: str, value: Tensor, square: bool = False) -> None:
    """Raise ValueError unless `value` holds finite, non-empty matrices in its last two dimensions (if asked, square).

    Example:
        >>> require_matrix("M", torch.ones(2, 3), square=True)
        Traceback (most recent call last):
        ValueError: M must be square in its last two dimensions, got shape (2, 3).
    """
    shape = tuple(value.shape)
    if value.dim() < 2 or 0 in shape:
        raise ValueError(f"{name} must be a non-empty tensor of at least 2 dimensions, got shape {shape}.")
    if square and shape[-1] != shape[-2]:
        raise ValueError(f"{name} must be square in its last two dimensions, got shape {shape}.")
    require_floating(name, value)
    require_finite(name, value)


def require_floating(name: str, value: Tensor) -> None:
    """Raise ValueError unless `value` holds real floating-point numbers.

    Example:
        >>> require_floating("M", torch.ones(2, 2, dtype=torch.int64))
        Traceback (most recent call last):
        ValueError: M must hold floating-point numbers, got torch.int64.
    """
    if not value.is_floating_point():
        raise ValueError(f"{name} must hold floating-point numbers, got {value.dtype}.")


def require_alike(**tensors: Tensor) -> None:
    """Raise ValueError unless all tensors have the same dtype, and their dimensions but the last two broadcast.

    Example:
        >>> require_alike(U=torch.ones(2, 3, 3), V=torch.ones(4, 3, 3))
        Traceback (most recent call last):
        ValueError: U and V must have leading dimensions that broadcast together, got (2,) and (4,).
    """
    names = " and ".join(tensors)
    dtypes = [tensor.dtype for tensor in tensors.values()]
    if len(set(dtypes)) > 1:
        raise ValueError(f"{names} must have one dtype, got {' and '.join(map(str, dtypes))}.")
    leading = [tuple(tensor.shape[:-2]) for tensor in tensors.values()]
    try:
        torch.broadcast_shapes(*leading)  # type: ignore[no-untyped-call]  # torch has no type for it
    except RuntimeError:
        found = " and ".join(map(str, leading))
        raise ValueError(f"{names} must have leading dimensions that broadcast together, got {found}.") from None


def require_finite(name: str, value: Tensor) -> None:
    """Raise ValueError unless every entry of `value` is finite.

    Example:
        >>> require_finite("M", torch.tensor([1.0, torch.inf]))
        Traceback (most recent call last):
        ValueError: M must have finite entries only, got 1 that are not.
    """
    num_bad = int((~torch.isfinite(value)).sum())
    if num_bad:
        raise ValueError(f"{name} must have finite entries only, got {num_bad} that are not.")


def require_singular_values(name: str, value: Tensor) -> None:
    """Raise ValueError unless `value` is a non-empty vector (last dimension) of finite numbers, none below 0.

    Example:
        >>> require_singular_values("singular_values", torch.tensor([1.0, -2.0]))
        Traceback (most recent call last):
        ValueError: singular_values must not be negative, got -2.0.
    """
    if value.dim() < 1 or value.numel() == 0:
        raise ValueError(f"{name} must be a non-empty vector, got shape {tuple(value.shape)}.")
    require_floating(name, value)
    require_finite(name, value)
    smallest = float(value.detach().min())
    if smallest < 0:
        raise ValueError(f"{name} must not be negative, got {smallest}.")


def require_equal_sizes(rule: str, sizes: Sequence[int]) -> None:
    """Raise ValueError unless all sizes are equal; `rule` begins the message.

    Example:
        >>> require_equal_sizes("U and V must have the same number of columns", (2, 3))
        Traceback (most recent call last):
        ValueError: U and V must have the same number of columns, got 2 and 3.
    """
    if len(set(sizes)) != 1:
        raise ValueError(f"{rule}, got {' and '.join(str(size) for size in sizes)}.")


def require_block_size(block_size: int, width: int) -> None:
    """Raise ValueError unless `block_size` is a positive divisor of `width`.

    Example:
        >>> require_block_size(2, 5)
        Traceback (most recent call last):
        ValueError: block_size must divide the width 5, got 2; allowed are [1, 5].
    """
    require_count("block_size", block_size)
    require_count("width", width)
    if width % block_size:
        divisors = [size for size in range(1, width + 1) if width % size == 0]
        raise ValueError(f"block_size must divide the width {width}, got {block_size}; allowed are {divisors}.")


def require_positive_semidefinite(name: str, value: Tensor, definite: bool = False) -> None:
    """Raise ValueError unless `value` holds symmetric matrices without negative eigenvalues (if asked, all positive).

    Eigenvalues within rounding of zero count as zero.

    Example:
        >>> require_positive_semidefinite("C", torch.diag(torch.tensor([1.0, -1.0])))
        Traceback (most recent call last):
        ValueError: C must be positive semidefinite, got the smallest eigenvalue -1.0.
    """
    require_matrix(name, value, square=True)
    size = float(value.detach().abs().max())
    if not torch.allclose(value, value.mT, rtol=0, atol=1e-8 * size if value.dtype == torch.float64 else 1e-5 * size):
        raise ValueError(f"{name} must be symmetric, got a matrix that differs from its transpose.")
    eigenvalues = torch.linalg.eigvalsh(value.detach())
    smallest = float(eigenvalues.min())
    rounding = 10 * value.shape[-1] * torch.finfo(value.dtype).eps * float(eigenvalues.abs().max())
    if smallest < -rounding or (definite and smallest <= rounding):
        kind = "definite" if definite else "semidefinite"
        raise ValueError(f"{name} must be positive {kind}, got the smallest eigenvalue {smallest}.")


def require_widths(hidden_widths: Sequence[int]) -> None:
    """Raise ValueError unless there is at least one width and all are positive integers.

    Example:
        >>> require_widths([])
        Traceback (most recent call last):
        ValueError: hidden_widths must name at least one hidden layer, got none.
    """
    if not isinstance(hidden_widths, Sequence):
        raise ValueError(f"hidden_widths must be a sequence of integers, got {hidden_widths!r}.")
    if not hidden_widths:
        raise ValueError("hidden_widths must name at least one hidden layer, got none.")
    for width in hidden_widths:
        require_count("hidden_widths", width)
