"""Selection rules and splits of a campaign: which trials they ask for, and what these look at."""

from collections import Counter
from dataclasses import replace

import pytest

from harness.errors import BadInput
from harness.execution import Execution
from harness.plan import Budget, make_plan
from harness.results.trial_summary import TrialSummary
from harness.schedule import Schedule
from harness.search.selection import RULES
from harness.trial import run_trial
from tasks.protocol_task import ProtocolTask
from tasks.suites import Group, Suite
from tasks.task import Task

SEEDS, TUNE_TRIALS = 2, 3
SUITE = Suite(groups=(Group(tasks=("digits-mlp",), regularizers=("dropout",)),), scale="smoke", tune_trials=TUNE_TRIALS)
UNSPLIT = Suite(
    groups=(Group(tasks=("shallow-linear-dropblock",), regularizers=("none",)),), scale="smoke", tune_trials=3
)


def plan_of(splits=1, select="best_validation", suite=SUITE):
    budget = Budget(scale="smoke", tune_trials=TUNE_TRIALS, seeds=SEEDS, timing_repeats=0, splits=splits)
    return make_plan("suite", suite, budget, "campaign", select=select)


def all_specs(plan):
    """Every trial of a plan; of tune trials the second is best in validation, the third otherwise."""
    schedule, specs = Schedule(plan, {}), []
    while (pack := schedule.next()) is not None:
        for spec in pack:
            specs.append(spec)
            place = 9 if spec.tune_index is None else spec.tune_index
            done = TrialSummary(
                spec.trial_id, "completed", (0.81, 0.82, 0.2)[place % 3], best_validation_value=place / 10,
                test_value=place / 10,
            )  # fmt: skip
            schedule.record(spec, done)
    return specs


def test_every_seed_runs_on_every_split_and_the_search_on_the_first_alone():
    plan = plan_of(splits=3)
    specs = all_specs(plan)
    counts = Counter((spec.role, spec.split) for spec in specs)
    assert counts == {
        ("tune", 0): TUNE_TRIALS,
        **{(role, split): SEEDS for role in ("default", "confirm") for split in range(3)},
    }
    assert len({spec.trial_id for spec in specs}) == len(specs) == plan.num_trials(plan.cells[0])


def test_more_splits_extend_a_campaign_and_change_none_of_its_trials():
    assert {spec.trial_id for spec in all_specs(plan_of())} < {spec.trial_id for spec in all_specs(plan_of(splits=2))}


def test_a_task_that_holds_nothing_out_has_one_split():
    assert {spec.split for spec in all_specs(plan_of(splits=3, suite=UNSPLIT))} == {0}


@pytest.mark.parametrize(
    ("select", "winner"), [("best_validation", 1), ("best_epoch", 2), ("one_standard_error", 0), ("oracle", 2)]
)
def test_a_campaign_confirms_whom_its_rule_picks_and_says_so_in_the_rows(select, winner):
    specs = all_specs(plan_of(select=select))
    tuned = {spec.tune_index: spec for spec in specs if spec.role == "tune"}
    for spec in (each for each in specs if each.role == "confirm"):
        assert (spec.frozen_from, spec.selection) == (tuned[winner].trial_id, select)


def test_rules_share_their_search_but_for_the_oracles_which_looks_at_test_data():
    tuned = {
        select: {spec.trial_id for spec in all_specs(plan_of(select=select)) if spec.role == "tune"} for select in RULES
    }
    assert tuned["best_validation"] == tuned["best_epoch"] == tuned["one_standard_error"]
    assert not tuned["oracle"] & tuned["best_validation"]


def test_a_rule_that_cannot_be_applied_is_refused_before_anything_runs():
    with pytest.raises(BadInput, match="--select one_standard_error needs tasks"):
        plan_of(select="one_standard_error", suite=UNSPLIT)


def test_splits_of_a_task_that_knows_one_alone_are_refused(monkeypatch):
    monkeypatch.setattr(ProtocolTask, "on_split", Task.on_split)
    plan_of(splits=1)
    with pytest.raises(BadInput, match="knows one way of holding out validation data, got split 2"):
        plan_of(splits=3)


@pytest.mark.parametrize("splits", [0, 1001])
def test_a_number_of_splits_that_is_none_is_refused(splits):
    with pytest.raises(BadInput, match="--splits must be at"):
        plan_of(splits=splits)


@pytest.fixture(scope="module")
def rows():
    """The same tune trial by both kinds of rules, and a confirm trial on two splits."""
    (tune, *_) = (spec for spec in all_specs(plan_of()) if spec.role == "tune")
    confirm = replace(tune, role="confirm", tune_index=None, tune_width=None)
    specs = {
        "blind": tune,
        "oracle": replace(tune, selection="oracle"),
        "usual": confirm,
        "other": replace(confirm, split=1),
    }
    return {name: run_trial(spec, Execution()).row() for name, spec in specs.items()}


def test_only_an_oracles_search_sees_the_test_data(rows):
    assert (rows["blind"]["test_value"], rows["blind"]["selection"]) == (None, None)
    assert rows["oracle"]["test_value"] is not None
    assert rows["oracle"]["selection"] == "oracle"
    assert rows["blind"]["validation_value"] == rows["oracle"]["validation_value"]
    assert rows["blind"]["best_validation_value"] >= rows["blind"]["validation_value"]


def test_another_split_holds_out_other_images_of_the_same_data(rows):
    usual, other = rows["usual"], rows["other"]
    assert (usual["split_index"], other["split_index"]) == (None, 1)
    assert usual["dataset_fingerprint"] == other["dataset_fingerprint"]
    values = ("train_value", "validation_value", "best_validation_value", "test_value")
    assert [usual[name] for name in values] != [other[name] for name in values]
