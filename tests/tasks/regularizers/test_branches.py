"""DropPath and ShakeDrop on residual branches: which law each sample meets, forward and backward."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from tiny_tasks import binomial_bound
from torch import Tensor, nn

from tasks.regularizers.base import Context
from tasks.regularizers.drop_path import DropPath, PathMask
from tasks.regularizers.shakedrop import Shake, ShakeDrop
from tasks.runtime.streams import MaskStream
from tasks.sites import Site

NUM_SAMPLES = 20_000


class Block(nn.Module):
    """x + F(x) with a linear F and a site behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Linear(3, 3).double()
        self.site = Site("branch")

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.site(self.branch(x))
        return y


def stream() -> MaskStream:
    return MaskStream(0, "branch", "cpu")


def context() -> Context:
    return Context(
        seed=0,
        device=torch.device("cpu"),
        name="test",
        num_train_samples=1,
        num_epochs=1,
        num_steps=1,
        learning_rate=0.1,
    )


def shake(level: str = "element", drop_rate: float = 0.6, **bounds: float) -> Shake:
    return Shake(ShakeDrop(level=level, **bounds), drop_rate, stream())


def factors_of(module: Shake, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """What the module multiplies by forward and backward."""
    x = torch.ones(shape, dtype=torch.float64, requires_grad=True)
    y = module(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    return y.detach(), gradient


def test_a_dropped_sample_keeps_the_shortcut_alone_and_a_kept_one_the_branch_rescaled() -> None:
    torch.manual_seed(0)
    block = Block()
    x = torch.randn(64, 3, dtype=torch.float64)
    branch = block.branch(x)
    block.site.fill(PathMask(0.4, stream()))
    y = block(x)
    dropped = (y == x).all(1)
    assert 0 < dropped.sum() < 64  # masks differ across samples
    assert torch.allclose(y[~dropped], (x + branch / 0.6)[~dropped], rtol=1e-12)


def test_the_mean_over_masks_of_a_linear_branch_is_the_eval_output() -> None:
    torch.manual_seed(0)
    block = Block()
    block.site.fill(PathMask(0.4, stream()))
    x = torch.randn(3, dtype=torch.float64)
    y = block(x.expand(NUM_SAMPLES, 3))
    expected = block.eval()(x)
    standard_error = (expected - x).abs() * (0.4 / 0.6 / NUM_SAMPLES) ** 0.5
    assert ((y.mean(0) - expected).abs() <= 5 * standard_error).all()


@pytest.mark.parametrize("regularizer", [DropPath(drop_rate=0.8), ShakeDrop(drop_rate=0.8)])
def test_the_rate_grows_linearly_with_depth_to_its_full_value(regularizer: DropPath | ShakeDrop) -> None:
    network = nn.Sequential(*[Block() for _ in range(4)])
    regularizer.attach(network, context())
    rates = [block.site.fillings[0].drop_rate for block in network]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_constant_growth_drops_all_branches_alike() -> None:
    network = nn.Sequential(*[Block() for _ in range(3)])
    DropPath(drop_rate=0.3, growth="constant").attach(network, context())
    assert [block.site.fillings[0].drop_rate for block in network] == [0.3, 0.3, 0.3]


def test_shakedrop_leaves_a_kept_sample_alone_both_ways() -> None:
    forward, backward = factors_of(shake(), (NUM_SAMPLES, 2, 2, 1))
    whole = (forward == 1).flatten(1).all(1)
    assert torch.equal(whole, (backward == 1).flatten(1).all(1))
    assert abs(float(whole.double().mean()) - 0.4) <= float(binomial_bound(0.4, NUM_SAMPLES))


def test_shakedrop_shakes_a_dropped_sample_by_independent_uniform_factors() -> None:
    forward, backward = (f.flatten() for f in factors_of(shake(alpha_low=-1, alpha_high=0.5), (NUM_SAMPLES, 1)))
    shaken = forward != 1
    assert stats.kstest(forward[shaken].numpy(), stats.uniform(-1, 1.5).cdf).pvalue > 1e-6
    assert stats.kstest(backward[shaken].numpy(), stats.uniform(0, 1).cdf).pvalue > 1e-6
    assert abs(stats.pearsonr(forward[shaken], backward[shaken]).statistic) < 5 / int(shaken.sum()) ** 0.5


@pytest.mark.parametrize(("level", "num_distinct"), [("sample", 1), ("channel", 2), ("element", 8)])
def test_the_level_says_what_shares_a_factor(level: str, num_distinct: int) -> None:
    forward, backward = factors_of(shake(level), (50, 2, 2, 2))
    shaken = (forward != 1).flatten(1).all(1)
    for factors in (forward[shaken], backward[shaken]):
        assert {len(sample.unique()) for sample in factors} == {num_distinct}


@pytest.mark.parametrize("bounds", [{}, {"alpha_low": 0.0, "alpha_high": 0.5}])
def test_shakedrops_eval_factor_is_the_mean_forward_factor(bounds: dict[str, float]) -> None:
    module = shake(**bounds)
    forward, _ = factors_of(module, (NUM_SAMPLES, 1))
    expected = module.eval()(torch.ones(1, 1, dtype=torch.float64))
    standard_error = forward.std() / NUM_SAMPLES**0.5
    assert abs(float(forward.mean() - expected)) <= 5 * float(standard_error)


def test_an_empty_interval_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ShakeDrop\.alpha_low and ShakeDrop\.alpha_high must be finite and in this"):
        ShakeDrop(alpha_low=1.0, alpha_high=-1.0)
