"""Errors that follow from weights that are no longer finite, named as what they are: a divergence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.linalg import LinAlgError  # type: ignore[attr-defined]  # exported, but not by a list of names

from tasks.errors import DataError, Diverged


@contextmanager
def divergence_named(network: nn.Module) -> Iterator[None]:
    """Raise `Diverged` in place of errors that non-finite weights cause before a loss is found to be non-finite.

    These are the errors of decompositions (LinAlgError of torch and numpy) and of checks of values (ValueError), raised
    while a weight is not finite or so large that the sum of squares is not, or for a matrix that is not finite.
    """
    try:
        yield
    except DataError:
        raise
    except (LinAlgError, ValueError) as error:  # numpy's LinAlgError is a ValueError
        of_matrix = isinstance(error, LinAlgError) and "non-finite" in str(error)
        if not of_matrix and _is_finite(network):
            raise
        raise Diverged(f"The weights are no longer finite: {error}") from error


@torch.no_grad()
def _is_finite(network: nn.Module) -> bool:
    return all(bool(parameter.square().sum().isfinite()) for parameter in network.parameters())
