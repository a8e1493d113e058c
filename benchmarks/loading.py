"""Training input: our batches from memory against torchvision's per-image transforms in a DataLoader, interleaved."""

from __future__ import annotations

import statistics
import time

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from tasks.batches import CROP_PADDING, Batches, Split
from tasks.datasets.preprocessing import ChannelNormalisation

NUM_IMAGES, BATCH_SIZE, ROUNDS, NUM_WORKERS = 6_000, 128, 5, 2
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


class _Images(Dataset[tuple[torch.Tensor, int]]):
    """Images as torchvision's data sets hand them out: a PIL image, then the transforms, one by one."""

    def __init__(self, images: torch.Tensor) -> None:
        self._images = images.permute(0, 2, 3, 1).numpy()
        self._transform = transforms.Compose(
            [
                transforms.ToPILImage(),
                transforms.RandomCrop(32, padding=CROP_PADDING),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(self._images[index]), 0


def run() -> list[dict[str, object]]:
    """Images per second of both, on the same cores, with crop, flip and normalisation of 32x32 colour images."""
    torch.set_num_threads(1)
    images = torch.randint(0, 256, (NUM_IMAGES, 3, 32, 32), dtype=torch.uint8)
    preprocessing = ChannelNormalisation(mean=MEAN, std=STD)
    split = Split(inputs=images, targets=torch.zeros(NUM_IMAGES, 10), preprocessing=preprocessing)
    ours = Batches(split, BATCH_SIZE, seed=0, augmentation=("crop", "flip"))
    loader = DataLoader(
        _Images(images), BATCH_SIZE, shuffle=True, num_workers=NUM_WORKERS, persistent_workers=True, drop_last=True
    )
    rates: dict[str, list[float]] = {"ours": [], "torchvision": []}
    for round_number in range(ROUNDS + 1):  # the first one warms up, and starts the loader's workers
        for name, epoch in (("ours", ours.epoch), ("torchvision", lambda: iter(loader))):
            started = time.perf_counter()
            count = sum(len(batch[0]) for batch in epoch())
            if round_number:
                rates[name].append(count / (time.perf_counter() - started))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return [
        {
            "images_per_second": medians["ours"],
            "torchvision_images_per_second": medians["torchvision"],
            "ratio": medians["ours"] / medians["torchvision"],
            "reach": 5.0,
        }
    ]


if __name__ == "__main__":
    print(run())
