"""The steps of attacks as functions of the gradient of each sample; the step size multiplies the result.

For two classes the gradients of the plain and the reflected loss have the same direction, so that steps that use only
the direction give the same iterates for both. The reflected loss makes a difference with raw steps only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

StepName = Literal["sign", "raw", "normalised"]


def sign_step(gradients: Tensor) -> Tensor:
    """Sign of each entry: the steepest ascent under the l_inf norm.

    Formula:
        sign(g), with sign(0) = 0.

    Args:
        gradients: g, shape (B, ...).

    Returns:
        A tensor of the same shape with the entries -1, 0 and 1.

    Source:
        FGSM (Goodfellow et al. 2015) and BIM (Kurakin et al. 2017) in the thesis's section 6.5.2.

    Example:
        >>> sign_step(torch.tensor([[-0.5, 0.0, 3.0]]))
        tensor([[-1.,  0.,  1.]])
    """
    return gradients.sign()


def raw_step(gradients: Tensor) -> Tensor:
    """The raw gradient: with the plain loss it is small for confident points, which then hardly move.

    Formula:
        g.

    Args:
        gradients: g, shape (B, ...).

    Returns:
        g.

    Source:
        Algorithm 5. Not stated for the experiments; table 6-I has different errors for PGD and its reflected form on
        the standard model (.033 and .286), which is possible with raw steps only.

    Example:
        >>> raw_step(torch.tensor([[-0.5, 0.0, 3.0]]))
        tensor([[-0.5000,  0.0000,  3.0000]])
    """
    return gradients


def normalised_step(gradients: Tensor) -> Tensor:
    """Gradient of each example divided by its l_2 norm: the steepest ascent under that norm.

    Formula:
        g / ||g||_2, and 0 where g = 0.

    Args:
        gradients: g, shape (B, ...); the norm is over all dimensions but the first.

    Returns:
        A tensor of the same shape, each sample of norm 1 or 0. Gradients are first divided by their largest entry, so
        that squares do not underflow: no epsilon is added to the norm, and the result depends neither on the size of
        the gradient nor on the other samples of the batch.

    Source:
        Madry et al. 2018, for l_2; not used by the thesis.

    Example:
        >>> normalised_step(torch.tensor([[3e-30, 4e-30], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    flat = gradients.flatten(1)
    largest = flat.abs().amax(1, keepdim=True)
    scaled = flat / torch.where(largest > 0, largest, 1)
    norms: Tensor = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return (scaled / norms.clamp(min=1)).view_as(gradients)  # norms are now at least 1, or 0


STEPS: dict[StepName, Callable[[Tensor], Tensor]] = {
    "sign": sign_step,
    "raw": raw_step,
    "normalised": normalised_step,
}
