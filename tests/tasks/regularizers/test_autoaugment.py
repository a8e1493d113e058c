"""AutoAugment has torchvision's policies, operations and law, and sees images as bytes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import stats
from tiny_tasks import IMAGE_TASK, binomial_bound, prepared
from torch import Tensor
from torchvision.transforms import v2

from tasks.regularizers.autoaugment import SIGNED, AutoAugment, distort
from tasks.regularizers.base import Batch, Regularizer, Step
from tasks.regularizers.parts.augmentation_policies import POLICIES, policy

THEIRS = {
    "cifar10": v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10, fill=128),
    "imagenet": v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET, fill=128),
}
OPERATIONS = sorted({operation.name for pairs in POLICIES.values() for pair in pairs for operation in pair})
NUM_IMAGES = 3000


def images(channels: int = 3, count: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, 12, 10), generator=generator, dtype=torch.uint8)


def step() -> Step:
    network = prepared(IMAGE_TASK).network
    return Step(
        network=network,
        loss=lambda batch: batch.inputs.sum(),
        rng=np.random.default_rng(0),
        index=0,
        epoch=1,
        progress=0,
    )


def their_name(name: str) -> str:
    return "AutoContrast" if name == "autocontrast" else "".join(part.capitalize() for part in name.split("_"))


@pytest.mark.parametrize("name", POLICIES)
def test_the_policies_are_torchvisions(name: str) -> None:
    ours = [[(their_name(own.name), own.chance, own.magnitude) for own in pair] for pair in POLICIES[name]]
    theirs = [[(operation, chance, level or 0) for operation, chance, level in pair] for pair in THEIRS[name]._policies]
    assert ours == theirs


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_torchvisions_at_every_magnitude(name: str, channels: int, negative: bool) -> None:
    theirs = THEIRS["cifar10"]
    magnitudes_of, signed = theirs._AUGMENTATION_SPACE[their_name(name)]
    assert signed == (name in SIGNED)
    magnitudes = magnitudes_of(10, 12, 10)
    for index in range(10):
        magnitude = 0.0 if magnitudes is None else float(magnitudes[index]) * (-1 if negative and signed else 1)
        transformed = [
            theirs._apply_image_or_video_transform(
                image, their_name(name), magnitude, interpolation=theirs.interpolation, fill=theirs._fill
            )
            for image in images(channels)
        ]
        distorted = distort(images(channels), name, index, negative=negative and signed)
        assert torch.equal(distorted, torch.stack(transformed)), (index, magnitude)


@pytest.mark.parametrize("name", POLICIES)
def test_augmented_images_have_torchvisions_law(name: str) -> None:
    image = images(count=1)
    ours = AutoAugment(policy=name).transform_raw(image.expand(NUM_IMAGES, -1, -1, -1), step())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = [THEIRS[name](image[0]) for _ in range(NUM_IMAGES)]
    counts = [Counter(picture.numpy().tobytes() for picture in pictures) for pictures in (ours, theirs)]
    outcomes = sorted(set(counts[0]) | set(counts[1]), key=lambda o: counts[0][o] + counts[1][o], reverse=True)
    table = np.array([[count[outcome] for outcome in outcomes] for count in counts])
    often = table.sum(0) >= 10
    pooled = np.column_stack([table[:, often], table[:, ~often].sum(1)])
    assert often.sum() > 20
    assert stats.chi2_contingency(pooled[:, pooled.sum(0) > 0]).pvalue > 1e-6


def test_an_operation_has_its_chance_and_goes_to_both_sides_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POLICIES, "cifar10", policy("rotate 0.6 9 | invert 0.25"))
    image = images(count=1)
    augmented = AutoAugment().transform_raw(image.expand(NUM_IMAGES, -1, -1, -1), step())
    for turned, rate in (
        (distort(image, "rotate", 9), 0.3),
        (distort(image, "rotate", 9, negative=True), 0.3),
        (image, 0.4),
    ):
        plain, inverted = ((augmented == picture).flatten(1).all(1).double().mean() for picture in (turned, ~turned))
        assert abs(float(plain) - 0.75 * rate) <= float(binomial_bound(0.75 * rate, NUM_IMAGES))
        assert abs(float(inverted) - 0.25 * rate) <= float(binomial_bound(0.25 * rate, NUM_IMAGES))


def test_the_image_fraction_leaves_the_others_as_they_are() -> None:
    inputs = images(count=400)
    outputs = AutoAugment(image_fraction=0.25).transform_raw(inputs, step())
    changed = (outputs != inputs).flatten(1).any(1).double().mean()
    assert 0.1 < float(changed) <= 0.25 + 5 * (0.25 * 0.75 / 400) ** 0.5
    assert torch.equal(inputs, images(count=400))  # nothing is changed in place


@dataclass(frozen=True, kw_only=True)
class Witness(Regularizer):
    """Notes what its hooks are given."""

    def transform_raw(self, inputs: Tensor, step: Step) -> Tensor:
        SEEN.append(("raw", inputs))
        return inputs

    def transform_batch(self, batch: Batch, step: Step) -> Batch:
        SEEN.append(("batch", batch.inputs))
        return batch


SEEN: list[tuple[str, Tensor]] = []


def test_raw_images_come_as_bytes_and_are_normalised_afterwards() -> None:
    SEEN.clear()
    training = prepared(IMAGE_TASK, AutoAugment(policy="imagenet"), Witness())
    raw = next(training.batches.epoch())
    training.step(raw, epoch=1)
    (first, augmented), (second, normalised) = SEEN
    assert (first, second) == ("raw", "batch")
    assert augmented.dtype == torch.uint8
    assert not torch.equal(augmented, raw.inputs)
    assert torch.equal(normalised, training.batches.split.normalised(augmented))  # type: ignore[attr-defined]  # data in memory


def test_it_refuses_what_is_no_longer_bytes() -> None:
    with pytest.raises(ValueError, match="AutoAugment needs uint8 images"):
        AutoAugment().transform_raw(torch.zeros(2, 1, 8, 8), step())


def test_a_border_that_is_no_byte_is_refused() -> None:
    with pytest.raises(ValueError, match=r"AutoAugment\.border must be a whole number from 0 to 255, got 256"):
        AutoAugment(border=256)
