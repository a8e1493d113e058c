"""The subject: what is measured. torch only; nothing here knows Ray, Optuna, Arrow or pandas.

Package `__init__` files hold tables and prose, never behaviour: importing them must not import torch, and the
code version of a trial leaves them out, so that a new line in a table does not make old trials stale.

Legend of shape letters at the end of tensor names: B batch, C channels, H height, W width, D features of a dense
layer or hidden units, O output units, K classes, L number of sites or layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.table import Table

if TYPE_CHECKING:
    from tasks.task import Task

TASKS: Table[Task] = Table(
    "task",
    "regarena.tasks",
    {
        "digits-convnet": "tasks.classification:DIGITS_CONVNET",
        "digits-mlp": "tasks.classification:DIGITS_MLP",
        "mnist-lenet": "tasks.classification:MNIST_LENET",
        "fashion-lenet": "tasks.classification:FASHION_LENET",
        "shallow-linear-dropblock": "tasks.theory.shallow_linear:SHALLOW_LINEAR_DROPBLOCK",
        "shallow-linear-dropblock-keep-0.8": "tasks.theory.shallow_linear:SHALLOW_LINEAR_DROPBLOCK_KEEP_08",
        "structured-fig1": "tasks.theory.structured_tasks:STRUCTURED_FIG1",
        "structured-fig2": "tasks.theory.structured_tasks:STRUCTURED_FIG2",
        "structured-fig2-orthogonal": "tasks.theory.structured_tasks:STRUCTURED_FIG2_ORTHOGONAL",
        "structured-fig2-correlated": "tasks.theory.structured_tasks:STRUCTURED_FIG2_CORRELATED",
        "structured-fig3-mnist": "tasks.theory.feature_tasks:STRUCTURED_FIG3_MNIST",
        "structured-fig4": "tasks.theory.structured_tasks:STRUCTURED_FIG4",
        "thesis-fig2-1": "tasks.theory.shrinkage_tasks:THESIS_FIG2_1",
        "thesis-fig2-2": "tasks.theory.shrinkage_tasks:THESIS_FIG2_2",
        "thesis-fig2-3-width-20": "tasks.theory.shrinkage_tasks:THESIS_FIG2_3_WIDTH_20",
        "thesis-fig2-3-width-80": "tasks.theory.shrinkage_tasks:THESIS_FIG2_3_WIDTH_80",
        "thesis-fig3-2": "tasks.theory.deep_tasks:THESIS_FIG3_2",
        "thesis-fig3-3": "tasks.theory.deep_tasks:THESIS_FIG3_3",
    },
)
