import hashlib
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import BadInput
from harness.plan import Budget, make_plan
from harness.records import SUCCESSES
from harness.results.trial_summary import TrialSummary
from harness.schedule import Schedule
from harness.search.studies import CellStudy
from tasks.classification import Classification
from tasks.experiments import SUITES
from tasks.runtime.switches import Switches
from tasks.suites import Group, Suite

TASKS = ("digits-mlp", "shallow-linear-dropblock")
SUITE = Suite(
    groups=(Group(tasks=TASKS, regularizers=("none", "dropout", "max_norm")),),
    scale="smoke",
    tune_trials=7,
    timing_tasks=("digits-mlp",),
)
FAILURES = ("failed", "diverged", "crashed")


def plan_of(tune_trials=7, seeds=2, seed=0, tune_width=1, suite=SUITE, **selection):
    budget = Budget(
        scale="smoke", tune_trials=tune_trials, seeds=seeds, timing_repeats=2, seed=seed, tune_width=tune_width
    )
    return make_plan("suite", suite, budget, "campaign", **selection)


def outcome(spec):
    """A made-up end of a trial: a pure function of its identity, in which one of eight fails."""
    digest = hashlib.sha256(spec.trial_id.encode()).digest()
    if digest[0] < 32:
        return TrialSummary(spec.trial_id, FAILURES[digest[1] % 3], None)
    return TrialSummary(spec.trial_id, "completed", int.from_bytes(digest[1:8], "big") / 2**56)


def run_to_the_end(plan, stored=None):
    """Every trial in the order in which a single worker runs it."""
    schedule, order = Schedule(plan, stored or {}), []
    while (pack := schedule.next()) is not None:
        for spec in pack:
            order.append(spec)
            schedule.record(spec, outcome(spec))
    return order


def essentials(specs):
    return {spec.trial_id: (spec.role, spec.tune_index, spec.frozen_from, spec.seed) for spec in specs}


@pytest.fixture(scope="module")
def uninterrupted():
    return run_to_the_end(plan_of())


def test_every_trial_of_every_cell_runs_once(uninterrupted):
    assert len(essentials(uninterrupted)) == len(uninterrupted)
    per_cell = Counter((spec.cell, spec.role) for spec in uninterrupted)
    for cell in plan_of().running_cells:
        key = (cell.task_name, cell.regularizer)
        assert [per_cell[key, role] for role in ("default", "tune", "confirm")] == [2, 7, 2]


def test_confirm_trials_repeat_the_frozen_winner_on_fresh_seeds(uninterrupted):
    for cell in plan_of().running_cells:
        mine = [spec for spec in uninterrupted if spec.cell == (cell.task_name, cell.regularizer)]
        tuned = [spec for spec in mine if spec.role == "tune"]
        values = {spec.trial_id: outcome(spec) for spec in tuned}
        successes = [spec for spec in tuned if values[spec.trial_id].status in SUCCESSES]
        sign = 1 if cell.task.higher_is_better else -1
        winner = max(successes, key=lambda spec: sign * values[spec.trial_id].validation_value)
        confirm = [spec for spec in mine if spec.role == "confirm"]
        assert {spec.frozen_from for spec in confirm} == {winner.trial_id}
        assert all(spec.hyperparameters == winner.hyperparameters for spec in confirm)
        assert len({spec.seed for spec in confirm}) == 2
        assert not {spec.seed for spec in confirm} & {spec.seed for spec in mine if spec.role != "confirm"}


def test_seeds_are_paired_between_contestants(uninterrupted):
    for role in ("default", "confirm"):
        of_cell = {}
        for spec in uninterrupted:
            if spec.role == role:
                of_cell.setdefault(spec.cell, set()).add(spec.seed)
        assert len(set(map(frozenset, of_cell.values()))) == 1


@pytest.mark.parametrize("tune_width", [1, 2])
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_any_interleaving_interrupted_anywhere_and_resumed_runs_the_same_trials_each_once(tune_width, data):
    """Workers end in any order; the campaign is killed when any number is stored, with others still running."""
    plan, stored, run = plan_of(tune_width=tune_width), {}, []
    for _ in range(data.draw(st.integers(1, 4), label="starts")):
        ends_after = data.draw(st.integers(0, 70), label="trials until it is killed")
        schedule, out = Schedule(plan, stored), []
        while ends_after > 0:
            pack = schedule.next() if len(out) < data.draw(st.integers(1, 5), label="workers") else None
            if pack is not None:
                out += pack
                continue
            if not out:
                break
            ended = out.pop(data.draw(st.integers(0, len(out) - 1), label="who ends"))
            tuned = [done.role for done in run if done.cell == ended.cell].count("tune")
            assert ended.role != "confirm" or tuned == 7
            run.append(ended)
            stored[ended.trial_id] = outcome(ended)
            schedule.record(ended, stored[ended.trial_id])
            ends_after -= 1
    run += run_to_the_end(plan, stored)
    expected = run_to_the_end(plan)
    assert len(run) == len(expected)
    assert essentials(run) == essentials(expected)


def test_a_campaign_whose_trials_are_all_stored_has_nothing_to_run(uninterrupted):
    stored = {spec.trial_id: outcome(spec) for spec in uninterrupted}
    assert Schedule(plan_of(), stored).next() is None


@pytest.mark.parametrize(
    ("wider", "num_new_default", "num_new_tune"),
    [({"seeds": 3}, 6, 0), ({"tune_trials": 9}, 0, 12), ({"only": ("none", "dropout", "max_norm", "l1")}, 4, 14)],
    ids=["seeds", "tune_trials", "only"],
)
def test_a_larger_request_runs_only_what_is_new(uninterrupted, wider, num_new_default, num_new_tune):
    stored = {spec.trial_id: outcome(spec) for spec in uninterrupted}
    extended = run_to_the_end(plan_of(**wider), stored)
    assert not {spec.trial_id for spec in extended} & set(stored)
    roles = Counter(spec.role for spec in extended)
    assert (roles["default"], roles["tune"]) == (num_new_default, num_new_tune)
    at_once = run_to_the_end(plan_of(**wider))
    assert {spec.trial_id for spec in at_once} <= {spec.trial_id for spec in extended} | set(stored)


@pytest.mark.parametrize(("tune_width", "num_at_once"), [(1, 5), (2, 6), (3, 7), (100, 7)])
def test_as_many_trials_of_a_study_are_out_as_depend_on_no_outcome_and_they_go_first(tune_width, num_at_once):
    plan = plan_of(tune_width=tune_width)
    schedule, given_out = Schedule(plan, {}), []
    while (pack := schedule.next()) is not None:
        given_out += pack
    cells = [(cell.task_name, cell.regularizer) for cell in plan.running_cells]
    assert Counter(spec.cell for spec in given_out if spec.role == "tune") == dict.fromkeys(cells, num_at_once)
    num_tune = len(cells) * num_at_once
    assert {spec.role for spec in given_out[:num_tune]} == {"tune"}, "trials that others wait for come first"
    assert [spec.cell for spec in given_out[: len(cells)]] == cells, "the cells take turns"


def test_the_width_is_a_column_and_no_part_of_a_trials_identity():
    narrow, wide = ({spec.trial_id: spec for spec in run_to_the_end(plan_of(tune_width=width))} for width in (1, 3))
    same = narrow.keys() & wide.keys()
    assert len([1 for trial_id in same if narrow[trial_id].role == "tune"]) >= 5 * 6, "random ones are the same"
    assert {spec.tune_width for spec in wide.values() if spec.role in ("tune", "confirm")} == {3}
    assert {spec.tune_width for spec in wide.values() if spec.role == "default"} == {None}


def test_hyperparameters_that_are_proposed_twice_run_once_and_count_twice(monkeypatch):
    """Discrete spaces repeat themselves, also while the first of two equal trials is still running."""
    plan = plan_of(tune_width=3, only=("digits-mlp", "none"))
    proposals = iter([1e-2, 1e-2, 1e-1, 1e-2, 1e-3, 1e-3, 1e-1])
    monkeypatch.setattr(CellStudy, "ask", lambda study: {"learning_rate": next(proposals)})
    told: list[int] = []
    monkeypatch.setattr(CellStudy, "tell", lambda study, place, finished: told.append(place))
    specs = run_to_the_end(plan)
    assert [spec.tune_index for spec in specs if spec.role == "tune"] == [0, 2, 4]
    assert sorted(told) == list(range(7))
    assert Counter(spec.role for spec in specs) == {"default": 2, "tune": 3, "confirm": 2}


def test_a_cell_whose_tuning_fails_throughout_has_no_confirm_trials():
    plan = plan_of(only=("digits-mlp", "none"))
    schedule, roles = Schedule(plan, {}), Counter()
    while (pack := schedule.next()) is not None:
        (spec,) = pack
        roles[spec.role] += 1
        schedule.record(spec, TrialSummary(spec.trial_id, "failed" if spec.role == "tune" else "completed", 0.5))
    assert roles == {"default": 2, "tune": 7}


def test_without_tuning_there_is_nothing_to_confirm():
    assert {spec.role for spec in run_to_the_end(plan_of(tune_trials=0))} == {"default"}


def test_another_campaign_seed_shares_no_trial(uninterrupted):
    assert not set(essentials(run_to_the_end(plan_of(seed=1)))) & set(essentials(uninterrupted))


def test_timed_cells_have_their_timing_trials_repeat_by_repeat():
    plan = plan_of()
    timing = plan.timing_specs()
    assert [(spec.regularizer, spec.role) for spec in timing] == [
        (name, "timing") for _ in range(2) for name in ("none", "dropout", "max_norm")
    ]
    assert {spec.task for spec in timing} == {"digits-mlp"}
    assert len({spec.trial_id for spec in timing}) == 6


def test_a_cell_that_makes_no_sense_is_planned_as_skipped_and_never_runs():
    plan = plan_of(only=("digits-mlp", "dropblock", "none"))
    (skipped,) = [cell for cell in plan.cells if cell.skip_reason]
    assert (skipped.regularizer, skipped in plan.running_cells) == ("dropblock", False)
    assert {spec.regularizer for spec in run_to_the_end(plan)} == {"none"}


def test_only_and_skip_choose_by_task_and_by_regularizer():
    def cells(**selection):
        return [(cell.task_name, cell.regularizer) for cell in plan_of(**selection).cells]

    assert cells(only=("dropout",)) == [(task, "dropout") for task in TASKS]
    assert cells(only=("digits-mlp",)) == [("digits-mlp", name) for name in ("none", "dropout", "max_norm")]
    assert cells(only=("digits-mlp", "l1")) == [("digits-mlp", "l1")]
    assert cells(only=("digits-convnet", "none")) == [("digits-convnet", "none")]
    assert cells(only=("dropout+l1",)) == [(task, "dropout+l1") for task in TASKS]
    assert cells(skip=("dropout", "digits-mlp")) == [(TASKS[1], "none"), (TASKS[1], "max_norm")]


def test_only_tasks_or_only_regularizers_keep_the_cells_of_a_suite_of_several_groups():
    first, second = TASKS
    suite = replace(SUITE, groups=(*SUITE.groups, Group(tasks=(second,), regularizers=("dropout+l1",))))

    def cells(*only):
        return [(cell.task_name, cell.regularizer) for cell in plan_of(suite=suite, only=only).cells]

    assert cells(first) == [(first, name) for name in ("none", "dropout", "max_norm")]
    assert cells(second) == [(second, name) for name in ("none", "dropout", "max_norm", "dropout+l1")]
    assert cells("dropout+l1") == [(second, "dropout+l1")]
    assert cells(first, "dropout+l1") == [(first, "dropout+l1")]
    assert cells("l1") == [(task, "l1") for task in TASKS]
    assert cells("shallow-linear-dropblock-keep-0.8", second) == [
        *(("shallow-linear-dropblock-keep-0.8", name) for name in ("none", "dropout", "max_norm", "dropout+l1")),
        *((second, name) for name in ("none", "dropout", "max_norm", "dropout+l1")),
    ]


def test_a_name_that_is_given_twice_counts_once():
    names = ("none", "digits-mlp", "none", "digits-mlp", "l1")
    cells = [(cell.task_name, cell.regularizer) for cell in plan_of(only=names).cells]
    assert cells == [("digits-mlp", "none"), ("digits-mlp", "l1")]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"only": ("dropuot",)}, "did you mean 'dropout'"),
        ({"only": ("digits-mpl",)}, "did you mean 'digits-mlp'"),
        ({"only": ("dropout+weight_deacy",)}, "weight_decay"),
        ({"skip": ("dropuot",)}, "did you mean 'dropout'"),
        ({"skip": ("localdrop",)}, "of this suite"),
        ({"skip": TASKS}, "Nothing is left"),
        ({"only": ("digits-mlp",), "skip": ("digits-mlp",)}, "Nothing is left"),
    ],
    ids=str,
)
def test_a_selection_that_makes_no_sense_is_refused(selection, message):
    with pytest.raises(BadInput, match=message):
        plan_of(**selection)


def switches_in(plan):
    return {spec.switches for spec in (*run_to_the_end(plan), *plan.timing_specs())}


def test_switches_that_are_asked_for_plan_other_trials_of_every_role(uninterrupted):
    plan = plan_of(switches={"precision": "bf16", "channels_last": True})
    assert switches_in(plan) == {"bf16+channels_last"}
    assert not set(essentials(run_to_the_end(plan))) & set(essentials(uninterrupted))


def test_switches_that_the_protocol_has_anyway_change_nothing(uninterrupted):
    assert essentials(run_to_the_end(plan_of(switches={"precision": "fp32"}))) == essentials(uninterrupted)


def test_what_is_asked_for_goes_before_the_protocols_own(monkeypatch):
    monkeypatch.setattr(Classification, "switches", lambda task, scale: Switches(precision="bf16", compile=True))
    suite = replace(SUITE, groups=(Group(tasks=("digits-mlp",), regularizers=("none",)),))
    asked = ({}, {"precision": "bf16"}, {"precision": "fp32"}, {"cuda_graphs": True})
    assert [switches_in(plan_of(suite=suite, switches=each)) for each in asked] == [
        {""}, {""}, {"compile"}, {"bf16+compile+cuda_graphs"},
    ]  # fmt: skip
    monkeypatch.setattr(Classification, "switches", lambda task, scale: Switches(precision="bf16"))
    assert switches_in(plan_of(suite=suite, switches={"precision": "fp32"})) == {"fp32"}


def test_switches_that_do_not_go_together_are_refused():
    with pytest.raises(BadInput, match="cuda_graphs replays compiled code"):
        plan_of(switches={"cuda_graphs": True})


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({"tune_trials": -1}, "--tune-trials must be at least 0, got -1"),
        ({"tune_width": 0}, "--tune-width must be at least 1, got 0"),
        ({"seeds": -1}, "--seeds must be at least 0, got -1"),
        ({"seeds": 1001}, "--seeds must be at most 1000, got 1001"),
        ({"seed": -1}, "--seed must be at least 0, got -1"),
    ],
    ids=str,
)
def test_a_budget_that_makes_no_sense_is_refused(budget, message):
    with pytest.raises(BadInput, match=message):
        plan_of(**budget)


def test_a_budget_that_leaves_nothing_to_run_is_refused_unless_something_is_timed():
    nothing = Budget(scale="smoke", tune_trials=0, seeds=0, timing_repeats=2)
    with pytest.raises(BadInput, match=r"--seeds 0 and --tune-trials 0; give one of them a number above 0"):
        make_plan("zoo", SUITES["zoo"], nothing, "c", only=("digits-mlp", "none"))
    plan = make_plan("quickstart", SUITES["quickstart"], nothing, "c", only=("digits-200-convnet", "none"))
    assert [spec.role for spec in plan.timing_specs()] == ["timing", "timing"]


def test_contestants_of_a_task_have_shared_code_in_common_and_each_its_own():
    made = plan_of()
    specs = [made.spec(cell, "default", 0) for cell in made.running_cells if cell.task_name == TASKS[0]]
    assert len(specs) == 3
    assert len({spec.shared_code_hash for spec in specs}) == 1
    assert len({spec.code_hash for spec in specs}) == 3
    assert replace(specs[0], shared_code_hash="").trial_id == specs[0].trial_id


def test_default_trials_may_be_fewer_than_confirm_trials_and_are_never_more_than_the_seeds():
    def numbers(seeds):
        budget = Budget(scale="smoke", tune_trials=3, seeds=seeds, timing_repeats=0, default_seeds=2)
        plan = make_plan("suite", SUITE, budget, "campaign", only=("digits-mlp", "none"))
        specs = Counter(spec.role for spec in run_to_the_end(plan))
        assert sum(specs.values()) == plan.num_trials(plan.cells[0])
        return specs["default"], specs["confirm"]

    assert numbers(seeds=4) == (2, 4)
    assert numbers(seeds=1) == (1, 1)
