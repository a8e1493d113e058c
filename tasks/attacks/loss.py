"""The losses that attacks maximise: the logistic loss, or its reflection about the origin, of a margin of the scores.

A margin z is positive where the prediction is right; an attack lowers it. Both losses decrease in z, so that both have
the same direction of ascent and differ only in the size of the gradient: sigma(-z), which vanishes for points that are
classified with confidence, and sigma(z), which is near 1 there.

The margin is computed first and the loss from it. In float32, the gradient of the cross-entropy of two scores for the
true class, p_y - 1, suffers from cancellation: its direction is wrong from a margin of 15 on, and random above 17.

For K > 2 classes there are four margins, each with its loss; for two classes all four are equal, up to rounding:

    name            margin m(f, y)                      loss             is
    cross_entropy   f_y - lse_{j != y} f_j              log(1 + e^-m)    -log p_y
    margin          f_y - max_{j != y} f_j              -log(1 + e^m)    the reflected loss at the greedy target
    log_p           lse_{i != j*} f_i - f_{j*}          -log(1 + e^m)    log p_{j*}, j* the greedy target
    reflected       f_y + lse_{j != y} (-f_j)           -log(1 + e^m)    -cross_entropy(-f, y)

with lse the logarithm of the sum of exponentials. Scores are (B, K) with labels in 0..K-1. Scores of one output (B, 1)
have labels 0 and 1, which stand for y = -1 and +1, and the margin y f for each name.

Source: Mianjy, PhD thesis (Johns Hopkins University), chapter 6: the reflected loss of section 6.2, its forms for many
classes of sections 6.5.1 and 6.5.3. The thesis does not say which form figure 6-2 shows; only `margin` gives what the
figure claims.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

LossName = Literal["cross_entropy", "margin", "log_p", "reflected"]
LOSS_NAMES: tuple[LossName, ...] = get_args(LossName)


def logistic_loss(margins: Tensor) -> Tensor:
    """Logistic loss: convex, decreasing, and above log(2) exactly where the margin is negative.

    Formula:
        l(z) = log(1 + e^-z).

    Args:
        margins: z, any shape.

    Returns:
        l(z), of the same shape, accurate for large |z| too, where l(z) is about -z or e^-z.

    Source:
        Section 6.2. Cross-entropy of two classes is l(f_y - f_other).

    Example:
        >>> logistic_loss(torch.tensor([-200.0, 0.0, 50.0], dtype=torch.float64))
        tensor([2.0000e+02, 6.9315e-01, 1.9287e-22], dtype=torch.float64)
    """
    return -F.logsigmoid(margins)


def logistic_slope(margins: Tensor) -> Tensor:
    """Derivative of `logistic_loss`: between -1, for very negative margins, and 0, for large ones.

    Formula:
        l'(z) = -sigma(-z) = -1 / (1 + e^z).

    Args:
        margins: z, any shape.

    Returns:
        l'(z), of the same shape.

    Source:
        Section 6.4.

    Example:
        >>> logistic_slope(torch.tensor([-20.0, 0.0, 20.0], dtype=torch.float64))
        tensor([-1.0000e+00, -5.0000e-01, -2.0612e-09], dtype=torch.float64)
    """
    return -torch.sigmoid(-margins)


def reflected_loss(margins: Tensor) -> Tensor:
    """Logistic loss reflected about the origin: concave, decreasing, and nowhere above the 0-1 loss 1[z < 0].

    Formula:
        l_-(z) = -l(-z) = -log(1 + e^z).

    Args:
        margins: z, any shape.

    Returns:
        l_-(z) <= 0, of the same shape. An attack maximises it, as it does the logistic loss.

    Source:
        Section 6.2, figure 6-1. Not to be confused with -l(z), which increases in z.

    Example:
        >>> reflected_loss(torch.tensor([-50.0, 0.0, 200.0], dtype=torch.float64))
        tensor([-1.9287e-22, -6.9315e-01, -2.0000e+02], dtype=torch.float64)
    """
    return F.logsigmoid(-margins)


def reflected_slope(margins: Tensor) -> Tensor:
    """Derivative of `reflected_loss`: near -1 for large margins, where the gradients of `logistic_loss` vanish.

    Formula:
        l_-'(z) = -sigma(z) = -1 / (1 + e^-z).

    Args:
        margins: z, any shape.

    Returns:
        l_-'(z), of the same shape.

    Source:
        Section 6.2.

    Example:
        >>> reflected_slope(torch.tensor([-20.0, 0.0, 20.0], dtype=torch.float64))
        tensor([-2.0612e-09, -5.0000e-01, -1.0000e+00], dtype=torch.float64)
    """
    return -torch.sigmoid(margins)


@dataclass(frozen=True, kw_only=True)
class AttackLoss:
    """A loss that an attack maximises: an outer function of a margin, both with their derivatives in closed form."""

    margins: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # of scores (B, K > 1) and labels: m (B,), dm/df (B, K)
    outer: Callable[[Tensor], Tensor]  # decreasing
    slope: Callable[[Tensor], Tensor]  # its derivative, never positive

    def __call__(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The loss of each example, shape (B,); differentiable in the scores."""
        return self.outer(self.margins_of(scores, labels)[0])

    def margins_of(self, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The margins (B,) of scores with one output or more, and their derivatives by the scores, (B, K)."""
        return _signed(scores, labels) if scores.shape[-1] == 1 else self.margins(scores, labels)


def greedy_target(scores: Tensor, labels: Tensor) -> Tensor:
    """The wrong class with the largest score, which is the target of reflected attacks.

    Formula:
        j* = argmax_{j != y} f_j.

    Args:
        scores: f, shape (B, K); with one output, see the module's description.
        labels: y, shape (B,).

    Returns:
        j*, shape (B,). Attacks recompute it at each step.

    Source:
        Section 6.5.3. Attacks on it may fail although another wrong class can be reached: the example there is f = Wx
        with the rows (2, 0), (1, 0), (0, 10) of W at x = (1, 0), with perturbations up to 0.3.

    Example:
        >>> greedy_target(torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([0]))
        tensor([1])
    """
    return 1 - labels if scores.shape[-1] == 1 else _without(scores, labels, -torch.inf).argmax(-1)


def hard_margins(scores: Tensor, labels: Tensor) -> Tensor:
    """Score of the true class minus the largest other score: negative exactly where the prediction is wrong.

    Formula:
        z = f_y - max_{j != y} f_j; y f for a single output.

    Args:
        scores: f, shape (B, K); with one output, see the module's description.
        labels: y, shape (B,).

    Returns:
        z, shape (B,). With keep="best", attacks return the point with the smallest z.

    Source:
        Section 6.2 for two classes; the loss `margin` is the reflected loss of z.

    Example:
        >>> hard_margins(torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([1])), hard_margins(
        ...     torch.tensor([[3.0]]), torch.tensor([0])
        ... )
        (tensor([-1.]), tensor([-3.]))
    """
    return LOSSES["margin"].margins_of(scores, labels)[0]


def _signed(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Margins y f of a single output."""
    signs = labels.to(scores.dtype).unsqueeze(-1).mul_(2).sub_(1)
    return (signs * scores).squeeze(-1), signs


def _hard_margins(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    others = _without(scores, labels, -torch.inf)
    largest, targets = others.max(-1)
    gradients = _one_hot(scores, labels) - _one_hot(scores, targets)
    return _chosen(scores, labels) - largest, gradients


def _soft_margins(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """f_y - lse_{j != y} f_j, whose logistic loss is the cross-entropy without cancellation."""
    others = _without(scores, labels, -torch.inf)
    return _chosen(scores, labels) - others.logsumexp(-1), _one_hot(scores, labels) - others.softmax(-1)


def _target_margins(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """lse_{i != j*} f_i - f_{j*}, with the greedy target j* held constant."""
    margins, gradients = _soft_margins(scores, greedy_target(scores, labels))
    return -margins, -gradients


def _reflected_margins(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The soft margin of -f, reflected."""
    margins, gradients = _soft_margins(-scores, labels)
    return -margins, gradients


LOSSES: dict[LossName, AttackLoss] = {
    "cross_entropy": AttackLoss(margins=_soft_margins, outer=logistic_loss, slope=logistic_slope),
    "margin": AttackLoss(margins=_hard_margins, outer=reflected_loss, slope=reflected_slope),
    "log_p": AttackLoss(margins=_target_margins, outer=reflected_loss, slope=reflected_slope),
    "reflected": AttackLoss(margins=_reflected_margins, outer=reflected_loss, slope=reflected_slope),
}


def _without(scores: Tensor, labels: Tensor, value: float) -> Tensor:
    return scores.scatter(-1, labels.unsqueeze(-1), value)


def _chosen(scores: Tensor, labels: Tensor) -> Tensor:
    return scores.gather(-1, labels.unsqueeze(-1)).squeeze(-1)


def _one_hot(scores: Tensor, labels: Tensor) -> Tensor:
    return torch.zeros_like(scores).scatter_(-1, labels.unsqueeze(-1), 1)
