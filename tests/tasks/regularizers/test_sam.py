"""SAM's gradient is that of the worse point, and everything else is as if it had never been there."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasks.regularizers.base import Step
from tasks.regularizers.sam import SAM

RHO = 0.3


class Quadratic(nn.Module):
    """f(w) = w'Aw / 2 in two separate parameters, with a batch norm layer beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
        self.second = nn.Parameter(torch.tensor([0.5], dtype=torch.float64))
        self.unused = nn.Parameter(torch.ones(3))
        self.norm = nn.BatchNorm1d(2).double()
        self.num_calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.num_calls += 1
        self.norm(x)
        w = torch.cat([self.first, self.second])
        return w @ MATRIX @ w / 2


MATRIX = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.0, -1.0], [0.0, -1.0, 5.0]], dtype=torch.float64)
X = torch.tensor([[0.0, 1.0], [2.0, 5.0]], dtype=torch.float64)


def gradients(network: Quadratic, rho: float) -> tuple[Tensor, float]:
    """The gradients that SAM leaves behind, and the loss it returns."""

    def backward() -> Tensor:
        network.zero_grad()
        loss = network(X)
        loss.backward()
        return loss.detach()

    step = Step(
        network=network, loss=lambda batch: network(X), rng=np.random.default_rng(0), index=0, epoch=1, progress=0
    )
    loss = SAM(rho=rho).compute_gradients(backward, step)
    assert network.first.grad is not None
    assert network.second.grad is not None
    return torch.cat([network.first.grad, network.second.grad]), float(loss)


def test_the_gradient_is_that_at_the_worse_point() -> None:
    network = Quadratic()
    w = torch.cat([network.first, network.second]).detach()
    gradient, loss = gradients(network, RHO)
    uphill = MATRIX @ w
    assert torch.allclose(gradient, MATRIX @ (w + RHO * uphill / uphill.norm()), rtol=1e-12)
    assert loss == pytest.approx(float(w @ MATRIX @ w / 2), rel=1e-12)  # the loss at w, not at the worse point


def test_it_is_the_gradient_of_the_loss_at_the_worst_point_of_a_small_ball_to_first_order() -> None:
    network = Quadratic()
    gradient, _ = gradients(network, 1e-4)
    w = torch.cat([network.first, network.second]).detach().requires_grad_()
    slope = MATRIX @ w
    (sharp,) = torch.autograd.grad(w @ MATRIX @ w / 2 + 1e-4 * slope.norm(), w)  # max over the ball, up to rho^2
    assert torch.allclose(gradient, sharp, atol=1e-7)


def test_weights_come_back_bit_for_bit_and_running_statistics_count_one_pass() -> None:
    network, twin = Quadratic(), Quadratic()
    before = copy.deepcopy(dict(network.named_parameters()))
    gradients(network, RHO)
    gradients(twin, 0.0)
    assert all(torch.equal(before[name], parameter) for name, parameter in network.named_parameters())
    assert (network.num_calls, twin.num_calls) == (2, 1)
    assert all(torch.equal(buffer, dict(twin.named_buffers())[name]) for name, buffer in network.named_buffers())
    assert network.norm.track_running_stats


def test_at_a_stationary_point_nothing_moves() -> None:
    network = Quadratic()
    with torch.no_grad():
        network.first.zero_()
        network.second.zero_()
    gradient, _ = gradients(network, RHO)
    assert torch.equal(gradient, torch.zeros(3, dtype=torch.float64))


def test_a_negative_radius_is_refused() -> None:
    with pytest.raises(ValueError, match=r"SAM\.rho must be finite and >= 0, got -0\.1"):
        SAM(rho=-0.1)
