from types import SimpleNamespace

import pytest
import torch
from tiny_tasks import IMAGE_TASK, prepared, weights_of

from harness.timing import MIN_TIMED_EPOCHS, WARM_UP_EPOCHS, time_steps

CPU = torch.device("cpu")


class Pretended:
    """A training that notes its epochs, and whose steps take as long as it is told."""

    def __init__(self, name, log, epochs=3, num_steps=4):
        self.name, self._log = name, log
        self.protocol, self.batches = SimpleNamespace(epochs=epochs), range(num_steps)
        self.network, self.hooks = object(), self

    def run_epoch(self, epoch):
        self._log.append(("steps", self.name, epoch))

    def after_epoch(self, epoch, network):
        assert network is self.network
        self._log.append(("surgery", self.name, epoch))
        return {}


@pytest.fixture
def timed():
    log = []
    return time_steps(Pretended("one", log), Pretended("twin", log), CPU), log


def test_both_run_every_epoch_once_with_what_follows_it(timed):
    _, log = timed
    epochs = range(1, WARM_UP_EPOCHS + MIN_TIMED_EPOCHS + 1)
    for name in ("one", "twin"):
        assert [entry for entry in log if entry[1] == name] == [
            (kind, name, epoch) for epoch in epochs for kind in ("steps", "surgery")
        ]


def test_the_two_take_turns_and_who_goes_first_alternates(timed):
    _, log = timed
    order = [name for kind, name, _ in log if kind == "steps"]
    assert order == ["one", "twin", "twin", "one"] * (len(order) // 4) + ["one", "twin"] * (len(order) % 4 // 2)


def test_the_warm_up_is_not_counted(timed):
    result, _ = timed
    assert result.num_epochs == MIN_TIMED_EPOCHS


def test_a_longer_protocol_is_timed_until_its_end_or_until_it_was_long_enough():
    log = []
    result = time_steps(Pretended("one", log, epochs=20), Pretended("twin", log, epochs=20), CPU)
    assert result.num_epochs == 20 - WARM_UP_EPOCHS


@pytest.fixture
def clock(monkeypatch):
    """A clock that only trainings move."""
    time = SimpleNamespace(now=0.0)
    monkeypatch.setattr("harness.timing.time", SimpleNamespace(perf_counter=lambda: time.now))
    return time


def test_steps_are_medians_and_what_follows_an_epoch_is_averaged(clock):
    class Paced(Pretended):
        def run_epoch(self, epoch):
            slow = epoch == 1 or epoch == 4  # the warm-up, and one disturbance
            clock.now += (100.0 if slow else 2.0 if self.name == "one" else 1.0) * len(self.batches)

        def after_epoch(self, epoch, network):
            clock.now += 24.0 if self.name == "one" and epoch % 3 == 0 else 0.0  # in epochs 3 and 6, of 2 to 7
            return {}

    result = time_steps(Paced("one", []), Paced("twin", []), CPU)
    assert result.num_epochs == 6
    assert result.twin_seconds_per_step == 1.0
    assert result.seconds_per_step == pytest.approx(2.0 + 2 * 24.0 / 4 / 6)
    assert result.total_seconds == pytest.approx((5 * 2.0 + 100.0) * 4 + 48.0)


def test_timing_trains_both_as_they_would_train_alone():
    regularized, twin = prepared(IMAGE_TASK), prepared(IMAGE_TASK)
    timed = time_steps(regularized, twin, CPU)
    alone = prepared(IMAGE_TASK)
    for epoch in range(1, WARM_UP_EPOCHS + timed.num_epochs + 1):
        alone.run_epoch(epoch)
    for network in (regularized.network, twin.network):
        assert torch.equal(weights_of(network), weights_of(alone.network))
