"""AutoAugment distorts each training image by a learned policy (Cubuk et al. 2019, arXiv:1805.09501)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as F

from tasks.input_space import InputSpace
from tasks.regularizers.base import Regularizer, Scalar, Step
from tasks.regularizers.parts.augmentation_policies import POLICIES
from tasks.regularizers.parts.checks import check_choice, check_count, check_rate
from tasks.regularizers.parts.places import reason_without_images
from tasks.runtime.sending import send

NUM_MAGNITUDES = 10
SIGNED = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "color", "contrast", "sharpness")


@dataclass(frozen=True, kw_only=True)
class AutoAugment(Regularizer):
    """Each image draws one of 25 sub-policies; its two operations are applied in order, each with its probability.

    Policies, magnitudes, operations and their distribution are those of torchvision's AutoAugment; images that draw the
    same operation are transformed together. It acts on uint8 images, before normalisation and after the protocol's own
    crops and flips. Pixels that move in from outside the image get the value `border`.
    """

    policy: Literal["cifar10", "imagenet"] = "cifar10"
    image_fraction: float = 1.0  # in [0, 1], probability that an image is augmented
    border: int = 128  # in [0, 255], grey level of pixels from outside the image

    acts_on: ClassVar[tuple[str, ...]] = ("input",)
    off: ClassVar[dict[str, Scalar]] = {"image_fraction": 0.0}
    formula: ClassVar[str] = "x <- operation_2(operation_1(x)), the pair drawn uniformly from 25 learned ones"
    host_waits: ClassVar[str] = "those of torchvision, whose operations make their matrices on the processor"
    source: ClassVar[str] = "Cubuk et al. 2019, sections 3.2 and 4, tables 6, 7 and 9; grey fill of its released code"

    def __post_init__(self) -> None:
        """Check every field."""
        check_choice(self, "policy", POLICIES)
        check_rate(self, "image_fraction", below_one=False)
        check_count(self, "border", 0, 255)

    def skip_reason(self, network: nn.Module) -> str | None:
        """Skip networks without images at an input site."""
        return reason_without_images(self, network)

    def reason_against_inputs(self, space: InputSpace | None) -> str | None:
        """Skip images that are not stored as grey levels: whitened ones, and those with random signs."""
        if space is None or space.box is None:
            return f"{type(self).__name__} needs images of grey levels 0 to 255; those of this task have other values."
        return super().reason_against_inputs(space)

    def transform_raw(self, inputs: Tensor, step: Step) -> Tensor:
        """The images (B, C, H, W), uint8, after their two operations."""
        if self.image_fraction == 0:
            return inputs
        if inputs.dtype != torch.uint8:
            raise ValueError(f"AutoAugment needs uint8 images, got {inputs.dtype}; it cannot act on whitened data.")
        chosen = step.rng.integers(len(POLICIES[self.policy]), size=len(inputs))
        augmented = step.rng.random(len(inputs)) < self.image_fraction
        for place in range(2):
            applied = augmented & (step.rng.random(len(inputs)) < self._chances(place)[chosen])
            negative = step.rng.random(len(inputs)) < 0.5
            inputs = self._distorted(inputs, place, np.where(applied, chosen, -1), negative)
        return inputs

    def _chances(self, place: int) -> np.ndarray:
        return np.array([pair[place].chance for pair in POLICIES[self.policy]])

    def _distorted(self, images: Tensor, place: int, chosen: np.ndarray, negative: np.ndarray) -> Tensor:
        """The images after operation `place` (0 or 1) of their `chosen` sub-policies (-1: none)."""
        operations = [pair[place] for pair in POLICIES[self.policy]]
        groups: dict[tuple[str, int, bool], list[int]] = {}
        for image in np.flatnonzero(chosen >= 0):
            operation = operations[chosen[image]]
            sign = bool(negative[image]) and operation.name in SIGNED
            groups.setdefault((operation.name, operation.magnitude, sign), []).append(int(image))
        distorted = images.clone()
        for (name, magnitude, sign), members in groups.items():
            here = send(torch.tensor(members), images.device)
            distorted[here] = distort(images[here], name, magnitude, negative=sign, border=self.border)
        return distorted


def distort(images: Tensor, name: str, magnitude: int, *, negative: bool = False, border: int = 128) -> Tensor:
    """Apply one operation to uint8 images (B, C, H, W), at `magnitude` 0 to 9, with the opposite sign if `negative`."""
    height, width = images.shape[-2:]
    sign = -1 if negative else 1
    grey = [float(border)]
    shear = math.degrees(math.atan(sign * _level(0.3, magnitude)))
    right, down = (sign * int(_level(150 / 331 * size, magnitude)) for size in (width, height))
    factor = 1 + sign * _level(0.9, magnitude)
    actions = {
        "shear_x": lambda: F.affine(images, 0.0, [0, 0], 1.0, [shear, 0.0], fill=grey, center=[0.0, 0.0]),
        "shear_y": lambda: F.affine(images, 0.0, [0, 0], 1.0, [0.0, shear], fill=grey, center=[0.0, 0.0]),
        "translate_x": lambda: F.affine(images, 0.0, [right, 0], 1.0, [0.0, 0.0], fill=grey),
        "translate_y": lambda: F.affine(images, 0.0, [0, down], 1.0, [0.0, 0.0], fill=grey),
        "rotate": lambda: F.rotate(images, sign * _level(30, magnitude), fill=grey),
        "brightness": lambda: F.adjust_brightness(images, factor),
        "color": lambda: F.adjust_saturation(images, factor),
        "contrast": lambda: F.adjust_contrast(images, factor),
        "sharpness": lambda: F.adjust_sharpness(images, factor),
        "posterize": lambda: F.posterize(images, 8 - round(_level(4, magnitude))),
        "solarize": lambda: F.solarize(images, 255 * _level(1, NUM_MAGNITUDES - 1 - magnitude)),
        "autocontrast": lambda: F.autocontrast(images),
        "equalize": lambda: F.equalize(images),
        "invert": lambda: F.invert(images),
    }
    distorted: Tensor = actions[name]()
    return distorted


def _level(largest: float, magnitude: int) -> float:
    """`magnitude` of 0 to 9 on a linear scale from 0 to `largest`, with torchvision's rounding, to match it exactly."""
    return float(torch.linspace(0.0, largest, NUM_MAGNITUDES)[magnitude])
