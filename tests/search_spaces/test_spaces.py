"""Search spaces: a range for every contestant, never empty, told as it is searched."""

from __future__ import annotations

import re

import pytest

from harness.spaces import space_of
from search_spaces import SPACES
from search_spaces.shared import LEARNING_RATE, shared_space
from search_spaces.space import Choice, Integer, Real
from tasks.regularizers import REGULARIZERS

CHANGE_NOTHING = ("none", "rademacher_probe")  # the baseline, and what only looks on


def test_every_regularizer_of_the_table_has_a_space_and_every_space_a_regularizer() -> None:
    assert set(SPACES) == set(REGULARIZERS)


@pytest.mark.parametrize("name", CHANGE_NOTHING)
def test_what_changes_nothing_has_nothing_of_its_own_to_tune(name: str) -> None:
    assert space_of(name) == {}


@pytest.mark.parametrize("name", sorted(set(SPACES) - set(CHANGE_NOTHING)))
def test_every_contestant_has_something_to_tune_from_a_source(name: str) -> None:
    assert space_of(name)
    for scope in space_of(name).values():
        assert scope.source.strip()
        assert not scope.source.endswith(".")


@pytest.mark.parametrize("name", sorted(SPACES))
def test_no_field_is_called_as_a_shared_setting(name: str) -> None:
    assert not set(space_of(name)) & set(shared_space(0.1))


def test_a_range_holds_the_range_that_its_source_begins_with() -> None:
    stated = [
        (f"{name}.{field}", scope, found)
        for name in SPACES
        for field, scope in space_of(name).items()
        if not isinstance(scope, Choice) and (found := re.match(r"([\d.e+-]+) to ([\d.e+-]+)\b", scope.source))
    ]
    assert len(stated) > 10
    for field, scope, found in stated:
        assert scope.low <= float(found[1]) < float(found[2]) <= scope.high, f"{field}: {scope} from {scope.source}"


@pytest.mark.parametrize("name", sorted(SPACES))
def test_choices_are_several_and_distinct(name: str) -> None:
    for scope in space_of(name).values():
        if isinstance(scope, Choice):
            assert len(set(scope.options)) == len(scope.options) >= 2


def test_the_shared_learning_rate_is_searched_by_a_factor_of_5_to_both_sides() -> None:
    space = shared_space(0.05)
    assert set(space) == {LEARNING_RATE}
    scope = space[LEARNING_RATE]
    assert isinstance(scope, Real)
    assert scope.log
    assert (scope.low, scope.high) == pytest.approx((0.01, 0.25))


@pytest.mark.parametrize("kind", [Real, Integer])
@pytest.mark.parametrize(("low", "high", "log"), [(2, 1, False), (1, 1, False), (0, 1, True), (-1, 1, True)])
def test_an_empty_range_and_the_logarithm_of_zero_are_refused(
    kind: type[Real] | type[Integer], low: int, high: int, log: bool
) -> None:
    with pytest.raises(ValueError, match="low < high, and low > 0 if log"):
        kind(low=low, high=high, log=log, source="test")


def test_a_range_from_or_to_something_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="low < high"):
        Real(low=float("nan"), high=1.0, source="test")


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        (Real(low=0.0, high=0.5, source="test"), "0 to 0.5"),
        (Real(low=1e-5, high=1.0, log=True, source="test"), "1e-05 to 1, log"),
        (Integer(low=1, high=9, source="test"), "1 to 9"),
        (Choice(options=("dense", 3, True), source="test"), "dense | 3 | True"),
    ],
    ids=["real", "log", "integer", "choice"],
)
def test_a_range_reads_as_one_would_write_it(scope: Real | Integer | Choice, text: str) -> None:
    assert str(scope) == text
