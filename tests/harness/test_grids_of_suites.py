"""A group's grid: its points become default trials of their own, told apart by their hyperparameters."""

from __future__ import annotations

import math

import pytest

from harness.errors import BadInput
from harness.plan import Budget, make_plan
from tasks.suites import Group, Suite

BUDGET = Budget(scale="smoke", tune_trials=0, seeds=2, timing_repeats=0)


def planned(*groups: Group):
    suite = Suite(groups=groups, scale="smoke", tune_trials=0)
    return make_plan("sweep", suite, BUDGET, "campaign")


def test_every_point_of_the_grid_runs_on_every_seed():
    group = Group(
        tasks=("digits-mlp",), regularizers=("dropout",), grid={"drop_rate": (0.1, 0.2, 0.3), "where": ("all", "last")}
    )
    plan = planned(group)
    specs = plan.default_specs(plan.cells[0])
    settings = [(spec.seed, spec.hyperparameters["drop_rate"], spec.hyperparameters["where"]) for spec in specs]
    assert len(set(settings)) == len({spec.trial_id for spec in specs}) == len(specs) == 2 * 3 * 2
    assert plan.num_trials(plan.cells[0]) == len(specs)
    assert {spec.role for spec in specs} == {"default"}


def test_a_point_at_the_default_is_the_default_trial():
    at_default = planned(Group(tasks=("digits-mlp",), regularizers=("dropout",), grid={"drop_rate": (0.5,)}))
    without = planned(Group(tasks=("digits-mlp",), regularizers=("dropout",)))
    ids = [[spec.trial_id for spec in plan.default_specs(plan.cells[0])] for plan in (at_default, without)]
    assert ids[0] == ids[1]


def test_groups_that_share_a_cell_add_their_points():
    grids = ({"drop_rate": (0.1, 0.2)}, {"drop_rate": (0.2, 0.3)})
    plan = planned(*(Group(tasks=("digits-mlp",), regularizers=("dropout",), grid=grid) for grid in grids))
    assert len(plan.cells) == 1
    rates = [spec.hyperparameters["drop_rate"] for spec in plan.default_specs(plan.cells[0])]
    assert rates == [0.1, 0.2, 0.3] * 2


def test_a_value_that_the_task_pins_stays_pinned_and_runs_once():
    group = Group(
        tasks=("shallow-linear-dropblock",), regularizers=("dropblock_sample",), grid={"block_size": (2, 5, 10)}
    )
    plan = planned(group)
    assert [spec.hyperparameters["block_size"] for spec in plan.default_specs(plan.cells[0])] == [5, 5]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"drop_rate": (0.1, 2.0)}, r"Dropout.drop_rate must lie in \[0, 1\), got 2.0"),
        ({"where": ("all", "nowhere")}, "Dropout.where must be"),
        ({"drop_rate": (math.inf,)}, "dropout.drop_rate must be a finite number, got inf"),
        ({"learning_rate": (math.inf,)}, "learning_rate must be a finite number, got inf"),
    ],
    ids=str,
)
def test_a_value_with_which_every_trial_would_fail_is_refused(grid, message):
    with pytest.raises(BadInput, match=message):
        planned(Group(tasks=("digits-mlp",), regularizers=("dropout",), grid=grid))


def test_a_grid_over_no_hyperparameter_of_the_regularizer_is_refused():
    with pytest.raises(BadInput, match="no hyperparameter 'alpha'"):
        planned(Group(tasks=("digits-mlp",), regularizers=("dropout",), grid={"alpha": (0.1,)}))
