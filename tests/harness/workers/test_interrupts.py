"""Signals become an exception, and wait where something must not be left half done."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from harness.errors import Interrupted
from harness.workers.interrupts import held, interruptible


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
import os, signal, sys, time
from harness.workers.interrupts import ended_within
with ended_within(float(sys.argv[1])) as ending:
    with ending.watched(ends_with_group=True):
        signal.signal(signal.SIGTERM, lambda *_: None)
        if sys.argv[2] == "process after Ctrl-C":
            signal.signal(signal.SIGINT, lambda *_: None)
            os.killpg(os.getpid(), signal.SIGINT)
            time.sleep(0.5)
        {"group": os.killpg}.get(sys.argv[2], os.kill)(os.getpid(), signal.SIGTERM)
        time.sleep(float(sys.argv[3]))
    time.sleep(1)
print("a clean end")
"""


@pytest.mark.parametrize(
    ("grace", "to", "seconds", "code", "said"),
    [
        ("600", "group", "60", Interrupted.exit_code, ""),
        ("600", "process", "1", 0, "a clean end\n"),
        ("600", "process after Ctrl-C", "1", 0, "a clean end\n"),
        ("0.1", "process", "60", Interrupted.exit_code, ""),
    ],
)
def test_a_clean_end_is_waited_for_unless_it_takes_too_long_or_the_whole_group_ends(grace, to, seconds, code, said):
    command = [sys.executable, "-c", SLOW_END, grace, to, seconds]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert (ended.returncode, ended.stdout) == (code, said)


@pytest.mark.parametrize(("how", "said"), [("os._exit(1)", True), ("os.kill(os.getpid(), 9)", True), ("pass", False)])
def test_an_end_that_the_process_cannot_tell_of_is_told_for_it(how, said):
    """As Ray's compiled code ends its driver where the raylet or the head has died."""
    code = (
        "import os; from harness.workers.interrupts import ended_within\n"
        f"with ended_within(60) as ending, ending.watched(ends_with_group=False): {how}"
    )
    ended = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    sentence = "regarena: Ray or the system ended this command. What is finished is kept; the same command resumes.\n"
    assert ended.stderr == (sentence if said else "")


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
