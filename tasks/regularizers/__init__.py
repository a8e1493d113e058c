"""The regularizers, one module each. A new one is one module here, one search space, and one line in each table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.table import Table

if TYPE_CHECKING:
    from tasks.regularizers.base import Regularizer

REGULARIZERS: Table[type[Regularizer]] = Table(
    "regularizer",
    "regarena.regularizers",
    {
        "none": "tasks.regularizers.none:Unregularized",
        "weight_decay": "tasks.regularizers.weight_decay:WeightDecay",
        "l1": "tasks.regularizers.l1:L1",
        "early_stopping": "tasks.regularizers.early_stopping:EarlyStopping",
        "max_norm": "tasks.regularizers.max_norm:MaxNorm",
        "label_smoothing": "tasks.regularizers.label_smoothing:LabelSmoothing",
        "sam": "tasks.regularizers.sam:SAM",
        "cutout": "tasks.regularizers.cutout:Cutout",
        "autoaugment": "tasks.regularizers.autoaugment:AutoAugment",
        "mixup": "tasks.regularizers.mixup:Mixup",
        "cutmix": "tasks.regularizers.cutmix:CutMix",
        "adversarial_training": "tasks.regularizers.adversarial_training:AdversarialTraining",
        "reflected_adversarial_training": (
            "tasks.regularizers.reflected_adversarial_training:ReflectedAdversarialTraining"
        ),
        "dropout": "tasks.regularizers.dropout:Dropout",
        "lazy_dropout": "tasks.regularizers.lazy_dropout:LazyDropout",
        "gaussian_dropout": "tasks.regularizers.gaussian_dropout:GaussianDropout",
        "curriculum_dropout": "tasks.regularizers.curriculum_dropout:CurriculumDropout",
        "concrete_dropout": "tasks.regularizers.concrete_dropout:ConcreteDropout",
        "generalized_dropout": "tasks.regularizers.generalized_dropout:GeneralizedDropout",
        "dropconnect": "tasks.regularizers.dropconnect:DropConnect",
        "spatial_dropout": "tasks.regularizers.spatial_dropout:SpatialDropout",
        "drop_path": "tasks.regularizers.drop_path:DropPath",
        "shakedrop": "tasks.regularizers.shakedrop:ShakeDrop",
        "dropblock": "tasks.regularizers.dropblock:DropBlock",
        "dropblock_sample": "tasks.regularizers.dropblock_sample:DropBlockSample",
        "path_norm": "tasks.regularizers.path_norm:PathNorm",
        "flow_penalty": "tasks.regularizers.flow_penalty:FlowPenalty",
        "nuclear_norm": "tasks.regularizers.nuclear_norm:NuclearNorm",
        "weighted_trace_norm": "tasks.regularizers.weighted_trace_norm:WeightedTraceNorm",
        "k_support_norm": "tasks.regularizers.k_support_norm:KSupportNorm",
        "localdrop": "tasks.regularizers.localdrop:LocalDrop",
        "localdrop_fc_only": "tasks.regularizers.localdrop_fc_only:LocalDropFcOnly",
        "localdrop_no_dropout": "tasks.regularizers.localdrop_no_dropout:LocalDropNoDropout",
        "localdrop_no_dropblock": "tasks.regularizers.localdrop_no_dropblock:LocalDropNoDropblock",
        "feature_map_distortion": "tasks.regularizers.feature_map_distortion:FeatureMapDistortion",
        "block_feature_map_distortion": "tasks.regularizers.block_feature_map_distortion:BlockFeatureMapDistortion",
        "adaptive_dropout_rc": "tasks.regularizers.adaptive_dropout_rc:AdaptiveDropoutRC",
        "variational_dropout": "tasks.regularizers.variational_dropout:VariationalDropout",
        "sparse_variational_dropout": "tasks.regularizers.sparse_variational_dropout:SparseVariationalDropout",
        "rademacher_probe": "tasks.regularizers.rademacher_probe:RademacherProbe",
    },
    fault_of="tasks.regularizers.examination:fault_of_regularizer",
)

ONLY_MEASURE: tuple[str, ...] = ("rademacher_probe",)
"""Regularizers that only log. Suites of all regularizers leave them out: each would be the baseline a second time."""
