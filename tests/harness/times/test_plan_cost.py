"""The arithmetic of cost: laws that hold whatever the machine."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.times.cost import Rates, gpu_seconds, seconds_by_role, total_seconds, wall_seconds
from harness.times.timing import MIN_CHUNKS
from tasks.workload import Workload

WORKLOAD = Workload(
    num_epochs=10, steps_per_epoch=20, batch_size=50, num_evaluations=6, num_validation=100, num_test=300,
    num_train_evaluated=70,
)  # fmt: skip
RATES = Rates(
    seconds_per_sample=0.01, seconds_per_evaluated=0.001, surgery_seconds=40.0, period_epochs=5, setup_seconds=3.0
)
ONE_EACH = {"default": 1, "tune": 1, "confirm": 1, "timing": 1}


def test_a_trial_is_its_setup_its_steps_its_surgery_and_its_evaluations():
    seconds = seconds_by_role(WORKLOAD, RATES)
    training = 3.0 + 10 * 20 * 50 * 0.01 + 10 / 5 * 40.0
    assert seconds["default"] == seconds["confirm"] == pytest.approx(training + 0.001 * (6 * (100 + 300) + 70))
    assert seconds["tune"] == pytest.approx(training + 0.001 * (6 * 100 + 70))


def test_a_timing_trial_does_not_grow_with_the_data():
    large = replace(WORKLOAD, steps_per_epoch=20_000)
    larger = replace(WORKLOAD, steps_per_epoch=2_000_000)
    timing = seconds_by_role(large, RATES)["timing"]
    assert timing == seconds_by_role(larger, RATES)["timing"]
    assert timing >= 2 * 3.0 + 2 * MIN_CHUNKS * 50 * 0.01 + MIN_CHUNKS * 40.0


def test_seconds_per_sample_hold_for_another_scale_of_the_same_task():
    half = replace(WORKLOAD, num_epochs=5, batch_size=25, steps_per_epoch=40)  # as many samples in an epoch
    rates = Rates(seconds_per_sample=0.01)
    assert seconds_by_role(half, rates)["tune"] == pytest.approx(seconds_by_role(WORKLOAD, rates)["tune"] / 2)


def test_surgery_rarer_than_is_waited_for_costs_nothing_absurd():
    never = replace(RATES, surgery_seconds=0.0, period_epochs=10**9)
    assert seconds_by_role(WORKLOAD, never) == seconds_by_role(WORKLOAD, replace(RATES, surgery_seconds=0.0))


def test_a_trial_takes_its_share_of_a_gpu_and_a_timing_trial_all_of_it():
    seconds = {"default": 100.0, "tune": 10.0, "confirm": 1.0, "timing": 1000.0}
    assert gpu_seconds({"default": 4, "tune": 8}, seconds, 0.25) == 0.25 * (400 + 80)
    assert gpu_seconds(ONE_EACH, seconds, 0.25) == 0.25 * 111 + 1000


COUNTS = st.fixed_dictionaries({role: st.integers(0, 5) for role in ONE_EACH})
SECONDS = st.fixed_dictionaries({role: st.floats(0.1, 100.0) for role in ONE_EACH})
CELLS = st.lists(st.tuples(COUNTS, SECONDS), max_size=6)


@given(cells=CELLS, num_workers=st.integers(1, 64))
def test_the_clock_lies_between_a_fair_share_and_one_after_the_other(cells, num_workers):
    total = sum(total_seconds(counts, seconds) for counts, seconds in cells)
    wall = wall_seconds(cells, num_workers)
    assert total / num_workers <= wall * (1 + 1e-9)
    assert wall <= total * (1 + 1e-9) + 1e-9
    assert wall_seconds(cells, num_workers + 1) <= wall
    assert wall_seconds(cells, 1) == pytest.approx(total)


def test_workers_without_number_wait_for_the_longest_study_and_time_one_by_one():
    seconds = dict.fromkeys(ONE_EACH, 10.0)
    study = {"default": 5, "tune": 30, "confirm": 5, "timing": 0}
    assert wall_seconds([(study, seconds)] * 7, 10**6) == 31 * 10.0
    assert wall_seconds([({**study, "timing": 2}, seconds)] * 7, 10**6) == 31 * 10.0 + 7 * 2 * 10.0
    assert wall_seconds([({"default": 5}, seconds)], 10**6) == 10.0
