"""The comment behind a field of a contestant tells its range, whatever symbol its formula has for the field."""

import pytest

from harness.checks.contestant_declarations import probes_of_range


@pytest.mark.parametrize("note", [">= 0", "in [0, 1)", "in (0, 0.5]", "> 0.5"])
@pytest.mark.parametrize("symbols", ["", "gamma ", "gamma or alpha ", "l ", "rho ", "eta_max or r or s "])
def test_symbols_before_a_range_change_nothing(note, symbols):
    assert probes_of_range(symbols + note, whole=False) == probes_of_range(note, whole=False) != ([], [])


@pytest.mark.parametrize("note", ["share of units in [0, 1)", "of all channels >= 2", "mean or max", "off at 0"])
def test_other_words_are_no_range(note):
    assert probes_of_range(note, whole=False) == ([], [])
