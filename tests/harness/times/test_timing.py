import itertools
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_tasks import IMAGE_TASK, layers_of, prepared, tiny, weights_of

from harness.times.timing import CHUNK_SECONDS, MIN_CHUNKS, MIN_TIMED_SECONDS, expected_seconds, time_steps
from tasks.regularizers.chain import Chain
from tasks.regularizers.dropblock import DropBlock
from tasks.regularizers.localdrop import LocalDrop
from tasks.regularizers.rademacher_probe import RademacherProbe

CPU = torch.device("cpu")


@dataclass
class Pretended:
    """A training that notes what it does, and that takes as long as it is told on a clock that nothing else moves."""

    name: str
    log: list[Any] = field(default_factory=list)
    clock: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(now=0.0))
    epochs: int = 3
    steps_per_epoch: int = 4
    step_seconds: float = 0.0
    surgery_seconds: float = 0.0
    every_epochs: int = 1
    every_steps: int = 1
    extra_seconds: float = 0.0  # of every so-many-th step

    def __post_init__(self):
        self.protocol = SimpleNamespace(epochs=self.epochs)
        self.batches = _Batches(self.steps_per_epoch)
        self.network, self.hooks, self.index = object(), self, 0

    def seek(self, index):
        assert 0 <= index < self.epochs * self.steps_per_epoch
        self.index = index

    def run_steps(self, batches, epoch):
        places = [self._step() for _ in batches]
        self.log.append(("steps", self.name, places))
        return 0.0, 0.0

    def _step(self):
        self.index += 1
        self.clock.now += self.step_seconds + (self.extra_seconds if self.index % self.every_steps == 0 else 0.0)
        return (self.index - 1) / (self.epochs * self.steps_per_epoch)

    def after_epoch(self, epoch, network):
        assert network is self.network
        self.log.append(("surgery", self.name, epoch))
        self.clock.now += self.surgery_seconds if epoch % self.every_epochs == 0 else 0.0
        return {}

    def period_epochs(self):
        return self.every_epochs

    def period_steps(self):
        return self.every_steps


class _Batches:
    def __init__(self, num_steps):
        self._num_steps = num_steps

    def __len__(self):
        return self._num_steps

    def epoch(self):
        return iter(range(self._num_steps))


@pytest.fixture
def clock(monkeypatch):
    """A clock that only trainings move."""
    time = SimpleNamespace(now=0.0)
    monkeypatch.setattr("harness.times.timing.time", SimpleNamespace(perf_counter=lambda: time.now))
    return time


def pair(clock, twin=None, **settings) -> tuple[Any, Any]:
    """A training and its twin with one log; the twin has no surgery."""
    one = Pretended("one", clock=clock, **settings)
    return one, replace(one, name="twin", **{"surgery_seconds": 0.0, "every_epochs": 1, **(twin or {})})


def steps_of(log, name):
    return [places for kind, who, places in log if kind == "steps" and who == name]


def test_both_make_equal_numbers_of_steps_and_who_goes_first_alternates(clock):
    one, twin = pair(clock, step_seconds=0.01, steps_per_epoch=1000)
    result = time_steps(one, twin, CPU)
    assert list(map(len, steps_of(one.log, "one"))) == list(map(len, steps_of(one.log, "twin")))
    num_chunks = result.num_steps // len(steps_of(one.log, "one")[-1])
    order = [name for kind, name, _ in one.log if kind == "steps"][-2 * num_chunks :]
    assert order == ["one", "twin", "twin", "one"] * (num_chunks // 2) + ["one", "twin"] * (num_chunks % 2)
    assert num_chunks >= MIN_CHUNKS


def test_how_long_it_takes_does_not_depend_on_the_size_of_the_data(clock):
    spent = []
    for steps_per_epoch in (10_000, 10_000_000):
        before = clock.now
        time_steps(*pair(clock, step_seconds=0.003, steps_per_epoch=steps_per_epoch, epochs=800), CPU)
        spent.append(clock.now - before)
    assert spent[0] == pytest.approx(spent[1])
    assert spent[0] < 2 * (2 * MIN_TIMED_SECONDS + 6 * CHUNK_SECONDS)


def test_steps_that_take_long_are_as_few_as_can_be(clock):
    one, twin = pair(clock, step_seconds=20.0, steps_per_epoch=390, epochs=270)
    result = time_steps(one, twin, CPU)
    assert result.num_steps == MIN_CHUNKS
    assert clock.now == 2 * 20.0 * (2 + MIN_CHUNKS)
    assert result.seconds_per_step == result.twin_seconds_per_step == 20.0
    assert result.total_seconds == 20.0 * MIN_CHUNKS


@pytest.mark.parametrize(("epochs", "expected"), [(2, MIN_CHUNKS), (20, 19)])
def test_quick_steps_are_timed_epoch_by_epoch_until_the_training_would_end(clock, epochs, expected):
    one, twin = pair(clock, step_seconds=1e-6, steps_per_epoch=50, epochs=epochs)
    assert time_steps(one, twin, CPU).num_steps == expected * 50
    assert {len(places) for places in steps_of(one.log, "one")[-expected:]} == {50}


def test_quick_steps_of_a_long_training_are_timed_until_it_was_long_enough(clock):
    one, twin = pair(clock, step_seconds=0.001, steps_per_epoch=50, epochs=10_000)
    result = time_steps(one, twin, CPU)
    assert MIN_TIMED_SECONDS <= result.total_seconds <= MIN_TIMED_SECONDS + 0.05 + 1e-9


def test_the_timed_steps_are_spread_over_the_training_and_none_lies_behind_its_end(clock):
    one, twin = pair(clock, step_seconds=1.0, steps_per_epoch=100, epochs=30)
    time_steps(one, twin, CPU)
    firsts = [places[0] for places in steps_of(one.log, "twin")[-MIN_CHUNKS:]]
    assert firsts == pytest.approx([(number + 0.5) / MIN_CHUNKS for number in range(MIN_CHUNKS)], abs=1e-3)
    assert all(0 <= place < 1 for chunk in steps_of(one.log, "one") for place in chunk)


@pytest.mark.parametrize("epochs", [1, 2])
def test_no_step_of_a_short_training_lies_behind_its_end(clock, epochs):
    one, twin = pair(clock, step_seconds=1e-3, steps_per_epoch=3, epochs=epochs)
    time_steps(one, twin, CPU)
    assert all(0 <= place < 1 for chunk in steps_of(one.log, "one") for place in chunk)


@pytest.mark.parametrize("every_epochs", [1, 10])
def test_surgery_every_m_epochs_has_a_share_of_1_in_m(clock, every_epochs):
    one, twin = pair(
        clock, step_seconds=2.0, steps_per_epoch=40, epochs=100, surgery_seconds=240.0, every_epochs=every_epochs
    )
    result = time_steps(one, twin, CPU)
    assert result.twin_seconds_per_step == 2.0
    assert result.seconds_per_step == pytest.approx(2.0 + 240.0 / every_epochs / 40)
    assert result.total_seconds == pytest.approx(MIN_CHUNKS * (2.0 + 240.0))


@pytest.mark.parametrize("step_seconds", [0.03, 0.2, 4.0])
def test_work_in_every_nth_step_has_a_share_of_1_in_n_however_long_steps_take(clock, step_seconds):
    sides = pair(clock, epochs=50, steps_per_epoch=400, step_seconds=step_seconds)
    sides[0].every_steps, sides[0].extra_seconds = 10, 7 * step_seconds
    timed = time_steps(*sides, CPU)
    assert timed.seconds_per_step == pytest.approx(1.7 * step_seconds)
    assert timed.twin_seconds_per_step == pytest.approx(step_seconds)


def test_work_in_steps_that_never_come_is_not_waited_for(clock):
    sides = pair(clock, epochs=2, steps_per_epoch=4, step_seconds=4.0)
    sides[0].every_steps = 10**9
    assert time_steps(*sides, CPU).num_steps == 8 * MIN_CHUNKS


def test_surgery_follows_steps_and_a_whole_period_of_it_each_chunk(clock):
    one, twin = pair(clock, step_seconds=2.0, steps_per_epoch=40, every_epochs=3)
    time_steps(one, twin, CPU)
    mine = [(kind, what) for kind, name, what in one.log if name == "one"]
    timed = [what if kind == "surgery" else kind for kind, what in mine][-4 * MIN_CHUNKS :]
    assert timed == ["steps", 1, 2, 3] * MIN_CHUNKS


def test_surgery_that_comes_never_is_not_waited_for(clock):
    one, twin = pair(clock, step_seconds=2.0, surgery_seconds=50.0, every_epochs=10**9)
    assert time_steps(one, twin, CPU).seconds_per_step == 2.0


def test_a_step_is_the_median_of_its_chunks_so_that_one_disturbance_does_not_count(clock):
    one, twin = pair(clock, step_seconds=2.0, steps_per_epoch=40)
    undisturbed = one._step

    def disturbed():
        clock.now += 500.0 if len(one.log) == 8 else 0.0
        return undisturbed()

    one._step = disturbed
    assert time_steps(one, twin, CPU).seconds_per_step == 2.0


@pytest.mark.parametrize("epochs", [2, 1000])
@pytest.mark.parametrize("step_seconds", [1e-4, 1e-2, 0.1, 5.0])
def test_the_expected_duration_is_near_the_real_one(clock, step_seconds, epochs):
    one, twin = pair(
        clock, step_seconds=3 * step_seconds, twin={"step_seconds": step_seconds}, surgery_seconds=4.0 * step_seconds,
        steps_per_epoch=100, epochs=epochs,
    )  # fmt: skip
    time_steps(one, twin, CPU)
    expected = expected_seconds(3 * step_seconds, step_seconds, 4.0 * step_seconds, epochs, 100)
    assert clock.now / 1.5 <= expected <= clock.now * 1.5


def test_the_ranges_are_those_of_the_chunks_and_hold_the_medians(clock):
    one, twin = pair(clock, step_seconds=0.04, steps_per_epoch=50, surgery_seconds=1.0, twin={"step_seconds": 0.02})
    undisturbed, calls = one._step, itertools.count()

    def disturbed():
        clock.now += 0.04 * (next(calls) % 700 == 650)
        return undisturbed()

    one._step = disturbed
    timed = time_steps(one, twin, CPU)
    assert timed.twin_range == pytest.approx((0.02, 0.02))
    low, high = timed.ratio_range
    assert low <= timed.seconds_per_step / timed.twin_seconds_per_step <= high
    assert low == pytest.approx((0.04 + 1.0 / 50) / 0.02)
    assert high > low


def test_a_regularizer_says_its_period_and_a_combination_the_least_common_one():
    training = prepared(tiny("digits-convnet", full_epochs=None), LocalDrop(m=4), RademacherProbe(every_epochs=6))
    assert training.hooks.period_epochs() == 12
    assert prepared(IMAGE_TASK, DropBlock()).hooks.period_epochs() == 1
    assert Chain([], []).period_epochs() == 1


def test_timing_trains_by_the_ordinary_steps_and_without_regularizers_both_come_to_the_same_weights():
    regularized, twin = prepared(IMAGE_TASK), prepared(IMAGE_TASK)
    initial = weights_of(prepared(IMAGE_TASK).network)
    time_steps(regularized, twin, CPU)
    assert torch.equal(weights_of(regularized.network), weights_of(twin.network))
    assert not torch.equal(weights_of(twin.network), initial)


def test_shrinkage_is_seen_on_a_real_network_though_the_training_is_shorter_than_its_period():
    task = tiny("digits-convnet", full_epochs=None)
    assert task.protocol.epochs < 10  # type: ignore[attr-defined]  # these tasks have one
    regularized = prepared(task, LocalDrop(lam=100.0, m=10, h_dense_fraction=0.0, h_conv=0))
    time_steps(regularized, prepared(task), CPU)
    *hidden, output = (float(layer.weight.detach().abs().max()) for layer in layers_of(regularized.network))
    assert max(hidden) < 1e-6 < output
