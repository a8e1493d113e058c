"""A campaign whose tune trials stop at rungs: what it leaves; whoever goes on ends as if there were no rungs."""

from collections import Counter

import pytest
from arena import Arena, by_id, curve_points, rows

pytestmark = pytest.mark.slow

WHOLE = (
    "run",
    "well",
    "--serial",
    "--only",
    "long-mlp,none",
    "--tune-trials",
    "9",
    "--tune-width",
    "9",
    "--seeds",
    "1",
)
HALVED = (*WHOLE, "--halving")
NUM_PARTS = 9 + (1 + 3) + (1 + 1)  # of nine trials; the first one, the default setting, trains to the end


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    """Both campaigns: with nine trials at once the proposals are the same."""
    arena = Arena(tmp_path_factory.mktemp("halving"))
    arena.ended = arena.regarena(*HALVED, "--results", "halved")
    arena.num_halved = len(arena.executions)
    arena.again = arena.regarena(*HALVED, "--results", "halved")
    arena.num_again = len(arena.executions)
    arena.whole = arena.regarena(*WHOLE, "--results", "whole")
    return arena


def tuned(arena, results):
    return {row["hp.learning_rate"]: row for row in rows(arena.folder / results) if row["role"] == "tune"}


def test_most_trials_stop_early_and_are_rows(arena):
    assert arena.ended.returncode == 0, arena.ended.stderr
    found = Counter((row["status"], row["rung"], row["epochs_run"]) for row in tuned(arena, "halved").values())
    assert found == {("pruned", 0, 1): 5, ("pruned", 1, 2): 2, ("completed", 2, 7): 2}
    assert arena.num_halved == NUM_PARTS + 1 + 1
    assert not (arena.folder / "halved" / "checkpoints").exists()


def test_the_worst_stop_and_the_best_is_confirmed(arena):
    found = list(tuned(arena, "halved").values())
    whole = tuned(arena, "whole")
    default, best = sorted((row for row in found if row["status"] == "completed"), key=lambda row: row["tune_index"])
    assert default["tune_index"] == 0
    winner = max(best, default, key=lambda row: row["validation_value"])
    (confirmed,) = [row for row in rows(arena.folder / "halved") if row["role"] == "confirm"]
    assert confirmed["frozen_from"] == winner["trial_id"]
    assert {row["halving"] for row in found} == {"1/9 1/3"}
    assert confirmed["halving"] is None
    first = {rate: value_at(arena, whole[rate], 1) for rate in whole if rate != default["hp.learning_rate"]}
    gone_on = {row["hp.learning_rate"] for row in found if row["rung"] > 0} & set(first)
    assert min(first[rate] for rate in gone_on) >= max(first[rate] for rate in set(first) - gone_on)


def curve(arena, results, row):
    points = [point for point in curve_points(arena.folder / results) if point["trial_id"] == row["trial_id"]]
    return sorted(str(point | {"trial_id": ""}) for point in points)


def value_at(arena, row, epoch):
    points = curve_points(arena.folder / "whole")
    wanted = (row["trial_id"], epoch, "validation", "accuracy")
    return next(p["value"] for p in points if (p["trial_id"], p["epoch"], p["split"], p["metric"]) == wanted)


def test_a_trial_that_goes_on_ends_as_one_that_never_paused(arena):
    whole = tuned(arena, "whole")
    assert tuned(arena, "halved").keys() == whole.keys(), "the same proposals"
    for rate, row in tuned(arena, "halved").items():
        assert row["trial_id"] != whole[rate]["trial_id"]
        if row["status"] == "completed":
            assert row["validation_value"] == whole[rate]["validation_value"]
            curves = [curve(arena, "halved", row), curve(arena, "whole", whole[rate])]
            assert curves[0] == curves[1]
        else:
            assert row["validation_value"] == value_at(arena, whole[rate], row["epochs_run"])


def test_a_resumption_trains_nothing_and_the_folder_is_in_order(arena):
    assert arena.again.returncode == 0, arena.again.stderr
    assert arena.num_again == arena.num_halved
    assert len(by_id(arena.folder / "halved")) == 9 + 1 + 1
    assert arena.regarena("verify", "halved").returncode == 0
    refused = arena.regarena(*WHOLE, "--results", "halved")
    assert refused.returncode == 2
    assert "began with --halving" in refused.stderr
