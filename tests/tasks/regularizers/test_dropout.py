"""Dropout keeps the mean, has the stated variance, and treats every element by itself."""

from __future__ import annotations

import pytest
import torch
from tiny_tasks import binomial_bound
from torch import Tensor

from tasks.architectures.convnet_small import ConvNetSmall
from tasks.architectures.mlp import MLP
from tasks.regularizers.base import Context
from tasks.regularizers.dropout import Dropout, ElementMask
from tasks.runtime.streams import MaskStream
from tasks.sites import measure_sites, sites_of
from tasks.theory.structured import dropout_objective

RATES = [0.1, 0.5, 0.73]
X = torch.linspace(-2, 3, 40, dtype=torch.float64)
NUM_DRAWS = 20_000

CONTEXT = Context(
    seed=0,
    device=torch.device("cpu"),
    name="dropout",
    num_train_samples=1,
    num_epochs=1,
    num_steps=1,
    learning_rate=0.1,
)


def draws(drop_rate: float, x: Tensor = X, num_draws: int = NUM_DRAWS) -> Tensor:
    mask = ElementMask(drop_rate, MaskStream(0, "dropout", "cpu")).train()
    result: Tensor = mask(x.expand(num_draws, *x.shape))
    return result


@pytest.mark.parametrize("drop_rate", RATES)
def test_every_value_is_either_dropped_or_divided_by_the_keep_rate(drop_rate: float) -> None:
    y = draws(drop_rate, num_draws=100)
    assert (torch.isclose(y, X / (1 - drop_rate), rtol=1e-15, atol=0) | (y == 0)).all()


@pytest.mark.parametrize("drop_rate", RATES)
def test_the_mean_of_its_output_is_its_input(drop_rate: float) -> None:
    standard_error = X.abs() * (drop_rate / (1 - drop_rate) / NUM_DRAWS) ** 0.5
    assert ((draws(drop_rate).mean(0) - X).abs() <= 5 * standard_error).all()


@pytest.mark.parametrize("drop_rate", RATES)
def test_the_variance_of_its_output_is_x_squared_times_p_over_1_minus_p(drop_rate: float) -> None:
    kept = draws(drop_rate, torch.ones(40, dtype=torch.float64)).count_nonzero(0) / NUM_DRAWS
    # y = z / (1 - p) with z Bernoulli: its variance follows from the kept fraction, whose error is binomial.
    variance = kept * (1 - kept) / (1 - drop_rate) ** 2
    error = binomial_bound(drop_rate, NUM_DRAWS)
    bound = (abs(2 * drop_rate - 1) * error + error**2) / (1 - drop_rate) ** 2
    assert ((variance - drop_rate / (1 - drop_rate)).abs() <= bound).all()


@pytest.mark.parametrize("drop_rate", RATES)
def test_the_kept_fraction_is_1_minus_p_at_every_position(drop_rate: float) -> None:
    kept = draws(drop_rate, torch.ones(3, 4, 5)).count_nonzero(0) / NUM_DRAWS
    assert ((kept - (1 - drop_rate)).abs() <= binomial_bound(drop_rate, NUM_DRAWS)).all()


@pytest.mark.parametrize("drop_rate", RATES)
def test_elements_are_dropped_independently_of_each_other(drop_rate: float) -> None:
    dropped = (draws(drop_rate, torch.ones(30)) == 0).double()
    both = (dropped.T @ dropped / NUM_DRAWS)[~torch.eye(30, dtype=torch.bool)]
    assert ((both - drop_rate**2).abs() <= binomial_bound(drop_rate**2, NUM_DRAWS)).all()


def test_at_rate_0_and_in_eval_mode_it_is_the_identity() -> None:
    assert draws(0.0, num_draws=1).squeeze(0).equal(X)
    assert ElementMask(0.5, MaskStream(0, "dropout", "cpu")).eval()(X) is X


def test_training_with_it_minimises_the_objective_of_the_theory() -> None:
    generator = torch.Generator().manual_seed(0)
    Y, X_, U, V = (
        torch.randn(size, generator=generator, dtype=torch.float64) for size in ((3, 7), (4, 7), (3, 5), (4, 5))
    )
    mask = ElementMask(0.3, MaskStream(0, "dropout", "cpu")).train()
    hidden = mask((V.T @ X_).T.expand(NUM_DRAWS, 7, 5))
    # A mask of its own for every example: the theory's single mask for all has the same mean.
    errors = (Y.T - hidden @ U.T).square().sum((1, 2))
    standard_error = float(errors.std()) / NUM_DRAWS**0.5
    assert abs(float(errors.mean() - dropout_objective(Y, X_, U, V, keep=0.7))) <= 5 * standard_error


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("dense", ["classifier.4"]),
        ("conv", ["stem.2", "joined"]),
        ("all", ["stem.2", "joined", "classifier.4"]),
        ("last", ["classifier.4"]),
    ],
)
def test_where_says_at_which_sites_it_acts(where: str, names: list[str]) -> None:
    network = ConvNetSmall(num_classes=10, in_channels=1, image_size=8)
    measure_sites(network, torch.zeros(1, 1, 8, 8))
    assert [site.name for site in Dropout(where=where).chosen_sites(network)] == names


def test_the_last_place_is_one_site_although_there_are_more_dense_ones() -> None:
    network = MLP(num_classes=10, in_channels=1, image_size=8, depth=3)
    assert len(Dropout(where="dense").chosen_sites(network)) == 3
    assert Dropout(where="last").chosen_sites(network) == Dropout(where="dense").chosen_sites(network)[-1:]


def test_a_place_that_the_network_lacks_is_a_reason_to_skip() -> None:
    network = MLP(num_classes=10, in_channels=1, image_size=8)
    assert Dropout().skip_reason(network) is None
    reason = Dropout(where="conv").skip_reason(network)
    assert reason == "Dropout as set here chooses none of the network's dense or hidden or conv sites."


def test_each_kind_of_site_has_its_own_rate() -> None:
    network = ConvNetSmall(num_classes=10, in_channels=1, image_size=8)
    measure_sites(network, torch.zeros(1, 1, 8, 8))
    dropout = Dropout(drop_rate=0.5, where="all", conv_factor=0.5, input_drop_rate=0.1)
    for site in dropout.chosen_sites(network):
        site.fill(dropout.fill(site, CONTEXT))
    rates = {site.kind: [mask.drop_rate for mask in site.fillings] for site in sites_of(network)}
    assert rates == {"input": [0.1], "conv": [0.25], "dense": [0.5], "branch": []}


def test_the_input_is_left_alone_unless_it_has_a_rate() -> None:
    network = ConvNetSmall(num_classes=10, in_channels=1, image_size=8)
    measure_sites(network, torch.zeros(1, 1, 8, 8))
    assert {site.kind for site in Dropout(where="all").chosen_sites(network)} == {"conv", "dense"}


@pytest.mark.parametrize("share", ["element", "batch"])
def test_samples_of_a_batch_have_masks_of_their_own_or_one(share: str) -> None:
    network = MLP(num_classes=10, in_channels=1, image_size=8)
    (site,) = Dropout(where="last").chosen_sites(network)
    mask = Dropout(share=share).fill(site, CONTEXT).train()
    kept = mask(torch.ones(64, 100)) != 0
    assert len(kept.unique(dim=0)) == {"element": 64, "batch": 1}[share]
    assert abs(float(kept.double().mean()) - 0.5) < {"element": 0.04, "batch": 0.25}[share]


def test_a_mask_for_the_batch_keeps_the_mean_and_the_variance_of_every_element() -> None:
    mask = ElementMask(0.3, MaskStream(0, "dropout", "cpu"), is_shared=True).train()
    drawn = torch.stack([mask(X.expand(2, -1))[1] for _ in range(4000)])
    standard_error = X.abs() * (0.3 / 0.7 / 4000) ** 0.5
    assert ((drawn.mean(0) - X).abs() <= 5 * standard_error + 1e-12).all()
    torch.testing.assert_close(drawn.var(0), X.square() * 0.3 / 0.7, rtol=0.15, atol=1e-12)


def test_what_is_shared_by_is_one_of_two_words() -> None:
    with pytest.raises(ValueError, match=r"Dropout\.share"):
        Dropout(share="all")
