"""Input gradients of two-layer networks in closed form: two matrix products for one step of an attack."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.attacks.attack import Weights


@dataclass(frozen=True, kw_only=True, eq=False)
class TwoLayer:
    """Scores and input gradients of f(x) = U s(Vx + b) + c with s(t) = max(t, alpha t): ReLU is alpha = 0.

    Formula:
        sum_k w_k df_k/dx = V^T (s'(Vx + b) o U^T w), with s'(t) = 1 where t > 0 and alpha elsewhere, as in torch
        (chapter 5 of the thesis has 1 at t = 0).

    Args:
        hidden_weights: V, shape (d1, d0), as in `torch.nn.Linear`.
        output_weights: U, shape (K, d1).
        hidden_bias: b, shape (d1,), or None.
        output_bias: c, shape (K,), or None.
        slope: alpha in [0, 1].

    Source:
        Section 6.2; section 6.4 for the gradient.

    Example:
        >>> network = TwoLayer(hidden_weights=torch.tensor([[1.0, 2.0], [-3.0, 0.0]]), output_weights=torch.ones(1, 2))
        >>> network.scores_and_gradients(torch.ones(1, 2), torch.ones_like)
        (tensor([[3.]]), tensor([[1., 2.]]))
    """

    hidden_weights: Tensor
    output_weights: Tensor
    hidden_bias: Tensor | None = None
    output_bias: Tensor | None = None
    slope: float = 0.0

    def __post_init__(self) -> None:
        hidden, output = tuple(self.hidden_weights.shape), tuple(self.output_weights.shape)
        if len(hidden) != 2 or len(output) != 2 or hidden[0] != output[1]:
            raise ValueError(
                "hidden_weights must be (d1, d0) and output_weights (K, d1) with the same d1, "
                f"got shapes {hidden} and {output}."
            )
        if not 0 <= self.slope <= 1:
            raise ValueError(f"slope must lie in [0, 1] (0 is ReLU, 1 is linear), got {self.slope}.")

    @classmethod
    def of(cls, network: nn.Sequential) -> TwoLayer:
        """The gradients of [Flatten,] Linear, ReLU or LeakyReLU, Linear. The parameters are shared, not copied.

        Raises:
            ValueError: if the network has other layers.

        Example:
            >>> TwoLayer.of(nn.Sequential(nn.Linear(4, 3), nn.LeakyReLU(0.5), nn.Linear(3, 1))).slope
            0.5
        """
        layers = [layer for layer in network if not isinstance(layer, nn.Flatten)]
        match layers:
            case [nn.Linear() as hidden, nn.ReLU() | nn.LeakyReLU() as activation, nn.Linear() as output]:
                return cls(
                    hidden_weights=hidden.weight,
                    output_weights=output.weight,
                    hidden_bias=hidden.bias,
                    output_bias=output.bias,
                    slope=float(getattr(activation, "negative_slope", 0.0)),
                )
        names = ", ".join(type(layer).__name__ for layer in network)
        raise ValueError(f"TwoLayer.of takes [Flatten,] Linear, ReLU or LeakyReLU, Linear, got {names}.")

    @torch.no_grad()
    def scores(self, points: Tensor) -> Tensor:
        """Scores (B, K) of points (B, ...)."""
        return self._output(self._hidden(points))

    @torch.no_grad()
    def scores_and_gradients(self, points: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        """See `attack.InputGradients`."""
        hidden = self._hidden(points)
        scores = self._output(hidden)
        back = weights(scores) @ self.output_weights
        back *= hidden.sign().clamp_(min=self.slope)  # s'(t) = max(sign(t), alpha)
        return scores, (back @ self.hidden_weights).view_as(points)

    def _hidden(self, points: Tensor) -> Tensor:
        return F.linear(points.flatten(1), self.hidden_weights, self.hidden_bias)

    def _output(self, hidden: Tensor) -> Tensor:
        active = hidden.relu() if self.slope == 0 else F.leaky_relu(hidden, self.slope)
        return F.linear(active, self.output_weights, self.output_bias)
