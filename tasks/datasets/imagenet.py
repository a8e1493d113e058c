"""ImageNet (ILSVRC 2012): 1.28 million training and 50,000 validation photographs of 1,000 classes, in folders."""

from __future__ import annotations

from tasks.datasets.image_folders import ImageFolders

IMAGENET = ImageFolders(
    name="imagenet",
    num_classes=1000,
    shape=(3, 224, 224),
    validation_fraction=0.04,  # about as many images as the official validation set, which is the test set here
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    files=("imagenet/train/CLASS/*.JPEG", "imagenet/val/CLASS/*.JPEG"),
    folders=("imagenet", "ILSVRC2012", "imagenette2", "imagenette2-320", "imagenette2-224", "imagenette2-160"),
    num_train=1_281_167,
    num_test=50_000,
)
"""1.28 million photographs of 1,000 classes (Russakovsky et al. 2015); copies with fewer classes or images work too."""
