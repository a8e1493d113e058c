"""Every table and figure of the feature map distortion paper as a suite (Tang et al. 2020, arXiv:2002.11022)."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.suites import Grid, Group, Suite

_TANG = "Tang et al. 2020"
_FEW_AT_SMOKE = {"smoke": 1}
_RESNET56 = ("cifar10-resnet56", "cifar100-resnet56")
_IMAGENET = ("imagenet-resnet50-tang",)
_OFFICIAL_STEP_OF_1: Grid = {"step_size": (1.0,), "mode": ("official",)}  # eq. 22 gives nearly no noise on ImageNet
RATES = tuple(round(0.01 * step, 2) for step in range(1, 11))
# The step size of each mode. Eq. 22 divides by the batch size: with 30 the noise is less than a hundredth of a map's
# standard deviation, nearly the zeros of DropBlock. The released code does not divide.
STEP_SIZE_OF_MODE = {"official": 5.0, "paper": 30.0}
STEP_SIZES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)  # the paper gives no range

DISTORTION_TABLE1 = Suite(
    groups=(
        Group(
            tasks=("cifar10-zhai-tang", "cifar100-zhai-tang"),
            regularizers=(
                "none",
                "dropout",
                "variational_dropout",
                "sparse_variational_dropout",
                "adaptive_dropout_rc",
                "feature_map_distortion",
            ),
        ),
    ),
    scale="paper",
    tune_trials=20,
    tune_width=4,
    tune_trials_at=_FEW_AT_SMOKE,
    seeds=5,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_TANG}, table 1",
)
"""Feature map distortion on dense layers, CIFAR-10 and CIFAR-100; needs --data."""

DISTORTION_TABLE2 = Suite(
    groups=(Group(tasks=_RESNET56, regularizers=("none", "dropblock", "block_feature_map_distortion")),),
    scale="paper",
    tune_trials=20,
    tune_width=4,
    tune_trials_at=_FEW_AT_SMOKE,
    seeds=5,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_TANG}, table 2",
)
"""Block feature map distortion on ResNet-56, CIFAR-10 and CIFAR-100; needs --data."""

DISTORTION_TABLE3 = Suite(
    groups=(
        Group(
            tasks=_IMAGENET,
            regularizers=(
                "none",
                "dropout",
                "drop_path",
                "spatial_dropout",
                "cutout",
                "autoaugment",
                "label_smoothing",
                "dropblock",
                "feature_map_distortion",
                "block_feature_map_distortion",
            ),
        ),
        Group(
            tasks=_IMAGENET,
            regularizers=("block_feature_map_distortion",),
            grid={**_OFFICIAL_STEP_OF_1, "distortion_rate": (0.07,), "block_size": (7,)},
        ),
        Group(tasks=_IMAGENET, regularizers=("feature_map_distortion",), grid=_OFFICIAL_STEP_OF_1),
    ),
    scale="paper",
    tune_trials=0,
    seeds=3,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_TANG}, table 3, and its released code",
)
"""Ten regularizers on ResNet-50 and ImageNet, with distortion as in the paper and in its code; needs --data."""

DISTORTION_FIG1 = Suite(
    groups=(Group(tasks=("cifar100-resnet56",), regularizers=("none", "block_feature_map_distortion")),),
    scale="paper",
    tune_trials=0,
    seeds=3,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_TANG}, figure 1",
)
"""Training curves of ResNet-56 on CIFAR-100 with and without block distortion; needs --data."""


def _distortion_grids() -> Iterator[Grid]:
    for mode, step_size in STEP_SIZE_OF_MODE.items():
        yield {"distortion_rate": RATES, "step_size": (step_size,), "mode": (mode,)}
        yield {"step_size": STEP_SIZES, "mode": (mode,)}


DISTORTION_FIG2 = Suite(
    groups=(
        Group(tasks=("cifar100-resnet56",), regularizers=("dropblock",), grid={"drop_rate": RATES}),
        *(
            Group(tasks=("cifar100-resnet56",), regularizers=("block_feature_map_distortion",), grid=grid)
            for grid in _distortion_grids()
        ),
    ),
    scale="paper",
    tune_trials=0,
    seeds=3,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_TANG}, figure 2",
)
"""Rate and step size of block distortion in both modes, and the rate of DropBlock, on CIFAR-100; needs --data."""
