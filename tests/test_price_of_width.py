"""The benchmark of wide searches and of halving: what it trains, what it reads, and what it makes of it."""

import hashlib
import math

import pytest

from benchmarks import price_of_width
from benchmarks.price_of_width import HALVED, NARROW, WIDE, Found, read, run_study
from harness.records import TrialRecord
from harness.results.trial_summary import TrialSummary
from harness.search.halving import BRACKET, rung_epochs
from harness.search.studies import NUM_RANDOM_TRIALS
from tasks.experiments import TASKS

TASK, NUM_PROPOSALS = "digits-200-mlp", 2 * BRACKET
CELL = (TASK, "dropout")
EPOCHS = TASKS[TASK].epochs("smoke")


def value_of(spec):
    """A made-up value between 0 and 1."""
    return int(hashlib.sha256(str(sorted(spec.hyperparameters.items())).encode()).hexdigest()[:8], 16) / 2**32


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a study of one cell, and its trials, with made-up values, in the order of training."""
    folder, trained = tmp_path_factory.mktemp("price"), []

    def run(schedule, timing, store, *_):
        while pack := schedule.next():
            for spec in pack:
                trained.append(spec)
                values = {"epochs_planned": EPOCHS, "epochs_run": spec.until_epoch or EPOCHS}
                values |= {"validation_value": value_of(spec)}
                values |= {"test_value": value_of(spec)} if spec.sees_test else {}
                status = "pruned" if spec.until_epoch else "completed"
                record = TrialRecord(spec=spec, status=status, values=values)
                store.write(record)
                schedule.record(spec, TrialSummary.of(record))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.serial.run", run)
        patch.setattr(price_of_width, "TASKS", (TASK,))
        patch.setattr(price_of_width, "REGULARIZERS", ("dropout",))
        patch.setattr(price_of_width, "NUM_PROPOSALS", NUM_PROPOSALS)
        run_study(folder, 0)
        yield folder, trained
        before = len(trained)
        run_study(folder, 0)
        assert len(trained) == before, "a finished study is not trained again"


def test_what_two_widths_propose_alike_is_trained_once(trained):
    _, specs = trained
    whole = [spec.trial_id for spec in specs if spec.role == "tune" and not spec.halving]
    assert len(whole) == len(set(whole)) <= 2 * NUM_PROPOSALS - NUM_RANDOM_TRIALS
    assert {spec.role for spec in specs} == {"tune", "confirm"}


def test_each_search_is_judged_by_what_it_asked_for(trained):
    folder, specs = trained
    found = {arm: read(folder, arm, 0)[CELL] for arm in (NARROW, WIDE, HALVED)}
    first, second = rung_epochs(EPOCHS)
    brackets = 2 * BRACKET * first + (3 + 4) * (second - first) + (1 + 2) * (EPOCHS - second)  # the default is spared
    assert [found[arm].whole_epochs for arm in (NARROW, WIDE, HALVED)] == [NUM_PROPOSALS * EPOCHS] * 3
    assert [found[arm].epochs for arm in (NARROW, WIDE, HALVED)] == [NUM_PROPOSALS * EPOCHS] * 2 + [brackets]
    asked = [spec for spec in specs if spec.role == "tune" and not spec.halving][:NUM_PROPOSALS]
    assert found[NARROW].best == max(map(value_of, asked))
    assert math.isnan(found[NARROW].confirmed)


def test_differences_are_averaged_over_cells_in_units_of_each():
    """In the first cell the spread is sqrt(2) and each study gains 1, in the second nobody gains."""

    def searches(*values):
        return [Found(best=value, confirmed=value, epochs=1, whole_epochs=4) for value in values]

    narrow, wide = [searches(0.0, 2.0), searches(0.0, 4.0)], [searches(1.0, 3.0), searches(0.0, 4.0)]
    row = price_of_width.price_of_width(narrow, wide)
    assert row["difference_in_sd"] == pytest.approx(1 / math.sqrt(2) / 2)
    assert (row["low"], row["high"]) == pytest.approx((row["difference_in_sd"],) * 2)
    halved = price_of_width.price_of_halving(narrow, wide)
    assert halved["difference"] == 0.5
    assert halved["epochs_share"] == 0.25
