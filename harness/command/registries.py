"""The tables of entries, by their names on the command line (`regarena list NAME`)."""

from __future__ import annotations

from typing import Any

from tasks.architectures import ARCHITECTURES
from tasks.datasets import DATASETS
from tasks.experiments import SUITES, TASKS
from tasks.regularizers import REGULARIZERS
from tasks.table import Table

TABLES: dict[str, Table[Any]] = {
    "regularizers": REGULARIZERS,
    "tasks": TASKS,
    "suites": SUITES,
    "architectures": ARCHITECTURES,
    "datasets": DATASETS,
}
