"""The statistics over tasks as people reach them, and the arrays they are computed on."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from result_rows import confirmed, row, write
from scipy import stats

import analysis
from analysis.tables.cubes import cubes_of
from analysis.tables.over_tasks import STATISTICS, statistics_of
from analysis.tables.scores import scores_table
from harness.command.parameters import statistics_in
from harness.command.result_commands import stats as stats_command
from harness.command.screens import show_statistics
from harness.errors import BadInput
from harness.records import CURVE_SCHEMA
from harness.terminal.text import cell_length

CONTESTANTS = ("none", "dropout", "sparse_variational_dropout+weight_decay", "localdrop", "\x1b[31mred")


@pytest.fixture(scope="module")
def trials():
    """Four tasks; gaps, a failed seed, cells of unequal numbers of seeds, and six tune trials of each cell."""
    rng, rows = np.random.default_rng(0), []
    for task in ("cifar10-preact_resnet18-augmented", "t2", "t3", "t4"):
        for place, name in enumerate(CONTESTANTS):
            values = [*rng.normal(0.7 + place / 20, 0.03, 3 + place % 2).clip(0, 1)]
            values[0] = None if (task, name) == ("t2", "dropout") else values[0]
            tune = [row(task, name, "tune", validation=v, tune_index=i, hp={"lr": i + 1.0}, train_seconds=3.0)
                    for i, v in enumerate([0.95, *rng.uniform(0.5, 0.9, 5)])]  # fmt: skip
            rows += tune
            rows += confirmed(name, values, task, frozen_from=tune[0]["trial_id"], hp={"lr": 1.0})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def curves(trials):
    """Two points of each confirm trial."""
    ids = trials.loc[trials["role"] == "confirm", "trial_id"]
    point = {"split": "validation", "metric": "accuracy", "train_seconds": 1.0}
    points = [point | {"trial_id": each, "epoch": e, "value": 0.4 + 0.2 * e} for each in ids for e in (1, 2)]
    return pd.DataFrame(points)


def test_the_command_offers_every_statistic_and_refuses_others(tmp_path):
    assert statistics_in("") == list(STATISTICS)
    assert statistics_in("s") == ["strengths", "so-far", "score-cost"]
    with pytest.raises(BadInput, match="There is no statistic 'rank'; did you mean 'ranks'"):
        stats_command(folders=[str(tmp_path)], table="rank")


@pytest.mark.parametrize("columns", [80, 140])
def test_all_statistics_fit_a_window(trials, monkeypatch, capsys, columns):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    show_statistics(trials)
    text = re.sub(r"\x1b\[(1|0)m", "", capsys.readouterr().out)
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if cell_length(line) > columns] == []
    for name, statistic in STATISTICS.items():
        assert (f"{name}: {statistic.title}" in text) != (statistic.is_long or name == "interactions")
    assert "Agarwal et al. 2021" in text


@pytest.mark.parametrize("name", STATISTICS)
def test_programs_get_a_statistic_whole(trials, curves, capsys, name):
    show_statistics(trials, name, as_json=True, curves=curves)
    ((_, whole),) = statistics_of(trials, [name], curves)
    assert len(json.loads(capsys.readouterr().out)) == len(whole)


def test_the_command_reads_the_curves_for_the_table_that_needs_them(tmp_path, capsys):
    rows = write(tmp_path, confirmed("none", [0.5, 0.6], validation=0.5))
    point = {"epoch": 3, "split": "validation", "metric": "accuracy", "value": 0.5, "train_seconds": 6.0}
    ids = analysis.load_trials(rows)["trial_id"]
    (tmp_path / "curves").mkdir()
    table = pa.Table.from_pylist([point | {"trial_id": each} for each in ids], schema=CURVE_SCHEMA)
    pq.write_table(table, tmp_path / "curves" / "points.parquet")
    stats_command(folders=[str(rows)], table="time-to-target", as_json=True)
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["target"], found["epochs"], found["train_seconds"], found["num_reached"]) == (0.5, 3, 6.0, 2)


def test_one_document_is_one_table():
    with pytest.raises(BadInput, match="one table; say which: --table and one of ranks, strengths"):
        stats_command(folders=["nowhere"], as_csv=True)


def test_without_trials_that_can_be_ranked_the_statistics_say_so(capsys):
    show_statistics(pd.DataFrame([row(role="timing")]))
    text = capsys.readouterr().out
    assert text.count("No trial can be ranked yet.") == 1
    assert all(statistic.absent in text for statistic in STATISTICS.values() if not statistic.is_long)
    assert "bayes: No two contestants ran together" in text, "the reason names its table"


def test_people_see_each_pair_once_with_the_better_first(trials):
    seen = STATISTICS["pairs"].view(analysis.win_rates(trials))
    assert len(seen) == len(CONTESTANTS) * (len(CONTESTANTS) - 1) / 2
    assert len({frozenset(pair) for pair in seen[["regularizer", "rival"]].itertuples(index=False)}) == len(seen)
    assert (seen["win_rate"] >= 0.5).all()
    assert seen["win_rate"].is_monotonic_decreasing


def test_people_see_the_search_after_1_2_4_trials_and_after_the_last(trials):
    seen = STATISTICS["so-far"].view(analysis.best_so_far(trials))
    assert seen.groupby(["task", "regularizer"])["num_trials"].agg(list).map(tuple).unique().tolist() == [(1, 2, 4, 6)]


def test_a_cube_holds_every_loss_once_and_its_means(trials):
    (cube,) = cubes_of(scores_table(trials)).values()
    scores = trials[trials["role"] == "confirm"].assign(loss=-trials["test_value"].astype(float).fillna(0.0))
    assert np.sort(cube.losses[~np.isnan(cube.losses)]) == pytest.approx(np.sort(scores["loss"]))
    means = scores.pivot_table(index="task", columns="regularizer", values="loss")
    pd.testing.assert_frame_equal(pd.DataFrame(cube.means, cube.tasks, cube.names), means, check_names=False)


def test_a_sample_of_seeds_draws_each_of_a_cell_equally_often_and_none_of_another(trials):
    (cube,) = cubes_of(scores_table(trials)).values()
    rng, draws = np.random.default_rng(1), 3000
    drawn = np.stack([cube.with_resampled_seeds(rng).losses for _ in range(draws)])
    assert (np.isnan(drawn) == np.isnan(cube.losses)).all()
    for task, name in np.ndindex(cube.counts.shape):
        values = cube.losses[task, name, : cube.counts[task, name]]
        seen = np.array([(drawn[:, task, name] == value).sum() for value in values])
        assert stats.chisquare(seen).pvalue > 1e-4


def test_means_of_samples_over_tasks_scatter_as_the_bootstrap_should(trials):
    """Over T tasks of equal cells the variance of the mean is that of the tasks' values over T."""
    rows = [each for place in range(6) for each in confirmed("a", [place / 10] * 2, f"t{place}")]
    (cube,) = cubes_of(scores_table(pd.DataFrame(rows))).values()
    rng = np.random.default_rng(2)
    means = [cube.resampled(rng).means.mean() for _ in range(4000)]
    expected = np.var(np.arange(6) / 10) / 6
    assert np.var(means) == pytest.approx(expected, rel=0.1)  # its own relative error is sqrt(2 / 4000)


@pytest.mark.parametrize("num_runs", [1, 2, 3, 4, 5, 7, 9])
def test_the_interquartile_mean_agrees_with_that_of_scipy(num_runs):
    values = list(np.random.default_rng(num_runs).uniform(0.2, 0.8, num_runs))
    table = analysis.interquartile_means(
        pd.DataFrame([*confirmed("a", values), *confirmed("b", [0.0]), *confirmed("c", [1.0])]), num_draws=2
    )
    assert table.set_index("regularizer").loc["a", "iqm"] == pytest.approx(stats.trim_mean(values, 0.25))


def test_statistics_say_which_contestants_their_scores_leave_out():
    rows = [each for name in ("a", "b", "none") for each in confirmed(name, [0.5, 0.6], epochs_planned=3)]
    rows += confirmed("longer", [0.9, 0.9], epochs_planned=9)
    words = (
        "digits (smoke): unequal budgets, left out: longer (tuned, trials unknown, 9 epochs); "
        "the others have tuned, trials unknown, 3 epochs."
    )
    for name in ("ranks", "strengths", "pairs", "iqm", "profiles"):
        ((_, table),) = statistics_of(pd.DataFrame(rows), [name])
        assert analysis.notes_of(table)[0] == words, name


def test_contestants_without_a_common_task_have_a_reason_for_no_table(capsys):
    show_statistics(pd.DataFrame([*confirmed("a", [0.5, 0.6], "t1"), *confirmed("b", [0.5, 0.6], "t2")]))
    text = " ".join(capsys.readouterr().out.split())
    assert "ranks, iqm, profiles: No task is common to the contestants, or none can be ranked yet." in text
    assert "no task has a value of all contestants, and no contestant has one on all tasks" in text
