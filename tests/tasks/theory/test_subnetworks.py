"""Sub-networks of the last hidden layer: all at once against one network after the other."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tasks.theory import subnetworks
from tasks.theory.subnetworks import fixed_masks, subnetwork_accuracies

NUM_EXAMPLES, WIDTH, NUM_CLASSES, KEEP = 40, 12, 3, 0.4


def network(seed: int = 0) -> tuple[nn.Linear, nn.Linear, Tensor, Tensor]:
    """Both layers, inputs and labels."""
    generator = torch.Generator().manual_seed(seed)
    lower, upper = nn.Linear(5, WIDTH).double(), nn.Linear(WIDTH, NUM_CLASSES).double()
    with torch.no_grad():
        for parameter in [*lower.parameters(), *upper.parameters()]:
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    inputs = torch.randn(NUM_EXAMPLES, 5, generator=generator, dtype=torch.float64)
    return lower, upper, inputs, torch.randint(NUM_CLASSES, (NUM_EXAMPLES,), generator=generator)


@pytest.mark.parametrize("max_stacked", [subnetworks.MAX_STACKED, 1], ids=["at once", "in parts"])
@pytest.mark.parametrize("keep_rate", [None, KEEP], ids=["as they are", "rescaled"])
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
def test_each_accuracy_is_that_of_the_network_run_with_its_mask(
    with_bias: bool, keep_rate: float | None, max_stacked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subnetworks, "MAX_STACKED", max_stacked)
    lower, upper, inputs, labels = network()
    masks = fixed_masks(25, WIDTH, KEEP, seed=1)
    bias = upper.bias if with_bias else None
    with torch.no_grad():
        hidden = lower(inputs).relu()
        wanted = []
        for mask in masks:
            scores = nn.functional.linear(hidden * mask / (keep_rate or 1.0), upper.weight, bias)
            wanted.append(float((scores.argmax(1) == labels).double().mean()))
        found = subnetwork_accuracies(hidden, upper.weight, masks, labels, bias, keep_rate)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(wanted, abs=1e-15)


def test_the_full_mask_is_the_full_network() -> None:
    lower, upper, inputs, labels = network()
    full = torch.ones(1, WIDTH, dtype=torch.bool)
    hidden = lower(inputs).relu()
    accuracy = (upper(hidden).argmax(1) == labels).double().mean()
    assert torch.equal(subnetwork_accuracies(hidden, upper.weight, full, labels, upper.bias)[0], accuracy)


def test_without_a_bias_the_rescaling_changes_nothing_and_with_one_it_does() -> None:
    lower, upper, inputs, labels = network()
    masks, hidden = fixed_masks(50, WIDTH, KEEP, seed=1), lower(inputs).relu()
    plain, rescaled = (subnetwork_accuracies(hidden, upper.weight, masks, labels, None, q) for q in (None, KEEP))
    assert torch.equal(plain, rescaled)
    plain, rescaled = (subnetwork_accuracies(hidden, upper.weight, masks, labels, upper.bias, q) for q in (None, KEEP))
    assert not torch.equal(plain, rescaled)


def test_masks_are_drawn_by_the_seed_and_keep_the_rate() -> None:
    masks = fixed_masks(200, 500, KEEP, seed=3)
    assert torch.equal(masks, fixed_masks(200, 500, KEEP, seed=3))
    assert not torch.equal(masks, fixed_masks(200, 500, KEEP, seed=4))
    assert float(masks.double().mean()) == pytest.approx(KEEP, abs=5 * (KEEP * (1 - KEEP) / 100_000) ** 0.5)
    assert bool(fixed_masks(3, 7, 1.0, seed=0).all())


@pytest.mark.parametrize("width", [1, 5, 16, 100])
def test_more_masks_begin_with_the_fewer(width: int) -> None:
    assert torch.equal(fixed_masks(20, width, KEEP, seed=3)[:7], fixed_masks(7, width, KEEP, seed=3))


H, W = torch.ones(2, 3), torch.ones(4, 3)
ALL, LABELS = torch.ones(5, 3, dtype=torch.bool), torch.zeros(2, dtype=torch.int64)
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "no mask": (lambda: fixed_masks(0, 3, 0.5, seed=0), "num_masks must be an integer >= 1, got 0"),
    "no unit": (lambda: fixed_masks(1, 0, 0.5, seed=0), "width must be an integer >= 1, got 0"),
    "rate": (lambda: fixed_masks(1, 3, 0.0, seed=0), r"keep_rate must lie in \(0, 1\], got 0.0"),
    "widths": (
        lambda: subnetwork_accuracies(H, W, ALL[:, :2], LABELS),
        "must have one column for each hidden unit, got 3 and 3 and 2",
    ),
    "vector": (
        lambda: subnetwork_accuracies(H, W, ALL[0], LABELS),
        r"masks must be a non-empty matrix, got shape \(3,\)",
    ),
    "masks of floats": (
        lambda: subnetwork_accuracies(H, W, ALL.float(), LABELS),
        "masks must be boolean, got torch.float32",
    ),
    "labels of floats": (
        lambda: subnetwork_accuracies(H, W, ALL, LABELS.float()),
        r"labels must be a vector of integers, got torch.float32 of shape \(2,\)",
    ),
    "number of labels": (
        lambda: subnetwork_accuracies(H, W, ALL, LABELS[:1]),
        "labels must hold one class for each row of hidden, got 1 and 2",
    ),
    "bias": (
        lambda: subnetwork_accuracies(H, W, ALL, LABELS, torch.ones(3)),
        "output_bias must hold one number for each class, got 3 and 4",
    ),
    "scale": (
        lambda: subnetwork_accuracies(H, W, ALL, LABELS, keep_rate=1.5),
        r"keep_rate must lie in \(0, 1\], got 1.5",
    ),
    "not finite": (
        lambda: subnetwork_accuracies(H * torch.nan, W, ALL, LABELS),
        "hidden must have finite entries only, got 6 that are not",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_in_one_clear_sentence(name: str) -> None:
    call, sentence = BAD[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
