"""How many processors decode images as fast as a GPU trains: the measured rate, the numbers, and what is unknown."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from image_folders import write_images

from harness.campaign import plan_campaign
from harness.cells import Cell
from harness.command.plan_table import plan_table
from harness.execution import Execution
from harness.plan import Budget
from harness.request import Cluster, Request
from harness.results.store import Store
from harness.times import decoding
from harness.times.cost import Estimate
from harness.times.decoding import Decoding, decoded_per_second, decoding_of
from harness.times.forecast import Forecast
from tasks.datasets.image_decoding import decoded
from tasks.experiments import SUITES

SUITE = "distortion-table3"  # on ImageNet
ON_GPU = Execution(device="cuda", gpu_fraction=1.0)
BUDGET = Budget(scale="smoke", tune_trials=1, seeds=1, timing_repeats=0)


def asked(results, **more):
    cluster = Cluster(address="ray://a-cluster:10001")
    return Request(suite_name=SUITE, suite=SUITES[SUITE], results=str(results), budget=BUDGET, cluster=cluster, **more)


@pytest.fixture
def plan(tmp_path):
    return plan_campaign(asked(tmp_path / "results"), Store(str(tmp_path / "results")))


@pytest.fixture
def cell(plan):
    return next(cell for cell in plan.running_cells if cell.regularizer == "none")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder of a few images, and a clock on which decoding one takes 20 ms, and nothing else any time."""
    clock = SimpleNamespace(now=0.0)
    write_images(tmp_path / "data" / "imagenet", ("a", "b"), num_train=8, num_val=2)

    def slowly(path):
        clock.now += 0.02
        return decoded(path)

    monkeypatch.setattr("tasks.datasets.streamed.decoded", slowly)
    monkeypatch.setattr(decoding, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return tmp_path / "data"


def forecast(cell: Cell, samples_per_second: float | None, **fields) -> Forecast:
    estimate = Estimate(seconds={}, source="", samples_per_second=samples_per_second, **fields)
    return Forecast(cell=cell, missing={}, estimate=estimate)


def test_the_decoding_rate_is_that_of_one_processor(cell, data):
    assert decoded_per_second(cell, Execution(data_dir=str(data))) == pytest.approx(50)


def test_without_the_images_the_rate_is_unknown(cell, tmp_path):
    assert decoded_per_second(cell, Execution()) is None
    assert decoded_per_second(cell, Execution(data_dir=str(tmp_path))) is None


@pytest.mark.parametrize(("decoded", "trained", "processors"), [(50.0, 500.0, 11), (50.0, 501.0, 12), (50.0, 10.0, 2)])
def test_as_many_processors_decode_as_the_gpu_needs_and_one_trains(decoded, trained, processors):
    known = Decoding(task="t", decoded_per_second=decoded, trained_per_second=trained)
    assert known.processors_per_trial == processors
    assert f"--cpus-per-trial {processors}." in known.sentence()
    shared = replace(known, trials_per_gpu=3)
    assert f"or {3 * processors} for a GPU that 3 trials share" in shared.sentence()
    assert "at least" not in known.sentence()
    assert f"at least {processors} processors" in replace(known, may_have_waited=True).sentence()


def test_what_is_unknown_is_said_with_how_to_measure_it():
    known = Decoding(task="t", decoded_per_second=50.0, trained_per_second=500.0)
    for field, told in (("decoded_per_second", "--calibrate --data DIR"), ("trained_per_second", "--timings DIR")):
        other = replace(known, **{field: None})
        assert other.processors_per_trial is None
        assert "is unknown" in other.sentence()
        assert told in other.sentence()
    assert "decodes 50 images" in replace(known, trained_per_second=None).sentence()


def test_the_fastest_contestant_on_a_gpu_decides(plan, cell):
    slow, fast = forecast(cell, 100.0, reads_data=False), forecast(cell, 400.0)
    (found,) = decoding_of(plan, [slow, fast], ON_GPU, calibrate=False)
    assert (found.trained_per_second, found.may_have_waited, found.trials_per_gpu) == (400.0, True, 1)
    (found,) = decoding_of(plan, [slow, forecast(cell, None)], replace(ON_GPU, gpu_fraction=0.25), calibrate=False)
    assert (found.trained_per_second, found.may_have_waited, found.trials_per_gpu) == (100.0, False, 4)


def test_a_rate_of_a_processor_is_none_of_a_gpu_but_one_of_rows_of_a_gpu_elsewhere_is(plan, cell):
    (found,) = decoding_of(plan, [forecast(cell, 100.0)], Execution(), calibrate=False)
    assert found.trained_per_second is None
    (found,) = decoding_of(plan, [forecast(cell, 100.0, gpu_fraction=0.5)], Execution(), calibrate=False)
    assert (found.trained_per_second, found.trials_per_gpu) == (100.0, 2)


def test_nothing_is_said_where_the_gpu_decodes(plan, cell):
    on_device = replace(plan, switches={"device_decoding": True})
    assert decoding_of(on_device, [forecast(cell, 100.0)], ON_GPU, calibrate=False) == []


def test_the_plan_says_it_for_tasks_that_decode_for_a_gpu(tmp_path, data, monkeypatch):
    monkeypatch.setattr("harness.times.forecast.estimate_by_calibration", lambda *_: None)  # minutes on a processor
    request = asked(tmp_path / "results", execution=Execution(data_dir=str(data)))
    _, notes = plan_table(request, calibrate=True)
    assert any("one processor here decodes 50 images a second" in note and "--timings DIR" in note for note in notes)
    without_gpu = replace(request, cluster=Cluster(gpus_per_trial=0.0))
    assert not any("decodes" in note for note in plan_table(without_gpu)[1])
