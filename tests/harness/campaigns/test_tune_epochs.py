"""A campaign whose searches have a budget in epochs: the same trials everywhere, ranked together."""

import json
from collections import Counter, defaultdict

import pytest
from arena import Arena, by_id, rows, what_is_reproducible

pytestmark = pytest.mark.slow

NUM_EPOCHS = 7  # of a training
BUDGET = 45
SEARCHES = ("run", "well", "--only", "long-mlp,none,early_stopping", "--tune-width", "4", "--seeds", "1")
CAMPAIGN = (*SEARCHES, "--tune-epochs", str(BUDGET))


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    arena = Arena(tmp_path_factory.mktemp("epochs"))
    arena.ended = arena.regarena(*CAMPAIGN, "--serial", "--results", "serial")
    assert arena.ended.returncode == 0, arena.ended.stderr
    return arena


def reproducible(results):
    return {trial_id: what_is_reproducible(row) for trial_id, row in by_id(results).items()}


def test_each_search_uses_the_budget_and_one_that_stops_early_makes_more_trials_of_it(arena):
    epochs = defaultdict(list)
    for row in rows(arena.folder / "serial"):
        if row["role"] == "tune":
            epochs[row["regularizer"]].append(row["epochs_run"])
            assert row["tune_epochs"] == BUDGET
    assert epochs["none"] == [NUM_EPOCHS] * 6
    for used in epochs.values():
        assert BUDGET - NUM_EPOCHS < sum(used) <= BUDGET
    assert len(epochs["early_stopping"]) > 6


def test_ray_proposes_and_trains_the_same(arena):
    ended = arena.regarena(*CAMPAIGN, "--workers", "2", "--results", "on ray")
    assert ended.returncode == 0, ended.stderr
    assert reproducible(arena.folder / "on ray") == reproducible(arena.folder / "serial")


def test_a_larger_budget_goes_on_with_the_trials_of_a_smaller_one(arena):
    for budget in (24, BUDGET):
        ended = arena.regarena(*SEARCHES, "--tune-epochs", str(budget), "--serial", "--results", "extended")
        assert ended.returncode == 0, ended.stderr
    serial, extended = (
        {trial_id: row | {"tune_epochs": None} for trial_id, row in reproducible(arena.folder / name).items()}
        for name in ("serial", "extended")
    )
    assert serial.items() <= extended.items()
    others = [row for trial_id, row in extended.items() if trial_id not in serial]
    assert {row["role"] for row in others} <= {"confirm"}, "those of the smaller search's winner"
    plan = arena.regarena("plan", *CAMPAIGN[1:], "--results", "extended", "--json")
    assert Counter(cell["missing"] for cell in json.loads(plan.stdout)) == {0: 2}


def test_the_plan_says_how_many_trials_the_budget_holds(arena):
    plan = arena.regarena("plan", *CAMPAIGN[1:], "--results", "new")
    assert "of a cell take at most 45 epochs: 6 trials if none ends early" in plan.stdout
    assert "and never more than 39." in plan.stdout


def test_the_table_ranks_contestants_with_the_same_epochs_together(arena):
    ranked = json.loads(arena.regarena("rank", "serial", "--json").stdout)
    of_task = {row["regularizer"]: row for row in ranked if row["task"] == "long-mlp"}
    assert {row["budget"] for row in of_task.values()} == {"45 tune epochs, 7 epochs"}
    assert all(row["is_main_budget"] for row in of_task.values())
    assert of_task["early_stopping"]["num_tune_trials"] > of_task["none"]["num_tune_trials"] == 6
