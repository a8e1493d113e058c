"""Search spaces: one module per regularizer, each range with its source. Nothing here imports torch or Optuna."""

from __future__ import annotations

from importlib.metadata import entry_points

from search_spaces import (
    adaptive_dropout_rc,
    adversarial_training,
    autoaugment,
    block_feature_map_distortion,
    concrete_dropout,
    curriculum_dropout,
    cutmix,
    cutout,
    drop_path,
    dropblock,
    dropblock_sample,
    dropconnect,
    dropout,
    early_stopping,
    feature_map_distortion,
    gaussian_dropout,
    generalized_dropout,
    k_support_norm,
    l1,
    label_smoothing,
    localdrop,
    localdrop_fc_only,
    localdrop_no_dropblock,
    localdrop_no_dropout,
    max_norm,
    mixup,
    none,
    nuclear_norm,
    path_norm,
    rademacher_probe,
    reflected_adversarial_training,
    sam,
    shakedrop,
    sparse_variational_dropout,
    spatial_dropout,
    variational_dropout,
    weight_decay,
)
from search_spaces.space import Space

SPACES: dict[str, Space] = {
    "none": none.SPACE,
    "weight_decay": weight_decay.SPACE,
    "l1": l1.SPACE,
    "early_stopping": early_stopping.SPACE,
    "max_norm": max_norm.SPACE,
    "label_smoothing": label_smoothing.SPACE,
    "sam": sam.SPACE,
    "cutout": cutout.SPACE,
    "autoaugment": autoaugment.SPACE,
    "mixup": mixup.SPACE,
    "cutmix": cutmix.SPACE,
    "adversarial_training": adversarial_training.SPACE,
    "reflected_adversarial_training": reflected_adversarial_training.SPACE,
    "dropout": dropout.SPACE,
    "gaussian_dropout": gaussian_dropout.SPACE,
    "curriculum_dropout": curriculum_dropout.SPACE,
    "concrete_dropout": concrete_dropout.SPACE,
    "generalized_dropout": generalized_dropout.SPACE,
    "dropconnect": dropconnect.SPACE,
    "spatial_dropout": spatial_dropout.SPACE,
    "drop_path": drop_path.SPACE,
    "shakedrop": shakedrop.SPACE,
    "dropblock": dropblock.SPACE,
    "dropblock_sample": dropblock_sample.SPACE,
    "path_norm": path_norm.SPACE,
    "nuclear_norm": nuclear_norm.SPACE,
    "k_support_norm": k_support_norm.SPACE,
    "localdrop": localdrop.SPACE,
    "localdrop_fc_only": localdrop_fc_only.SPACE,
    "localdrop_no_dropout": localdrop_no_dropout.SPACE,
    "localdrop_no_dropblock": localdrop_no_dropblock.SPACE,
    "feature_map_distortion": feature_map_distortion.SPACE,
    "block_feature_map_distortion": block_feature_map_distortion.SPACE,
    "adaptive_dropout_rc": adaptive_dropout_rc.SPACE,
    "variational_dropout": variational_dropout.SPACE,
    "sparse_variational_dropout": sparse_variational_dropout.SPACE,
    "rademacher_probe": rademacher_probe.SPACE,
}


def space_of(name: str) -> Space:
    """The space of one regularizer; other packages add theirs by the entry-point group `regarena.search_spaces`.

    A regularizer without a space has nothing of its own to tune.
    """
    if name in SPACES:
        return SPACES[name]
    for point in entry_points(group="regarena.search_spaces"):
        if point.name == name:
            space: Space = point.load()
            return space
    return {}
