"""Data sets of few images: which images are drawn, which labels are wrong, and what is the same for all seeds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.datasets.batches import Split
from tasks.datasets.dataset import Splits
from tasks.datasets.few_images import FewImages, few_images_of
from tasks.datasets.in_memory import InMemory, Raw
from tasks.experiments import TASKS
from tasks.protocols import Protocol
from tasks.task import Setting

NUM_CLASSES, PER_CLASS = 4, 60


def _load(_: object) -> Raw:
    """Images whose two pixels are a number of their own: its label is that number modulo 4."""
    numbers = torch.arange(NUM_CLASSES * PER_CLASS)
    images = torch.stack([numbers % 200, numbers // 200], dim=1).to(torch.uint8).view(-1, 1, 1, 2)
    return Raw(images, numbers % NUM_CLASSES, images[:8], numbers[:8] % NUM_CLASSES)


WHOLE = InMemory(
    name="numbered",
    load=_load,
    num_classes=NUM_CLASSES,
    shape=(1, 1, 2),
    num_train=NUM_CLASSES * PER_CLASS,
    num_test=8,
    validation_fraction=0.25,
    mean=(0.0,),
    std=(1.0,),
)


def few(wrong_labels: float = 0.0, train_size: int = 40, validation_size: int = 80) -> FewImages:
    return few_images_of(
        WHOLE, "few", train_size=train_size, validation_size=validation_size, wrong_labels=wrong_labels
    )


def numbers(split: object) -> list[int]:
    assert isinstance(split, Split)
    return (split.inputs[:, 0, 0, 0].long() + 200 * split.inputs[:, 0, 0, 1].long()).tolist()


def labels(split: object) -> list[int]:
    assert isinstance(split, Split)
    return split.targets.argmax(1).tolist()


def parts(splits: Splits) -> Iterator[object]:
    yield from (splits.train, splits.validation, splits.test)


@given(
    seed=st.integers(0, 10**6),
    train_size=st.integers(NUM_CLASSES, 100),
    validation_size=st.integers(1, 100),
    wrong_labels=st.floats(0, 0.99),
)
@settings(max_examples=60, deadline=None)
def test_images_are_drawn_once_by_class_with_exactly_the_wrong_labels_asked_for(
    seed: int, train_size: int, validation_size: int, wrong_labels: float
) -> None:
    splits = few(wrong_labels, train_size, validation_size).splits_of(seed, None)
    train, validation = numbers(splits.train), numbers(splits.validation)
    assert (len(train), len(validation)) == (train_size, validation_size)
    assert len({*train, *validation}) == train_size + validation_size
    for drawn in (train, validation):
        counts = [sum(number % NUM_CLASSES == label for number in drawn) for label in range(NUM_CLASSES)]
        assert max(counts) - min(counts) <= 2  # shares are even up to an image, in both draws
    wrong = [number % NUM_CLASSES != label for number, label in zip(train, labels(splits.train), strict=True)]
    assert sum(wrong) == round(wrong_labels * train_size)
    assert labels(splits.validation) == [number % NUM_CLASSES for number in validation]
    assert numbers(splits.test) == list(range(8))


def test_seeds_draw_other_images_and_share_a_fingerprint() -> None:
    one, again, other = (few().splits_of(seed, None) for seed in (1, 1, 2))
    assert [numbers(part) for part in parts(one)] == [numbers(part) for part in parts(again)]
    assert set(numbers(one.train)) != set(numbers(other.train))
    assert one.fingerprint == other.fingerprint


def test_another_rule_has_another_fingerprint() -> None:
    found = [few(), few(0.2), few(train_size=44), few(validation_size=84)]
    assert len({each.splits(None).fingerprint for each in found} | {WHOLE.splits(None).fingerprint}) == 5


def test_each_other_class_is_equally_likely_for_a_wrong_label() -> None:
    shifts = [0] * NUM_CLASSES
    for seed in range(100):
        split = few(0.5).splits_of(seed, None).train
        for number, label in zip(numbers(split), labels(split), strict=True):
            shifts[(label - number) % NUM_CLASSES] += 1
    assert shifts[0] == 2000
    # 2,000 draws of one in three: expected 667, standard deviation 21
    assert all(abs(count - 2000 / 3) < 5 * 21.1 for count in shifts[1:])


def test_contestants_with_one_seed_train_on_the_same_images_and_other_seeds_on_others() -> None:
    def first_inputs(seed: int) -> torch.Tensor:
        setting = Setting(seed=seed, scale="smoke", learning_rate=0.05)
        return torch.cat([batch.inputs for batch in TASKS["digits-200-mlp"].prepare((), setting).batches.epoch()])

    assert torch.equal(first_inputs(3), first_inputs(3))
    one, other = (set(map(tuple, first_inputs(seed).flatten(1).tolist())) for seed in (3, 4))
    assert len(one - other) > 100  # of 200 images; two draws of 200 from 1,300 share about 31


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train_size": 3}, "at least 4 training images"),
        ({"train_size": 200, "validation_size": 41}, "at most 240 in all; got 200 and 41"),
        ({"validation_size": 0}, "1 validation image"),
        ({"wrong_labels": 1.0}, r"wrong_labels must lie in \[0, 1\), got 1.0"),
    ],
)
def test_numbers_out_of_range_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        few(**values)


def test_a_protocol_cannot_ask_for_another_share_of_validation_images() -> None:
    protocol = Protocol(source="", epochs=1, batch_size=8, learning_rate=0.1, validation_fraction=0.5)
    with pytest.raises(ValueError, match=r"the protocol must leave validation_fraction out, got 0\.5"):
        few().splits(None, protocol)
