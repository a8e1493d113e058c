import gc
import os

import pytest
import torch
from plugins import install

__all__ = ["install"]  # a fixture for all tests

# One thread, as in every trial: results are reproducible to the bit, and tests share the machine well.
torch.set_num_threads(1)
# Workers of pytest-xdist have the width of the window in their environment; output into a pipe has none.
os.environ.pop("COLUMNS", None)
# Modules and thousands of tests live to the end: to visit them often takes a twentieth of the time.
gc.set_threshold(50_000, 20, 20)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests marked `cuda` on machines without a GPU."""
    if torch.cuda.is_available():
        return
    left_out = [item for item in items if item.get_closest_marker("cuda")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
