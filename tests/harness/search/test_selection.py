import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import TrialSpec
from harness.results.trial_summary import TrialSummary
from harness.search.selection import BEST_VALIDATION


def tuned(values):
    specs = [
        TrialSpec(
            task="t", regularizer="r", hyperparameters={"h": index}, seed=0, role="tune", scale="smoke", code_hash=""
        )
        for index in range(len(values))
    ]
    return [(spec, TrialSummary(spec.trial_id, "completed", value)) for spec, value in zip(specs, values, strict=True)]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_nobody_is_better_than_the_winner_and_none_before_it_is_as_good(values):
    higher = BEST_VALIDATION.choose(tuned(values), True).hyperparameters["h"]
    assert higher == values.index(max(values))
    lower = BEST_VALIDATION.choose(tuned(values), False).hyperparameters["h"]
    assert lower == values.index(min(values))


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_of_equals_the_earliest_wins(higher_is_better):
    assert BEST_VALIDATION.choose(tuned([0.5, 0.5, 0.5]), higher_is_better).hyperparameters == {"h": 0}
