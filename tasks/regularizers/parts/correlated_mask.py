"""Multiplicative masks with an arbitrary mean vector and covariance matrix, as in Lemma 10 of Pal et al. 2020."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from tasks.regularizers.parts.masking import dtype_of_masks
from tasks.runtime.streams import MaskStream
from tasks.theory.checks import require_finite, require_matrix

NUM_NODES = 64  # of the quadrature; its error is below 1e-10 for latent correlations up to 0.999
NUM_BISECTIONS = 50
TOLERANCE = 1e-8  # by which an eigenvalue may fall below 0


class CorrelatedMask(nn.Module):
    """y = x z / mean, with one z of the given mean and covariance per sample; eval is the identity.

    `gaussian` masks are N(mean, covariance). `binary` ones take the values 0 and 1: z_i = 1 if a latent standard normal
    l_i is below its quantile at mean_i, where the correlations of l are chosen so that z has the given covariance
    (Emrich and Piedmonte 1991). Their variances can only be mean (1 - mean).

    Args:
        mean: shape (D,), no entry 0; in (0, 1) for binary masks.
        covariance: shape (D, D), symmetric and positive semidefinite.
        stream: of the random numbers.
        values: `gaussian` or `binary`.

    Raises:
        ValueError: for a mean or a covariance that no such mask has, or that this method cannot generate.

    Example:
        >>> stream = MaskStream(0, "example", "cpu")
        >>> mask = CorrelatedMask(torch.full((2,), 0.5), torch.full((2, 2), 0.25), stream, values="binary")
        >>> y = mask(torch.ones(1000, 2))
        >>> bool((y[:, 0] == y[:, 1]).all()), sorted(y.unique().tolist())
        (True, [0.0, 2.0])

    A regularizer with other moments fills its sites with this module. Register its class by an entry point of the group
    `regarena.regularizers`, or by a line in REGULARIZERS; its fields can then be tuned like all others:

        >>> from dataclasses import dataclass
        >>> from tasks.regularizers.base import Context, Regularizer
        >>> from tasks.sites import Site, measure_sites
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Rivals(Regularizer):
        ...     correlation: float = -0.3  # of neighbours: negative, so they are rarely kept together
        ...     acts_on = ("dense",)
        ...
        ...     def fill(self, site: Site, context: Context) -> nn.Module:
        ...         unit = torch.arange(site.shape[0])
        ...         mean = torch.linspace(0.4, 0.7, len(unit))
        ...         deviation = (mean * (1 - mean)).sqrt()
        ...         correlations = self.correlation ** (unit[:, None] - unit).abs()
        ...         covariance = correlations * torch.outer(deviation, deviation)
        ...         return CorrelatedMask(mean, covariance, context.masks(site.name), values="binary")
        >>> network = nn.Sequential(nn.Linear(3, 4), Site("dense"), nn.Linear(4, 2))
        >>> measure_sites(network, torch.zeros(1, 3))
        >>> sizes = {"num_train_samples": 9, "num_epochs": 1, "num_steps": 1, "learning_rate": 0.1}
        >>> hooks = Rivals().attach(network, Context(seed=0, device=torch.device("cpu"), name="rivals", **sizes))
        >>> kept = network[1](torch.ones(20_000, 4)) > 0
        >>> kept.float().mean(0).round(decimals=1).tolist() == torch.linspace(0.4, 0.7, 4).round(decimals=1).tolist()
        True
        >>> round(float(torch.corrcoef(kept[:, :2].mT.float())[0, 1]), 1)
        -0.3
    """

    def __init__(
        self,
        mean: Tensor,
        covariance: Tensor,
        stream: MaskStream,
        *,
        values: Literal["gaussian", "binary"] = "gaussian",
    ) -> None:
        super().__init__()
        mean, covariance = mean.double(), covariance.double()
        require_finite("mean", mean)
        require_matrix("covariance", covariance, square=True)
        if covariance.shape != (len(mean), len(mean)) or not torch.allclose(covariance, covariance.mT):
            raise ValueError(f"covariance must be symmetric of size {len(mean)}, got shape {tuple(covariance.shape)}.")
        if bool((mean == 0).any()):
            raise ValueError("mean must have no zero entry, since masks are divided by it, got one that is 0.")
        self._binary, self._stream = values == "binary", stream
        latent = latent_correlations(mean, covariance) if self._binary else covariance
        factor, mean = _factor(latent).to(stream.device), mean.to(stream.device)
        # Divided by the mean once, here: z / mean = 1 + (factor / mean) normal, or [normal < quantile] / mean.
        self.register_buffer("_factor", factor if self._binary else factor / mean[:, None])
        self.register_buffer("_quantile", torch.special.ndtri(mean) if self._binary else torch.ones_like(mean))
        self.register_buffer("_scale", 1 / mean)

    _factor: Tensor
    _quantile: Tensor
    _scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Masked in training, `x` itself in eval mode. Shape (B, D)."""
        if not self.training:
            return x
        dtype = dtype_of_masks(x.dtype)  # 16 bits are too few for rates near 0 or 1, too
        with torch.autocast(x.device.type, enabled=False):
            correlated = self._stream.normal(tuple(x.shape), dtype) @ self._factor.mT.to(dtype)
        if not self._binary:
            return (x * (1 + correlated)).to(x.dtype)
        return (x * torch.where(correlated < self._quantile.to(dtype), self._scale.to(dtype), 0)).to(x.dtype)


def latent_correlations(mean: Tensor, covariance: Tensor) -> Tensor:
    """Correlations of standard normals l for which the indicators of l_i < quantile(mean_i) have this covariance.

    Formula:
        Cov = integral over t from 0 to arcsin(correlation) of exp(-(a^2 + b^2 - 2 a b sin t) / (2 cos^2 t)) / (2 pi),
        a and b the two quantiles. It increases with the correlation and is solved for it by bisection.

    Raises:
        ValueError: if a mean lies outside (0, 1), a variance is not mean (1 - mean), or no binary masks have a
            covariance.
    """
    if not bool(((mean > 0) & (mean < 1)).all()):
        raise ValueError(f"mean must lie in (0, 1) for binary masks, got {mean.tolist()}.")
    if not torch.allclose(covariance.diagonal(), mean * (1 - mean)):
        raise ValueError("covariance must have the variances mean (1 - mean) on its diagonal for binary masks.")
    covariance = covariance.diagonal_scatter(mean * (1 - mean))  # exact, where they were rounded in 32 bits
    wanted, place = torch.unique(
        torch.stack([mean.expand_as(covariance), mean[:, None].expand_as(covariance), covariance], -1).flatten(0, 1),
        dim=0,
        return_inverse=True,
    )
    low, high = torch.full_like(wanted[:, 2], -math.pi / 2), torch.full_like(wanted[:, 2], math.pi / 2)
    first, second = torch.special.ndtri(wanted[:, :2]).unbind(1)
    for bound, sign in ((low, -1), (high, 1)):
        if bool((sign * (wanted[:, 2] - _indicator_covariance(bound, first, second)) > TOLERANCE).any()):
            raise ValueError("covariance has an entry that no pair of binary masks with these means can have.")
    for _ in range(NUM_BISECTIONS):
        middle = (low + high) / 2
        below = _indicator_covariance(middle, first, second) < wanted[:, 2]
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    latent = torch.sin((low + high) / 2)[place].view_as(covariance)
    return latent.fill_diagonal_(1.0)


def _indicator_covariance(angle: Tensor, first: Tensor, second: Tensor) -> Tensor:
    nodes, weights = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(NUM_NODES))
    t = angle[:, None] * (nodes + 1) / 2
    exponent = first[:, None] ** 2 + second[:, None] ** 2 - 2 * (first * second)[:, None] * torch.sin(t)
    integrand = torch.exp(-exponent / (2 * torch.cos(t) ** 2).clamp(min=1e-300))
    return (integrand * weights).sum(1) * angle / (4 * math.pi)


def _factor(matrix: Tensor) -> Tensor:
    """A matrix F with F F' = matrix, which may be singular."""
    eigenvalues, eigenvectors = torch.linalg.eigh(matrix)
    if float(eigenvalues[0]) < -TOLERANCE * max(float(eigenvalues[-1]), 1.0):
        raise ValueError(
            "covariance must be positive semidefinite (for binary masks, that of the latent normals too), "
            f"got a smallest eigenvalue of {float(eigenvalues[0]):.3g}."
        )
    factor: Tensor = eigenvectors * eigenvalues.clamp(min=0).sqrt()
    return factor
