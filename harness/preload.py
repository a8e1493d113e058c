"""Imported once by the fork server: torch and the data of the campaign's tasks, shared by all children.

It must leave no thread behind, since a fork copies only one: torch gets a single thread before its first operation,
nothing is differentiated, and CUDA is not touched.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import torch

import harness.trial  # the body that the children will run, with all that it imports
from tasks import TASKS

torch.set_num_threads(1)
torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)  # the first optimizer imports torch's compiler: seconds

_data = Path(os.environ["REGARENA_DATA"]) if os.environ.get("REGARENA_DATA") else None
for _name in filter(None, os.environ.get("REGARENA_PRELOAD", "").split(",")):
    # A data folder that is damaged is the trial's to report, as a row; here it only means no head start.
    with contextlib.suppress(Exception):
        TASKS[_name].dataset_fingerprint(_data)

__all__ = ["harness"]
