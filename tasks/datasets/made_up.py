"""Random images with the shape of a data set's, to measure times without its files."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from tasks.datasets.batches import Split
from tasks.datasets.dataset import Dataset
from tasks.datasets.preprocessing import FITTED, ChannelNormalisation, Whitening, normalisation_of
from tasks.protocols import Preprocessing
from tasks.runtime.streams import torch_stream


def made_up_split(dataset: Dataset, num_samples: int, preprocessing: Preprocessing = "standard") -> Split:
    """Random uint8 images with random labels; their preprocessing takes as long as that of the data set.

    If the data set holds floats, the images are random floats in [0, 1].
    """
    generator = torch_stream(0, f"made up/{dataset.name}")
    images = torch.randint(0, 256, (num_samples, *dataset.shape), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, dataset.num_classes, (num_samples,), generator=generator)
    normalisation: ChannelNormalisation | Whitening = normalisation_of(dataset.mean, dataset.std, preprocessing)
    if preprocessing in FITTED:
        num_values = math.prod(dataset.shape)
        normalisation = Whitening(
            mean_D=torch.full((num_values,), 0.5),
            matrix_DD=torch.eye(num_values),
            contrast_norm=FITTED[preprocessing],
        )
    if not dataset.holds_bytes:
        images = images / 255
    return Split(inputs=images, targets=F.one_hot(labels, dataset.num_classes).float(), preprocessing=normalisation)
