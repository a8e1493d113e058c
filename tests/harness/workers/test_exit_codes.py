"""How a process ended, for every exit code that the system gives."""

import signal

import pytest

from harness.workers.exit_codes import how_it_ended


@pytest.mark.parametrize("number", sorted(signal.valid_signals()))
def test_every_signal_is_told_by_its_name_or_its_number(number):
    named = {each.value: each.name for each in signal.Signals}
    assert how_it_ended(-number) == f"killed by {named.get(number, f'signal {number}')}"


def test_an_exit_code_is_told_as_it_is():
    assert [how_it_ended(code) for code in (0, 3, None)] == ["exit code 0", "exit code 3", "exit code None"]
