import gc
import os

import pytest
import torch
from hypothesis import HealthCheck, settings
from plugins import install

__all__ = ["install"]  # a fixture for all tests

# Every run draws the same examples, and no example has a limit of time: whether a change is accepted depends neither on
# luck nor on the load of the machine. `--hypothesis-profile=random` draws others.
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("fixed", settings.get_profile("random"), derandomize=True)
settings.load_profile("fixed")

# One thread, as in every trial: results are reproducible to the bit, and tests share the machine well.
torch.set_num_threads(1)
# Workers of pytest-xdist have the width of the window in their environment; output into a pipe has none.
os.environ.pop("COLUMNS", None)
# Modules and thousands of tests live to the end: to visit them often takes a twentieth of the time.
gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True)
def _draws_of_each_test() -> None:
    """What a test draws from torch's global generator does not depend on the tests before it, whose order varies."""
    torch.default_generator.manual_seed(80_021)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests marked `cuda` on machines without a GPU."""
    if torch.cuda.is_available():
        return
    left_out = [item for item in items if item.get_closest_marker("cuda")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
