"""Eigenvalue and singular value decompositions with gradients that stay finite where values coincide.

The derivative of an eigenvector has a term 1 / (l_j - l_i) for every other eigenvalue. Where two eigenvalues coincide,
their vectors are an arbitrary basis of a plane and have no derivative; here those terms are 0. A function that depends
only on the plane has the correct gradient then. Where no values coincide, gradients equal torch's.
"""

import torch
from torch import Tensor

GAP_IN_ROUNDINGS = 1e3  # in rounding errors of the largest value; smaller gaps and values count as 0


def eigenvectors(matrix: Tensor) -> Tensor:
    """Eigenvectors of symmetric matrices (..., n, n), as columns, in ascending order of eigenvalues.

    Example:
        >>> A = torch.eye(2, dtype=torch.float64).requires_grad_()
        >>> eigenvectors(A).sum().backward()
        >>> A.grad
        tensor([[0., 0.],
                [0., 0.]], dtype=torch.float64)
    """
    values, vectors = torch.linalg.eigh(matrix.detach())
    changes = vectors.mT @ (matrix - matrix.detach()) @ vectors
    moved: Tensor = vectors + vectors @ (_inverse(values[..., None, :] - values[..., :, None], values) * changes)
    return moved


def singular_values_and_vectors(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """P, s and W' with P diag(s) W' = the matrix (..., a, b), as `torch.linalg.svd` without full matrices.

    Example:
        >>> A = torch.tensor([[3.0, 0.0], [0.0, 0.0], [0.0, 0.0]], dtype=torch.float64).requires_grad_()
        >>> left, values, right = singular_values_and_vectors(A)  # of rank 1
        >>> values.sum().backward()
        >>> A.grad.isfinite().all()
        tensor(True)
    """
    left, values, right = torch.linalg.svd(matrix.detach(), full_matrices=False)
    right = right.mT
    change = matrix - matrix.detach()
    inner = left.mT @ change @ right
    squares = values.square()
    gaps = _inverse(squares[..., None, :] - squares[..., :, None], squares)
    columns, rows = values[..., None, :], values[..., :, None]
    turn_left = left @ (gaps * (inner * columns + rows * inner.mT))
    turn_right = right @ (gaps * (rows * inner + inner.mT * columns))
    inverse = _inverse(values, values)[..., None, :]
    outside_left = (change @ right - left @ inner) * inverse
    outside_right = (change.mT @ left - right @ inner.mT) * inverse
    moved = values + inner.diagonal(dim1=-2, dim2=-1)
    return left + turn_left + outside_left, moved, (right + turn_right + outside_right).mT


def _inverse(numbers: Tensor, values: Tensor) -> Tensor:
    """1 / numbers, and 0 for numbers that are negligible compared with the largest of `values`."""
    least = GAP_IN_ROUNDINGS * torch.finfo(values.dtype).eps * values.abs().amax(-1)
    is_some = numbers.abs() > least[(..., *(None,) * (numbers.dim() - least.dim()))]
    return torch.where(is_some, 1 / torch.where(is_some, numbers, 1.0), 0.0)
