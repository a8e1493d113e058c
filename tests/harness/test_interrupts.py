"""Signals become an exception, and wait where something must not be left half done."""

import os
import signal
import threading

import pytest

from harness.errors import Interrupted
from harness.interrupts import held, interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_that_comes_while_they_are_held_is_heard_afterwards(number):
    steps = []

    def work():
        with held():
            os.kill(os.getpid(), number)
            steps.append("whole")
        steps.append("never")

    with interruptible(), pytest.raises(Interrupted, match=signal.Signals(number).name):
        work()
    assert steps == ["whole"]


def test_in_a_thread_beside_the_main_one_nothing_is_held_and_nothing_breaks():
    outcomes = []

    def work():
        with held():
            outcomes.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert outcomes == [before]
