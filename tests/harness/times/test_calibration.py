"""A calibration on a clock that only a contestant moves: what it measures, and what it leaves alone."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from slow_params import slow_but

from harness.cells import Cell
from harness.execution import Execution
from harness.times.calibration import MAX_CPU_SAMPLES, calibrate, estimate_by_calibration
from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Regularizer
from tasks.runtime.switches import Switches
from tasks.training import Training

SURGERY_SECONDS, PERIOD_EPOCHS = 60.0, 4
CPU = Execution()
CLOCK = SimpleNamespace(now=0.0, seconds_per_sample=0.0, steps=[])


@dataclass(frozen=True, kw_only=True)
class Watcher(Regularizer):
    """Moves the clock, and notes its steps. Has no fields, as the baseline whose place it takes."""

    def transform_batch(self, batch, step):
        CLOCK.steps.append((len(batch.inputs), step.progress))
        CLOCK.now += CLOCK.seconds_per_sample * len(batch.inputs)
        return batch

    def after_epoch(self, epoch, network):
        CLOCK.now += SURGERY_SECONDS if epoch % PERIOD_EPOCHS == 0 else 0.0
        return {}

    def period_epochs(self):
        return PERIOD_EPOCHS


@pytest.fixture
def watched(monkeypatch):
    """A cell of MNIST, without its files, whose contestant takes so many seconds per sample."""
    CLOCK.steps.clear()
    monkeypatch.setattr("harness.times.calibration.time", SimpleNamespace(perf_counter=lambda: CLOCK.now))
    monkeypatch.setattr("harness.times.calibration.MIN_SECONDS", 0.0)

    def cell(seconds_per_sample):
        CLOCK.seconds_per_sample = seconds_per_sample
        monkeypatch.setitem(REGULARIZERS._looked_up, "none", Watcher)
        return Cell(task_name="mnist-lenet", regularizer="none", scale="paper")

    return cell


def test_a_slow_step_is_timed_on_a_part_of_the_batch_and_scaled_per_sample(watched):
    cell = watched(1.0)
    measured = calibrate(cell, CPU)
    assert measured.batch_size == MAX_CPU_SAMPLES
    assert {size for size, _ in CLOCK.steps} == {MAX_CPU_SAMPLES}
    assert measured.rates.seconds_per_sample == pytest.approx(1.0)
    estimate = estimate_by_calibration(cell, CPU)
    workload = TASKS["mnist-lenet"].workload("paper")
    steps = workload.num_steps * workload.batch_size * 1.0
    surgery = workload.num_epochs / PERIOD_EPOCHS * SURGERY_SECONDS
    assert estimate.seconds["default"] == pytest.approx(steps + surgery)
    assert "for 16 of 64 samples" in estimate.source
    assert any("were scaled" in caveat for caveat in estimate.caveats)


def test_a_quick_step_is_timed_on_the_whole_batch(watched):
    cell = watched(1e-3)
    measured = calibrate(cell, CPU)
    whole = TASKS["mnist-lenet"].workload("paper").batch_size
    assert measured.batch_size == whole == CLOCK.steps[-1][0]
    assert measured.seconds_per_step == pytest.approx(whole * 1e-3)
    assert not any("were scaled" in caveat for caveat in estimate_by_calibration(cell, CPU).caveats)


def test_the_timed_steps_are_few_and_spread_over_the_training(watched):
    cell = watched(1.0)
    calibrate(cell, CPU)
    places = [progress for _, progress in CLOCK.steps]
    assert places == pytest.approx([1 / 6, 3 / 6, 5 / 6, 1 / 6], abs=0.05)


@pytest.mark.parametrize("scale", slow_but(["smoke", "paper"], ["smoke"]))
@pytest.mark.parametrize("task", ["digits-convnet", "structured-fig1", "thesis-fig3-2", "structured-fig3-mnist"])
def test_a_real_cell_is_calibrated_without_any_files(task, scale):
    estimate = estimate_by_calibration(Cell(task_name=task, regularizer="dropout", scale=scale), CPU)
    assert 0 < estimate.seconds["tune"] <= estimate.seconds["default"] == estimate.seconds["confirm"]


def test_steps_are_executed_by_the_switches_of_the_plan():
    cell = Cell(task_name="digits-convnet", regularizer="none", scale="smoke")
    seen = []
    original = Training.run_steps

    def noting(training, batches, epoch):
        seen.append(training.protocol.switches)
        return original(training, batches, epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "run_steps", noting)
        calibrate(cell, CPU, Switches(channels_last=True))
    assert set(seen) == {Switches(channels_last=True)}


def test_a_task_that_cannot_be_rehearsed_is_not_calibrated(monkeypatch):
    monkeypatch.setattr("tasks.classification.Classification.rehearse", lambda *_: None)
    assert estimate_by_calibration(Cell(task_name="mnist-lenet", regularizer="none", scale="paper"), CPU) is None
