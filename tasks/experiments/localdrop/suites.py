"""Every table and figure of the LocalDrop paper as a suite (Lu et al. 2021, section 5, arXiv:2103.00719)."""

from __future__ import annotations

from tasks.suites import Group, Scalar, Suite

_LU = "Lu et al. 2021"
_FEW_AT_SMOKE = {"smoke": 1}
_NONE_AT_SMOKE = {"smoke": 0}

_CNN = ("cifar10-zhai", "cifar100-zhai")
_DEEP_DATASETS = ("cifar10", "cifar100", "imagenet")
_RESNET50 = tuple(f"{dataset}-resnet50" for dataset in _DEEP_DATASETS)
_OTHER_DEEP = tuple(f"{data}-{net}" for net in ("preact_resnet18", "densenet121", "dpn92") for data in _DEEP_DATASETS)
_TABLE2 = ("none", "dropout", "cutout", "spatial_dropout", "dropblock", "localdrop_no_dropblock", "localdrop")
_TABLE2_OTHER = ("none", "dropout", "dropblock", "localdrop")
_AUGMENTED = ("cifar10-resnet50-augmented", "cifar100-resnet50-augmented")
_AUGMENTED_OTHER = tuple(
    f"{data}-{net}-augmented" for net in ("preact_resnet18", "densenet121", "dpn92") for data in ("cifar10", "cifar100")
)

H_OF_2048 = (0, 200, 500, 700, 1000, 1200, 1500, 1700, 2000)  # table 4; 2048 switches the shrinkage off
CONV_OFF = 3  # the h_conv at which no singular values of kernels are shrunk
LAMBDAS = (0.01, 0.03, 0.1, 0.3, 1.0)
BLOCK_SIZES = (1, 3, 5, 7, 9, 11)


def _at(h: int, m: int) -> Group:
    """One row of table 3: every lambda at one h and m."""
    grid: dict[str, tuple[Scalar, ...]] = {"lam": LAMBDAS, "h_dense_fraction": (h / 2048,), "m": (m,)}
    return Group(tasks=("cifar10-zhai",), regularizers=("localdrop",), grid=grid)


LOCALDROP_TABLE1 = Suite(
    groups=(
        Group(
            tasks=_CNN,
            regularizers=(
                "none",
                "weight_decay",
                "early_stopping",
                "dropout",
                "variational_dropout",
                "sparse_variational_dropout",
                "adaptive_dropout_rc",
                "localdrop_fc_only",
                "localdrop_no_dropout",
                "localdrop",
            ),
        ),
    ),
    scale="paper",
    tune_trials=20,
    tune_width=4,
    tune_trials_at=_FEW_AT_SMOKE,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_LU}, table 1",
)
"""Ten regularizers on the conv net of Zhai and Wang, CIFAR-10 and CIFAR-100; needs --data."""

LOCALDROP_TABLE2 = Suite(
    groups=(
        Group(tasks=(*_RESNET50, *_AUGMENTED), regularizers=_TABLE2),
        Group(tasks=(*_OTHER_DEEP, *_AUGMENTED_OTHER), regularizers=_TABLE2_OTHER),
    ),
    scale="paper",
    tune_trials=10,
    tune_width=4,
    tune_trials_at=_NONE_AT_SMOKE,
    seeds=3,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_LU}, table 2",
)
"""Deep networks: CIFAR without augmentation (as printed) and with it, ImageNet with it; needs --data."""

LOCALDROP_TABLE3 = Suite(
    groups=(_at(500, 30), _at(1000, 20), _at(1500, 10), _at(2000, 1), _at(2000, 10)),
    scale="paper",
    tune_trials=0,
    seeds=3,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_LU}, table 3",
)
"""LocalDrop's lambda, at five pairs of h and m, on CIFAR-10; needs --data."""

LOCALDROP_TABLE4 = Suite(
    groups=(
        Group(
            tasks=("cifar10-zhai",),
            regularizers=("localdrop",),
            grid={"h_dense_fraction": tuple(h / 2048 for h in H_OF_2048), "m": (1, 10, 20, 30)},
        ),
        Group(
            tasks=("cifar10-zhai",),
            regularizers=("localdrop",),
            grid={"h_dense_fraction": (1.0,), "h_conv": (CONV_OFF,), "m": (1, 10, 20, 30)},
        ),
    ),
    scale="paper",
    tune_trials=0,
    seeds=3,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_LU}, table 4",
)
"""LocalDrop's h and m on CIFAR-10; needs --data."""

LOCALDROP_TABLE5 = Suite(
    groups=(Group(tasks=_CNN, regularizers=("none", "dropout", "adaptive_dropout_rc", "localdrop")),),
    scale="paper",
    tune_trials=0,
    seeds=0,
    timing_tasks=_CNN,
    timing_repeats=5,
    timing_repeats_at=_FEW_AT_SMOKE,
    source=f"{_LU}, table 5",
)
"""Training times of regularizers on the conv net of Zhai and Wang; needs --data."""

LOCALDROP_TABLE6 = Suite(
    groups=(
        Group(tasks=_RESNET50, regularizers=("localdrop",), grid={"block_size": BLOCK_SIZES}),
        Group(tasks=("cifar10-resnet50",), regularizers=("localdrop",), grid={"h_conv": (1, 3)}),
    ),
    scale="paper",
    tune_trials=0,
    seeds=3,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_LU}, table 6, and h of 3x3 kernels in section 5.3",
)
"""LocalDrop's block size, and its h of 3x3 kernels, on ResNet-50; needs --data."""

LOCALDROP_TABLE7 = Suite(
    groups=(Group(tasks=_RESNET50, regularizers=("none", "dropout", "dropblock", "localdrop")),),
    scale="paper",
    tune_trials=0,
    seeds=0,
    timing_tasks=_RESNET50,
    timing_repeats=5,
    timing_repeats_at=_FEW_AT_SMOKE,
    source=f"{_LU}, table 7",
)
"""Training times of regularizers on ResNet-50; needs --data."""

LOCALDROP_FIG1A = Suite(
    groups=(
        Group(
            tasks=(*(f"cifar10-zhai-width-{width}" for width in (200, 400, 800, 1600)), "cifar10-zhai"),
            regularizers=("none", "adaptive_dropout_rc", "localdrop"),
        ),
    ),
    scale="paper",
    tune_trials=0,
    seeds=3,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_LU}, figure 1a",
)
"""Error by the number of hidden units on CIFAR-10; needs --data."""

LOCALDROP_FIG1BC = Suite(
    groups=(Group(tasks=_CNN, regularizers=("adaptive_dropout_rc", "localdrop")),),
    scale="paper",
    tune_trials=0,
    seeds=3,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_LU}, figures 1b and 1c",
)
"""Error by epoch on CIFAR-10 and CIFAR-100; needs --data."""

LOCALDROP_FIG2 = Suite(
    groups=(Group(tasks=("cifar10-fcn",), regularizers=("rademacher_probe", "localdrop_fc_only+rademacher_probe")),),
    scale="paper",
    tune_trials=0,
    seeds=3,
    seeds_at=_FEW_AT_SMOKE,
    source=f"{_LU}, figure 2",
)
"""The bound of theorem 1 and the error during training of dense layers on CIFAR-10; needs --data."""
