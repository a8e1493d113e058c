"""Losses of attacks: derivatives by finite differences, reference formulas, and what single precision keeps of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.attacks.loss import (
    LOSS_NAMES,
    LOSSES,
    LossName,
    greedy_target,
    hard_margins,
    logistic_loss,
    logistic_slope,
    reflected_loss,
    reflected_slope,
)

MARGINS = torch.linspace(-30, 30, 241, dtype=torch.float64)


def scores_and_labels(num_classes: int = 5, num_examples: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(num_classes)
    scores = 3 * torch.randn(num_examples, num_classes, generator=generator, dtype=torch.float64)
    return scores, torch.randint(max(num_classes, 2), (num_examples,), generator=generator)


def slowly(name: LossName, scores: Tensor, labels: Tensor) -> Tensor:
    """The four losses as the text has them."""
    log_p, wrong = scores.log_softmax(-1), ~F.one_hot(labels, scores.shape[-1]).bool()
    best_wrong = torch.stack([row[mask].max() for row, mask in zip(scores, wrong, strict=True)])
    right = scores.gather(1, labels[:, None])[:, 0]
    if name == "cross_entropy":
        return F.cross_entropy(scores, labels, reduction="none")
    if name == "margin":
        return -torch.log1p((right - best_wrong).exp())
    if name == "log_p":
        return torch.stack([row[mask].max() for row, mask in zip(log_p, wrong, strict=True)])
    return -F.cross_entropy(-scores, labels, reduction="none")


@pytest.mark.parametrize(
    ("loss", "slope"),
    [(logistic_loss, logistic_slope), (reflected_loss, reflected_slope)],
    ids=["logistic", "reflected"],
)
def test_slopes_are_the_derivatives_by_central_differences(
    loss: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]
) -> None:
    h = 1e-5
    numeric = (loss(MARGINS + h) - loss(MARGINS - h)) / (2 * h)
    torch.testing.assert_close(slope(MARGINS), numeric, rtol=0, atol=1e-9)


def test_the_reflected_loss_is_a_concave_bound_below_the_0_1_loss_and_the_logistic_one_in_bits_is_above() -> None:
    assert torch.equal(reflected_loss(MARGINS), -logistic_loss(-MARGINS))
    errors = (MARGINS < 0).double()
    assert bool((reflected_loss(MARGINS) <= errors).all())
    assert bool((logistic_loss(MARGINS) / torch.tensor(2.0).log() >= errors).all())
    assert bool((reflected_slope(MARGINS).diff() <= 0).all())  # concave


def test_both_losses_decrease_so_that_the_best_point_is_the_one_of_the_smallest_margin() -> None:
    assert bool((logistic_slope(MARGINS) < 0).all())
    assert bool((reflected_slope(MARGINS) < 0).all())


@pytest.mark.parametrize("num_classes", [2, 3, 10])
@pytest.mark.parametrize("name", LOSS_NAMES)
def test_losses_from_margins_are_those_of_the_text(name: LossName, num_classes: int) -> None:
    scores, labels = scores_and_labels(num_classes)
    torch.testing.assert_close(LOSSES[name](scores, labels), slowly(name, scores, labels), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("num_classes", [1, 2, 3, 10])
@pytest.mark.parametrize("name", LOSS_NAMES)
def test_derivatives_of_margins_and_losses_are_those_of_autograd(name: LossName, num_classes: int) -> None:
    scores, labels = scores_and_labels(num_classes)
    scores.requires_grad_()
    margins, closed = LOSSES[name].margins_of(scores, labels)
    (automatic,) = torch.autograd.grad(margins.sum(), scores, retain_graph=True)
    torch.testing.assert_close(closed, automatic, rtol=1e-10, atol=1e-14)
    whole = closed * LOSSES[name].slope(margins).unsqueeze(-1)
    (automatic,) = torch.autograd.grad(LOSSES[name](scores, labels).sum(), scores)
    torch.testing.assert_close(whole, automatic, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_gradients_by_scores_are_central_differences_of_the_reference(name: LossName) -> None:
    scores, labels = scores_and_labels(4, num_examples=8)
    margins, closed = LOSSES[name].margins_of(scores, labels)
    gradients = closed * LOSSES[name].slope(margins).unsqueeze(-1)
    for k in range(4):
        move = torch.zeros(4, dtype=torch.float64)
        move[k] = 1e-6
        numeric = (slowly(name, scores + move, labels) - slowly(name, scores - move, labels)) / 2e-6
        torch.testing.assert_close(gradients[:, k], numeric, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_one_output_and_two_scores_are_the_binary_losses_on_the_margin(name: LossName) -> None:
    scores, labels = scores_and_labels(1)
    margins = (2 * labels - 1) * scores[:, 0]
    expected = logistic_loss(margins) if name == "cross_entropy" else reflected_loss(margins)
    torch.testing.assert_close(LOSSES[name](scores, labels), expected, rtol=1e-12, atol=0)
    two = torch.cat([-scores / 2, scores / 2], 1)
    torch.testing.assert_close(LOSSES[name](two, labels), expected, rtol=1e-12, atol=0)
    assert torch.equal(hard_margins(scores, labels), margins)
    assert torch.equal(greedy_target(scores, labels), greedy_target(two, labels))


def test_hard_margins_are_negative_exactly_where_the_prediction_is_wrong() -> None:
    scores, labels = scores_and_labels(4)
    assert torch.equal(hard_margins(scores, labels) < 0, scores.argmax(-1) != labels)


@pytest.mark.parametrize("margin", [5.0, 16.0, 18.0, 40.0])
def test_margins_first_keeps_in_single_precision_what_cross_entropy_of_two_scores_loses(margin: float) -> None:
    scores, labels = torch.tensor([[margin + 0.3, 0.3]], dtype=torch.float32), torch.tensor([0])
    exact = -torch.sigmoid(torch.tensor(-margin, dtype=torch.float64))
    margins, gradients = LOSSES["cross_entropy"].margins_of(scores, labels)
    ours = (gradients * LOSSES["cross_entropy"].slope(margins).unsqueeze(-1))[0].double()
    torch.testing.assert_close(ours, torch.stack([exact, -exact]), rtol=2e-6 * margin, atol=0)
    plain = scores.clone().requires_grad_()
    F.cross_entropy(plain, labels).backward()
    assert plain.grad is not None
    lost = abs(float(plain.grad[0, 0]) / float(exact) - 1)
    assert lost < 0.01 if margin == 5 else lost > 0.04
    if margin > 17:
        assert float(plain.grad[0, 0]) == 0  # p_y has become 1


def test_the_greedy_target_is_the_likeliest_wrong_class() -> None:
    scores, labels = scores_and_labels(6)
    for row, label, target in zip(
        scores.tolist(), labels.tolist(), greedy_target(scores, labels).tolist(), strict=True
    ):
        assert target == max((k for k in range(6) if k != label), key=row.__getitem__)
