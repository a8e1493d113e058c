"""Signals become an exception, and wait where something must not be left half done."""

import os
import signal
import subprocess
import sys
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


SLOW_END = """
import os, signal, subprocess, sys, time
from harness.interrupts import ending_within
child = subprocess.Popen(["sleep", "9"], stdout=subprocess.DEVNULL)
with ending_within(float(sys.argv[1])) as ending, ending.at_once_without_children():
    signal.signal(signal.SIGTERM, lambda *_: None)
    if sys.argv[2] == "ends":
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(2)
child.kill()
print("a clean end")
"""


@pytest.mark.parametrize(
    ("grace", "child", "code", "said"),
    [
        ("60", "ends", Interrupted.exit_code, ""),
        ("60", "lives", 0, "a clean end\n"),
        ("0.1", "lives", Interrupted.exit_code, ""),
    ],
)
def test_a_clean_end_is_waited_for_unless_it_takes_too_long_or_needs_a_child_that_ended(grace, child, code, said):
    ended = subprocess.run([sys.executable, "-c", SLOW_END, grace, child], stdout=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stdout) == (code, said)


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
