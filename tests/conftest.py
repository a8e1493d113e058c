import torch
from plugins import install

__all__ = ["install"]  # a fixture for all tests

# One thread, as in every trial: results are reproducible to the bit, and tests share the machine well.
torch.set_num_threads(1)
