"""Preprocessing: from uint8 images to the inputs of a network. Applied batch by batch, on the device of training.

* `standard`: (x / 255 - mean) / std, channel by channel.
* `unit`: x / 255, for networks that include the normalisation.
* `gcn_zca`: global contrast normalisation of each image, then ZCA whitening (Srivastava et al. 2014, appendix B, as in
  pylearn2; Lu et al. 2021 follow them).
* `mean_zca`: per-pixel mean subtraction, then ZCA whitening (Zhai and Wang 2018, section 4).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from tasks.input_space import InputSpace

CPU = torch.device("cpu")
CONTRAST_NORM = 55.0  # as in pylearn2; the root mean square of 3072 values is then 0.992
ZCA_BIAS = 0.1  # added to the covariance's diagonal, as in pylearn2
_SMALLEST_DIVISOR = 1e-8  # an image whose norm is smaller has no contrast and is not divided
_CHUNK = 5_000  # images that are processed at once


class Preprocessing(ABC):
    """A map from uint8 images (B, C, H, W) to float images of the same shape."""

    @abstractmethod
    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """The images as the network takes them."""

    @abstractmethod
    def to(self, device: torch.device) -> Self:
        """The same map with its fitted tensors on `device`."""

    @property
    def input_space(self) -> InputSpace | None:
        """Scale and offset from grey levels in [0, 1] to network inputs; None if pixels are mixed (whitening)."""
        return None


@dataclass(frozen=True, kw_only=True)
class ChannelNormalisation(Preprocessing):
    """(x / 255 - mean) / std, channel by channel; `mean` and `std` are in [0, 1] units."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device = CPU  # of the images

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """The normalised images. Product and sum are rounded separately, so that all processors give the same bits."""
        scale_C11, shift_C11 = self._constants
        return images_BCHW.float().mul_(scale_C11).add_(shift_C11)

    @cached_property
    def _constants(self) -> tuple[Tensor, Tensor]:
        """Scale and shift on the device: a copy in every step would make an accelerator wait."""
        scale = torch.tensor([1 / (255 * std) for std in self.std])
        shift = torch.tensor([-mean / std for mean, std in zip(self.mean, self.std, strict=True)])
        return scale[:, None, None].to(self.device), shift[:, None, None].to(self.device)

    def to(self, device: torch.device) -> Self:
        """The same map for images on `device`."""
        return replace(self, device=device)

    @property
    def input_space(self) -> InputSpace:
        """Scale and offset from grey levels in [0, 1]."""
        return InputSpace(
            scale=tuple(1 / std for std in self.std),
            offset=tuple(-mean / std for mean, std in zip(self.mean, self.std, strict=True)),
            low=0.0,
            high=1.0,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Whitening(Preprocessing):
    """ZCA: (x - mean) P with the mean and the matrix of the training split, whatever split x comes from.

    P = E diag((lam + bias)^(-1/2)) E' for the eigenvalues lam and eigenvectors E of the training split's covariance
    (n in the denominator). Along E, the whitened training images have the variances lam / (lam + bias).

    x is first scaled so that the root mean square of a pixel is about 1, for which the bias is chosen. With
    `contrast_norm` (global contrast normalisation), each image minus its mean is scaled to that Euclidean norm;
    without, x / 255 is multiplied by `scale`.

    Args:
        mean_D: mean of each pixel.
        matrix_DD: P, symmetric.
        contrast_norm: Euclidean norm of every image; None switches contrast normalisation off.
        scale: factor on x / 255 without contrast normalisation.
    """

    mean_D: Tensor
    matrix_DD: Tensor
    contrast_norm: float | None
    scale: float = 1.0

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """The images, whitened."""
        rows_BD = _rows(images_BCHW, self.contrast_norm, self.scale)
        return (rows_BD.sub_(self.mean_D) @ self.matrix_DD).view(images_BCHW.shape)

    def tensors(self) -> dict[str, Tensor]:
        """The fitted tensors, to write them to a file."""
        return {"mean": self.mean_D, "matrix": self.matrix_DD, "scale": torch.tensor(self.scale, dtype=torch.float64)}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], contrast_norm: float | None) -> Self:
        """The whitening with these fitted tensors."""
        return cls(
            mean_D=tensors["mean"],
            matrix_DD=tensors["matrix"],
            contrast_norm=contrast_norm,
            scale=float(tensors["scale"]),
        )

    def to(self, device: torch.device) -> Self:
        """The same map, with its mean and its matrix on `device`."""
        return replace(self, mean_D=self.mean_D.to(device), matrix_DD=self.matrix_DD.to(device))


def normalisation_of(mean: tuple[float, ...], std: tuple[float, ...], preprocessing: str) -> ChannelNormalisation:
    """The map of the preprocessing `standard` or `unit`, for a data set with this mean and standard deviation."""
    if preprocessing == "unit":
        return ChannelNormalisation(mean=(0.0,) * len(mean), std=(1.0,) * len(std))
    return ChannelNormalisation(mean=mean, std=std)


FITTED = {"gcn_zca": CONTRAST_NORM, "mean_zca": None}
"""The norm of the contrast normalisation of each preprocessing that is fitted to the training split."""


def fit_whitening(images_NCHW: Tensor, contrast_norm: float | None = None, bias: float = ZCA_BIAS) -> Whitening:
    """Fit the whitening to the images of a training split.

    Means, sums over chunks of images and eigenvalues are in double precision, since the matrix amplifies the directions
    of the smallest eigenvalues. Unless there are fewer images than pixels, products within a chunk are in single
    precision.
    """
    scale = 1.0 if contrast_norm is not None else _scale_to_unit_deviation(images_NCHW)
    num_images, num_values = len(images_NCHW), images_NCHW[0].numel()
    mean_D = torch.zeros(num_values, dtype=torch.float64)
    for rows in _chunks(images_NCHW, contrast_norm, scale):
        mean_D += rows.double().sum(0) / num_images
    mean = mean_D.float()
    centred = (rows.sub_(mean) for rows in _chunks(images_NCHW, contrast_norm, scale))
    if num_images < num_values:
        matrix = _from_few(torch.cat(list(centred)).double(), bias)
    else:
        covariance = torch.zeros(num_values, num_values, dtype=torch.float64)
        for rows in centred:
            covariance += (rows.T @ rows).double()
        eigenvalues, vectors = torch.linalg.eigh(covariance.div_(num_images))
        matrix = (vectors * (eigenvalues.clamp_min(0) + bias).rsqrt()) @ vectors.T
    matrix = ((matrix + matrix.T) / 2).float()
    return Whitening(mean_D=mean, matrix_DD=matrix, contrast_norm=contrast_norm, scale=scale)


def _from_few(rows_ND: Tensor, bias: float) -> Tensor:
    """The matrix P from fewer images than pixels (N < D), by the smaller N x N matrix of inner products.

    The covariance has at most N eigenvectors V with eigenvalues lam > 0:
    P = bias^(-1/2) I + V diag((lam + bias)^(-1/2) - bias^(-1/2)) V'.
    """
    num_images, num_values = rows_ND.shape
    eigenvalues, vectors = torch.linalg.eigh(rows_ND @ rows_ND.T / num_images)
    seen = eigenvalues > 1e-12 * eigenvalues[-1]
    eigenvalues, vectors = eigenvalues[seen], vectors[:, seen]
    directions = rows_ND.T @ (vectors / (num_images * eigenvalues).sqrt())
    elsewhere = 1 / math.sqrt(bias)
    change = (eigenvalues + bias).rsqrt() - elsewhere
    matrix: Tensor = (directions * change) @ directions.T + elsewhere * torch.eye(num_values, dtype=torch.float64)
    return matrix


def contrast_normalised(rows_BD: Tensor, norm: float = CONTRAST_NORM) -> Tensor:
    """Subtract the mean of each row and scale it to the Euclidean norm `norm`; constant rows are not scaled."""
    rows_BD = rows_BD - rows_BD.mean(1, keepdim=True)
    norms_B1 = torch.linalg.vector_norm(rows_BD, dim=1, keepdim=True)
    return torch.where(norms_B1 < _SMALLEST_DIVISOR, rows_BD, rows_BD * (norm / norms_B1))


def _rows(images_BCHW: Tensor, contrast_norm: float | None, scale: float) -> Tensor:
    rows_BD = images_BCHW.flatten(1).float().div_(255)
    return rows_BD.mul_(scale) if contrast_norm is None else contrast_normalised(rows_BD, contrast_norm)


def _chunks(images_NCHW: Tensor, contrast_norm: float | None, scale: float) -> Iterator[Tensor]:
    for images in torch.split(images_NCHW, _CHUNK):
        yield _rows(images, contrast_norm, scale)


def _scale_to_unit_deviation(images_NCHW: Tensor) -> float:
    """1 over the root of the pixels' mean variance, in [0, 1] units; 1 if all images are equal."""
    totals = torch.zeros(2, images_NCHW[0].numel(), dtype=torch.float64)
    for rows in _chunks(images_NCHW, None, 1.0):
        totals += torch.stack([rows.double().sum(0), rows.double().square().sum(0)])
    mean, mean_square = totals / len(images_NCHW)
    variance = float((mean_square - mean**2).mean())
    return variance**-0.5 if variance > _SMALLEST_DIVISOR else 1.0
