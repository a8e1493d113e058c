import os

import torch
from plugins import install

__all__ = ["install"]  # a fixture for all tests

# One thread, as in every trial: results are reproducible to the bit, and tests share the machine well.
torch.set_num_threads(1)
# Workers of pytest-xdist have the width of the window in their environment; output into a pipe has none.
os.environ.pop("COLUMNS", None)
