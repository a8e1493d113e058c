"""The contestants: one short file each. A new one is one module here, one search space, and one line in each table."""

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
        "early_stopping": "tasks.regularizers.early_stopping:EarlyStopping",
        "max_norm": "tasks.regularizers.max_norm:MaxNorm",
        "label_smoothing": "tasks.regularizers.label_smoothing:LabelSmoothing",
        "cutout": "tasks.regularizers.cutout:Cutout",
        "dropout": "tasks.regularizers.dropout:Dropout",
        "dropblock": "tasks.regularizers.dropblock:DropBlock",
        "dropblock_sample": "tasks.regularizers.dropblock_sample:DropBlockSample",
        "localdrop": "tasks.regularizers.localdrop:LocalDrop",
        "localdrop_fc_only": "tasks.regularizers.localdrop_fc_only:LocalDropFcOnly",
        "localdrop_no_dropout": "tasks.regularizers.localdrop_no_dropout:LocalDropNoDropout",
        "localdrop_no_dropblock": "tasks.regularizers.localdrop_no_dropblock:LocalDropNoDropblock",
    },
)
