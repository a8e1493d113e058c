"""Search spaces: one module per regularizer, each range with its source. Nothing here imports torch or Optuna.

The module `search_spaces.NAME` defines the space of the regularizer NAME as SPACE; a new one is one more name in
`NAMES`. `harness.spaces` adds those of other packages, from the entry-point group `regarena.search_spaces`.
"""

from __future__ import annotations

from importlib import import_module

from search_spaces.space import Space

NAMES = (
    "none",
    "weight_decay",
    "l1",
    "early_stopping",
    "max_norm",
    "label_smoothing",
    "sam",
    "cutout",
    "autoaugment",
    "mixup",
    "cutmix",
    "adversarial_training",
    "reflected_adversarial_training",
    "dropout",
    "lazy_dropout",
    "gaussian_dropout",
    "curriculum_dropout",
    "concrete_dropout",
    "generalized_dropout",
    "dropconnect",
    "spatial_dropout",
    "drop_path",
    "shakedrop",
    "dropblock",
    "dropblock_sample",
    "path_norm",
    "flow_penalty",
    "nuclear_norm",
    "weighted_trace_norm",
    "k_support_norm",
    "localdrop",
    "localdrop_fc_only",
    "localdrop_no_dropout",
    "localdrop_no_dropblock",
    "feature_map_distortion",
    "block_feature_map_distortion",
    "adaptive_dropout_rc",
    "variational_dropout",
    "sparse_variational_dropout",
    "rademacher_probe",
)

SPACES: dict[str, Space] = {name: import_module(f"search_spaces.{name}").SPACE for name in NAMES}
