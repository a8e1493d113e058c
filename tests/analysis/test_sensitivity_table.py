import pytest
from result_rows import frame, row

import analysis


def sweep(task="digits", regularizer="localdrop"):
    return [
        row(task, regularizer, "default", seed, 0.5, validation=0.1 * h + m + 0.01 * seed, hp={"h": h, "m": m})
        for h in (1, 2) for m in (10, 20) for seed in (0, 2)
    ]  # fmt: skip


def test_two_hyperparameters_make_a_table_of_means(tmp_path):
    table = analysis.sensitivity_table(frame(tmp_path, sweep()), rows="hp.h", columns="hp.m")
    assert table.index.tolist() == [1, 2]
    assert table.columns.tolist() == [10, 20]
    assert table.to_numpy().tolist() == [pytest.approx([10.11, 20.11]), pytest.approx([10.21, 20.21])]


def test_one_hyperparameter_makes_means_with_their_spread_and_count(tmp_path):
    table = analysis.sensitivity_table(frame(tmp_path, sweep()), rows="hp.m")
    assert table["mean"].tolist() == pytest.approx([10.16, 20.16])
    assert table["num_trials"].tolist() == [4, 4]


def test_failed_and_timing_trials_do_not_count(tmp_path):
    rows = [*sweep(), row(regularizer="localdrop", role="default", seed=9, status="failed", hp={"h": 1, "m": 10})]
    rows.append(row(regularizer="localdrop", role="timing", validation=99.0, test=0.5, hp={"h": 1, "m": 10}))
    assert analysis.sensitivity_table(frame(tmp_path, rows), rows="hp.h")["num_trials"].tolist() == [4, 4]


def test_two_cells_in_one_place_are_refused_and_can_be_told_apart(tmp_path):
    trials = frame(tmp_path, sweep() + sweep("mlp"))
    with pytest.raises(ValueError, match="task: digits, mlp"):
        analysis.sensitivity_table(trials, rows="hp.h")
    assert len(analysis.sensitivity_table(trials, rows="hp.h", task="mlp")) == 2
    assert analysis.sensitivity_table(trials, rows="hp.h", columns="task").columns.tolist() == ["digits", "mlp"]


def test_an_unknown_column_is_named_with_those_there_are(tmp_path):
    with pytest.raises(ValueError, match=r"no column 'hp.k'.*hp.h, hp.m"):
        analysis.sensitivity_table(frame(tmp_path, sweep()), rows="hp.k")


@pytest.mark.parametrize("columns", [None, "hp.m"], ids=["one hyperparameter", "two"])
def test_the_picture_names_its_axes(tmp_path, columns):
    figure = analysis.plot_sensitivity(frame(tmp_path, sweep()), "hp.h", columns)
    assert figure.axes[0].get_xlabel() in ("h", "hp.m")
