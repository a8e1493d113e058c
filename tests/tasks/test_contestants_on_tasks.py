"""Every contestant on every task: it is skipped with a sentence, or it trains."""

import math

import pytest
import torch

from harness.contestants import Contestant
from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.task import Setting

CONTESTANTS = sorted(REGULARIZERS.own)
# One of each kind of network and data of the later chapters of the thesis; the laws of contestants have the others.
LATER_CHAPTERS = (
    "ml-100k-factors-70",
    "thesis-fig4-2-width-16",
    "thesis-fig4-2-symmetrised-width-16",
    "thesis-fig5-2-width-100",
    "thesis-fig5-lazy-width-100",
    "thesis-table6-1",
    "mnist-0v1-robust",
    "cifar10-convnet_small-robust",
)
NUM_SAMPLES = 8


def test_no_task_makes_a_contestant_fail_where_it_could_be_skipped():
    reasons = [Contestant(name).skip_reason(TASKS[task], "smoke") for task in sorted(TASKS.own) for name in CONTESTANTS]
    assert None in reasons
    assert {type(reason) for reason in reasons} == {str, type(None)}
    assert all(reason.endswith(".") for reason in reasons if reason is not None)


@pytest.mark.slow
@pytest.mark.parametrize("task_name", LATER_CHAPTERS)
def test_each_contestant_trains_on_the_tasks_of_the_thesis_or_says_why_not(task_name):
    task, trained = TASKS[task_name], 0
    setting = Setting(
        seed=0, scale="smoke", device=torch.device("cpu"), data_dir=None,
        learning_rate=task.default_learning_rate("smoke"), with_test=True,
    )  # fmt: skip
    for name in CONTESTANTS:
        contestant = Contestant(name)
        if contestant.skip_reason(task, "smoke") is None:
            parts = contestant.build(contestant.resolve(task, "smoke"))
            loss = task.rehearse(parts, setting, NUM_SAMPLES).training.run_epoch(1)[0]
            assert math.isfinite(loss), name
            trained += 1
    assert trained > 10
