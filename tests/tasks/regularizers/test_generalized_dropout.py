"""Generalized dropout: laws listed mask by mask, moments against closed forms, and masks of any covariance."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy import stats
from tiny_tasks import binomial_bound
from torch import Tensor

from tasks.regularizers.generalized_dropout import FamilyMask, GeneralizedDropout
from tasks.regularizers.parts.correlated_mask import CorrelatedMask, latent_correlations
from tasks.runtime.streams import MaskStream
from tasks.theory.structured import dropblock_objective, dropout_objective, generalized_dropout_objective

WIDTH = 6
NUM_DRAWS = 40_000
FAMILIES = [
    GeneralizedDropout(law="independent", mean=0.7, deviation=0.21**0.5),
    GeneralizedDropout(law="block", block_size=3, mean=0.5, deviation=0.5),
    GeneralizedDropout(law="block", block_size=4, mean=-2.0, deviation=0.3),  # 4 does not divide the width
    GeneralizedDropout(law="exponential", correlation=0.6, mean=1.5, deviation=1.0),
]


class GivenDraws:
    """Stands for a stream whose Bernoulli draws are given, one tensor a call; it notes the rates asked for."""

    def __init__(self, *draws: Tensor) -> None:
        self._draws = list(draws)
        self.rates: list[float] = []

    def bernoulli(self, shape: tuple[int, ...], rate: float) -> Tensor:
        self.rates.append(rate)
        draw = self._draws.pop(0)
        assert tuple(draw.shape) == shape
        return draw


def network(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random Y, X, U, V."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(3, 5), (2, 5), (3, WIDTH), (2, WIDTH)]
    Y, X, U, V = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return Y, X, U, V


def all_bits(count: int) -> Tensor:
    """Every vector of `count` truth values."""
    return torch.tensor(list(itertools.product([False, True], repeat=count)))


def listed_masks(settings: GeneralizedDropout) -> Iterator[tuple[Tensor, float]]:
    """Every z / mean that the module can draw for one sample, with its chance."""
    num_entries = -(-WIDTH // settings.block_size) if settings.law == "block" else WIDTH
    num_draws = 2 if settings.law == "exponential" else 1
    for bits in all_bits(num_entries * num_draws):
        draws = bits.view(num_draws, 1, num_entries)
        stream = GivenDraws(*draws)
        mask = FamilyMask(settings, stream)
        y = mask(torch.ones(1, WIDTH, dtype=torch.float64))
        rates = torch.tensor(stream.rates, dtype=torch.float64)[:, None, None]
        yield y.squeeze(0), float(torch.where(draws, rates, 1 - rates).prod())


def listed_moments(settings: GeneralizedDropout) -> tuple[Tensor, Tensor]:
    masks, chances = zip(*listed_masks(settings), strict=True)
    z, chance = settings.mean * torch.stack(masks), torch.tensor(chances, dtype=torch.float64)
    mean = chance @ z
    return mean, (z - mean).mT @ ((z - mean) * chance[:, None])


@pytest.mark.parametrize("settings", FAMILIES, ids=lambda s: f"{s.law}-{s.block_size}")
def test_listing_all_masks_of_a_family_gives_the_moments_it_names(settings: GeneralizedDropout) -> None:
    mean, covariance = listed_moments(settings)
    expected_mean, expected_covariance = settings.moments(WIDTH)
    assert torch.allclose(mean, expected_mean, atol=1e-12)
    assert torch.allclose(covariance, expected_covariance, atol=1e-12)


@pytest.mark.parametrize("settings", FAMILIES, ids=lambda s: f"{s.law}-{s.block_size}")
def test_the_mean_loss_over_all_masks_is_the_generalized_objective(settings: GeneralizedDropout) -> None:
    Y, X, U, V = network()
    features = V.T @ X
    listed = sum(
        chance * float((Y - U @ (mask[:, None] * features)).square().sum()) for mask, chance in listed_masks(settings)
    )
    expected = generalized_dropout_objective(*settings.moments(WIDTH), Y, U, features)
    assert listed == pytest.approx(float(expected), rel=1e-12)


def test_its_covariances_reproduce_the_objectives_of_dropout_and_dropblock() -> None:
    Y, X, U, V = network()
    keep = 0.7
    bernoulli = {"mean": keep, "deviation": (keep * (1 - keep)) ** 0.5}
    independent = GeneralizedDropout(law="independent", **bernoulli).moments(WIDTH)
    block = GeneralizedDropout(law="block", block_size=3, **bernoulli).moments(WIDTH)
    dropout = dropout_objective(Y, X, U, V, keep)
    dropblock = dropblock_objective(Y, X, U, V, keep, 3)
    assert torch.allclose(generalized_dropout_objective(*independent, Y, U, V.T @ X), dropout, rtol=1e-12)
    assert torch.allclose(generalized_dropout_objective(*block, Y, U, V.T @ X), dropblock, rtol=1e-12)


@pytest.mark.parametrize("values", ["binary", "gaussian"])
@pytest.mark.parametrize("law", ["independent", "block", "exponential"])
def test_drawn_masks_have_the_moments_within_five_standard_errors(law: str, values: str) -> None:
    settings = GeneralizedDropout(law=law, values=values, block_size=3)
    mask = FamilyMask(settings, MaskStream(0, f"{law}/{values}", "cpu"))
    z = settings.mean * mask(torch.ones(NUM_DRAWS, WIDTH, dtype=torch.float64))
    assert_moments(z, *settings.moments(WIDTH))


def test_binary_masks_at_dropouts_moments_are_zero_and_one_over_keep() -> None:
    mask = FamilyMask(GeneralizedDropout(mean=0.8, deviation=0.4), MaskStream(0, "x", "cpu"))
    assert mask(torch.ones(100, WIDTH)).unique().tolist() == pytest.approx([0, 1 / 0.8])


def test_gaussian_masks_take_any_mean_vector_and_covariance() -> None:
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(WIDTH, 3, generator=generator, dtype=torch.float64)  # a covariance of rank 3
    mean = torch.tensor([1.0, -0.5, 2.0, 0.1, -3.0, 1.0], dtype=torch.float64)
    mask = CorrelatedMask(mean, factor @ factor.T, MaskStream(0, "any", "cpu"))
    z = mean * mask(torch.ones(NUM_DRAWS, WIDTH, dtype=torch.float64))
    assert_moments(z, mean, factor @ factor.T)
    assert torch.equal(mask.eval()(z), z)


def overlapping_block_moments(keep: float, block_size: int) -> tuple[Tensor, Tensor]:
    """Of units kept where all `block_size` seeds that cover them are, by listing the seeds."""
    seeds = all_bits(WIDTH + block_size - 1)
    kept_rate = keep ** (1 / block_size)
    chance = torch.where(seeds, kept_rate, 1 - kept_rate).double().prod(1)
    z = seeds.unfold(1, block_size, 1).all(2).double()
    mean = chance @ z
    return mean, (z - mean).mT @ ((z - mean) * chance[:, None])


def test_gaussian_masks_with_the_covariance_of_overlapping_blocks_train_on_the_same_objective() -> None:
    keep, block_size = 0.6, 3
    mean, covariance = overlapping_block_moments(keep, block_size)
    distance = (torch.arange(WIDTH)[:, None] - torch.arange(WIDTH)).abs()
    shared = (block_size - distance).clamp(min=0)
    assert torch.allclose(covariance / keep**2, keep ** (-shared.double() / block_size) - 1, atol=1e-12)
    Y, X, U, V = network()
    features = V.T @ X
    mask = CorrelatedMask(mean, covariance, MaskStream(0, "overlap", "cpu"))
    masks = mask(torch.ones(NUM_DRAWS, WIDTH, dtype=torch.float64))
    losses = (Y - U @ (masks[:, :, None] * features)).square().sum((1, 2))
    expected = generalized_dropout_objective(mean, covariance, Y, U, features)
    assert abs(float(losses.mean() - expected)) <= 5 * float(losses.std()) / NUM_DRAWS**0.5


def test_binary_masks_take_any_covariance_in_reach() -> None:
    mean = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    covariance = torch.tensor([[0.16, 0.05, -0.05], [0.05, 0.25, 0.0], [-0.05, 0.0, 0.09]], dtype=torch.float64)
    y = CorrelatedMask(mean, covariance, MaskStream(0, "binary", "cpu"), values="binary")(
        torch.ones(NUM_DRAWS, 3, dtype=torch.float64)
    )
    assert [column.unique().tolist() for column in y.T] == [pytest.approx([0, 1 / float(rate)]) for rate in mean]
    assert_moments(mean * y, mean, covariance)


def test_binary_masks_refuse_a_covariance_that_thresholds_do_not_reach() -> None:
    with pytest.raises(ValueError, match="latent normals"):  # though overlapping blocks do have it
        CorrelatedMask(*overlapping_block_moments(0.6, 3), MaskStream(0, "x", "cpu"), values="binary")


@pytest.mark.parametrize("covariance", [0.1, 0.02, -0.1, 0.1399])
def test_latent_correlations_give_the_joint_chance_that_scipy_integrates(covariance: float) -> None:
    mean = torch.tensor([0.2, 0.3], dtype=torch.float64)
    variances = mean * (1 - mean)
    wanted = torch.tensor([[variances[0], covariance], [covariance, variances[1]]], dtype=torch.float64)
    if covariance == -0.1:  # below what means of 0.2 and 0.3 allow, -0.06
        with pytest.raises(ValueError, match="no pair of binary masks"):
            latent_correlations(mean, wanted)
        return
    latent = latent_correlations(mean, wanted).numpy()
    joint = stats.multivariate_normal(cov=latent, allow_singular=True).cdf(stats.norm.ppf(mean.numpy()))
    assert joint - 0.2 * 0.3 == pytest.approx(covariance, abs=1e-5)


@pytest.mark.parametrize(
    ("mean", "covariance", "complaint"),
    [
        ([0.0, 1.0], np.eye(2), "mean must have no zero entry"),
        ([1.0, 1.0], [[1.0, 0.5], [0.0, 1.0]], "covariance must be symmetric"),
        ([1.0, 1.0], np.eye(3), "covariance must be symmetric of size 2"),
        ([1.0, 1.0], [[1.0, 2.0], [2.0, 1.0]], "covariance must be positive semidefinite"),
    ],
)
def test_moments_that_no_mask_has_are_refused(mean: list[float], covariance: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        CorrelatedMask(torch.tensor(mean), torch.as_tensor(covariance), MaskStream(0, "x", "cpu"))


@pytest.mark.parametrize(
    ("mean", "diagonal", "complaint"),
    [(1.5, 0.25, r"mean must lie in \(0, 1\)"), (0.5, 0.2, r"variances mean \(1 - mean\)")],
)
def test_moments_that_no_binary_mask_has_are_refused(mean: float, diagonal: float, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        CorrelatedMask(torch.full((2,), mean), diagonal * torch.eye(2), MaskStream(0, "x", "cpu"), values="binary")


def test_a_mean_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"GeneralizedDropout\.mean must be finite and not 0"):
        GeneralizedDropout(mean=0.0)


def assert_moments(z: Tensor, mean: Tensor, covariance: Tensor) -> None:
    """Means and covariances within five standard errors, those taken from the sample itself."""
    deviations = z - mean
    products = deviations[:, :, None] * deviations[:, None, :]
    mean_error = 5 * z.std(0) / len(z) ** 0.5
    covariance_error = 5 * products.std(0) / len(z) ** 0.5 + float(binomial_bound(0.0, len(z)))
    assert (deviations.mean(0).abs() <= mean_error).all()
    assert ((products.mean(0) - covariance).abs() <= covariance_error).all()
