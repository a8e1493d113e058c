"""What stored rows tell of times: rows made up from known rates, which the estimate must find again."""

import itertools

import pytest

from harness.cells import Cell
from harness.records import TrialRecord, TrialSpec
from harness.results.store import Store
from harness.times.cost import FORWARD_SHARE, Rates, seconds_by_role
from harness.times.known_times import OTHER_SCALE, estimate_elsewhere, estimate_from, read_times
from tasks.experiments import TASKS

HERE, ELSEWHERE = "this processor x1", "another processor x1"
TASK = "digits-mlp"
CELL = Cell(task_name=TASK, regularizer="dropout", scale="short")
RATES = Rates(seconds_per_sample=2e-4, seconds_per_evaluated=1e-5, setup_seconds=0.5)
_seeds = itertools.count()


def stored(
    scale="short", role="default", regularizer="dropout", hardware=HERE, rates=RATES, status="completed", **more
):
    """A row as a training at these rates leaves it; a timing row has a twin twice as quick."""
    workload = TASKS[TASK].workload(scale)
    spec = TrialSpec(
        task=TASK, regularizer=regularizer, hyperparameters={}, seed=next(_seeds), role=role, scale=scale, code_hash=""
    )
    step = rates.seconds_per_sample * workload.batch_size
    values = {
        "hardware_key": hardware,
        "epochs_run": workload.num_epochs,
        "seconds_per_step": step,
        "samples_per_second": 1 / rates.seconds_per_sample,
        "train_seconds": workload.num_steps * step,
        "setup_seconds": rates.setup_seconds,
        "evaluation_seconds": rates.seconds_per_evaluated * workload.num_evaluated(role != "tune"),
    }
    metrics = {}
    if role == "timing":
        values |= {"evaluation_seconds": None, "setup_seconds": 2 * rates.setup_seconds}
        metrics = {"twin_seconds_per_step": step / 2}
    return TrialRecord(spec=spec, status=status, values=values | more, metrics=metrics)


@pytest.fixture
def times_of(tmp_path):
    """Write records to a folder, and read their times back."""

    def write_and_read(*records):
        store = Store(tmp_path / f"results-{next(_seeds)}")
        store.prepare()
        for record in records:
            store.write(record)
        return read_times([store])

    return write_and_read


def expected(rates=RATES, scale="short"):
    return seconds_by_role(TASKS[TASK].workload(scale), rates)


@pytest.mark.parametrize("role", ["default", "tune", "confirm"])
def test_trials_of_one_role_tell_the_time_of_every_role(times_of, role):
    estimate = estimate_from(times_of(stored(role=role)), CELL, HERE)
    assert estimate.seconds == pytest.approx(expected())
    assert estimate.source == "1 trial of this cell"


def test_trials_of_the_cell_itself_count_as_they_were_and_before_all_others(times_of):
    slow = Rates(seconds_per_sample=1.0)
    others = [stored(role="timing", rates=slow), stored(scale="smoke", rates=slow)]
    early = stored(train_seconds=1.0, status="stopped_early")
    late = stored(train_seconds=3.0)
    estimate = estimate_from(times_of(*others, early, late), CELL, HERE)
    evaluation = RATES.seconds_per_evaluated * TASKS[TASK].workload("short").num_evaluated(True)
    assert estimate.seconds["default"] == pytest.approx(2.0 + 0.5 + evaluation)
    assert estimate.source == "2 trials of this cell"


def test_timing_rows_of_any_scale_tell_the_rate_per_sample(times_of):
    estimate = estimate_from(times_of(stored(role="timing", scale="smoke")), CELL, HERE)
    forward = FORWARD_SHARE * RATES.seconds_per_sample / 2  # of the twin
    rates = Rates(seconds_per_sample=2e-4, seconds_per_evaluated=forward, setup_seconds=0.5)
    assert estimate.seconds == pytest.approx(expected(rates))
    assert "timing" in estimate.source
    assert any("do not share the machine" in caveat for caveat in estimate.caveats)
    assert OTHER_SCALE in estimate.caveats
    at_this_one = estimate_from(times_of(stored(role="timing", scale="short")), CELL, HERE)
    assert OTHER_SCALE not in at_this_one.caveats


def test_beside_timing_rows_the_evaluation_is_as_any_trial_of_the_task_measured_it(times_of):
    slow = Rates(seconds_per_sample=9.0, seconds_per_evaluated=1e-5)
    times = times_of(stored(role="timing", scale="smoke"), stored(regularizer="none", scale="paper", rates=slow))
    assert estimate_from(times, CELL, HERE).seconds == pytest.approx(expected())


def test_trials_of_another_scale_are_better_than_nothing(times_of):
    estimate = estimate_from(times_of(stored(scale="smoke", role="tune")), CELL, HERE)
    assert estimate.seconds == pytest.approx(expected())
    assert estimate.source == "1 trial at scale smoke"
    assert estimate.caveats == (OTHER_SCALE,)


def test_other_hardware_is_used_only_when_asked_and_named(times_of):
    times = times_of(stored(hardware=ELSEWHERE), stored(hardware="a third", scale="smoke"), stored(hardware=ELSEWHERE))
    assert estimate_from(times, CELL, HERE) is None
    estimate = estimate_elsewhere(times, CELL, HERE)
    assert estimate.source == f"2 trials of this cell, on other hardware: {ELSEWHERE}"
    assert any("other hardware" in caveat for caveat in estimate.caveats)
    assert estimate_elsewhere(times, CELL, ELSEWHERE).source.endswith("a third")


def test_rows_of_a_gpu_tell_the_share_of_it_that_a_trial_takes(times_of):
    gpu = {"hardware": "a GPU | a processor x1"}
    quarter, timing = stored(gpu_fraction=0.25, **gpu), stored(role="timing", gpu_fraction=1.0, **gpu)
    assert estimate_elsewhere(times_of(quarter, timing), CELL, HERE).gpu_fraction == 0.25
    assert estimate_elsewhere(times_of(timing), CELL, HERE).gpu_fraction == 1.0
    assert estimate_elsewhere(times_of(stored(hardware=ELSEWHERE)), CELL, HERE).gpu_fraction == 0.0


def test_what_failed_or_is_of_other_contestants_tells_nothing(times_of):
    times = times_of(stored(status="failed"), stored(regularizer="none"), stored(samples_per_second=None))
    assert estimate_from(times, CELL, HERE) is None
    assert estimate_elsewhere(times, CELL, HERE) is None


def test_a_trial_stored_in_two_folders_counts_once(tmp_path):
    stores = [Store(tmp_path / name) for name in ("first", "second")]
    record = stored()
    for store in stores:
        store.prepare()
        store.write(record)
    assert len(read_times(stores)) == 1


@pytest.mark.parametrize("role", ["default", "timing"])
def test_a_trial_that_ran_on_two_machines_has_the_times_of_both(tmp_path, role):
    record = stored(role=role)
    stores = [Store(tmp_path / name) for name in ("here", "elsewhere")]
    for store, hardware in zip(stores, (HERE, ELSEWHERE), strict=True):
        store.prepare()
        store.write(record.with_values(hardware_key=hardware))
    for order in (stores, stores[::-1]):
        assert sorted(time.hardware_key for time in read_times(order)) == sorted([HERE, ELSEWHERE])


def test_a_timing_trial_that_ran_on_two_machines_has_both_rows_in_a_merged_folder(tmp_path):
    record = stored(role="timing")
    merged, other = Store(tmp_path / "merged"), Store(tmp_path / "other")
    for store, hardware in ((merged, HERE), (other, ELSEWHERE)):
        store.prepare()
        store.write(record.with_values(hardware_key=hardware))
    merged.compact([other])
    assert sorted(time.hardware_key for time in read_times([merged])) == sorted([HERE, ELSEWHERE])


def test_a_column_that_some_rows_lack_is_empty_there(tmp_path):
    store = Store(tmp_path / "results")
    store.prepare()
    for record in (stored(), stored(role="timing")):
        store.write(record)
    rows = store.rows(("role", "metric.twin_seconds_per_step", "metric.nobody_has_it"))
    assert [sorted(row) for row in rows] == [["metric.nobody_has_it", "metric.twin_seconds_per_step", "role"]] * 2
    assert {row["role"]: row["metric.twin_seconds_per_step"] is None for row in rows} == {
        "default": True,
        "timing": False,
    }
