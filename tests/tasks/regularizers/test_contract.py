"""What every regularizer promises, measured for each by standing in the table: the laws of `regarena check`."""

from __future__ import annotations

import pytest

from harness.checks.contestants import LAWS, Entrant
from harness.checks.law import Law
from harness.field_docs import field_docs
from tasks.regularizers import ONLY_MEASURE, REGULARIZERS

ENTRANTS = {name: Entrant.of(name) for name in sorted(REGULARIZERS)}  # each keeps what several laws look at


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", ENTRANTS)
def test_every_contestant_keeps_every_law(name: str, law: Law[Entrant]) -> None:
    assert list(law(ENTRANTS[name])) == []


@pytest.mark.parametrize("name", ENTRANTS)
def test_lists_show_the_first_line_of_its_docstring(name: str) -> None:
    assert (REGULARIZERS[name].__doc__ or "").split("\n")[0] == REGULARIZERS.summary(name)


def test_those_that_only_measure_are_left_out_of_suites_of_all_contestants() -> None:
    assert {name for name in ENTRANTS if REGULARIZERS[name].only_measures} == set(ONLY_MEASURE)


def test_every_rate_refuses_1_and_minus_a_tenth_unless_all_may_be_dropped() -> None:
    rates = [
        (name, field, note)
        for name in ENTRANTS
        for field, note in field_docs(REGULARIZERS[name]).items()
        if field.endswith("_rate") or field == "drop_rate"
    ]
    assert len(rates) >= 20
    for name, field, note in rates:
        assert note.startswith("in [0, 1)"), f"{name}.{field}: {note}"
