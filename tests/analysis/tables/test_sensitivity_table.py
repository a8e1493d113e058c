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
    assert table["mean"].tolist() == pytest.approx([10.11, 20.11])
    assert table["num_trials"].tolist() == [2, 2]


def test_failed_and_timing_trials_do_not_count(tmp_path):
    rows = [*sweep(), row(regularizer="localdrop", role="default", seed=9, status="failed", hp={"h": 1, "m": 10})]
    rows.append(row(regularizer="localdrop", role="timing", validation=99.0, test=0.5, hp={"h": 1, "m": 10}))
    assert analysis.sensitivity_table(frame(tmp_path, rows), rows="hp.h")["num_trials"].tolist() == [2, 2]


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


def test_the_papers_short_names_mean_what_was_varied(tmp_path):
    rows = [
        row(regularizer="localdrop", role="default", seed=seed, test=0.5 + lam, validation=0.1,
            hp={"lam": lam, "h_dense_fraction": h, "h_conv": 2, "block_size": 7, "m": 10})
        for lam in (0.1, 0.3) for h in (0.5, 1.0) for seed in (0, 1)
    ]  # fmt: skip
    trials = frame(tmp_path, rows)
    table = analysis.sensitivity_table(trials, rows="hp.h", columns="hp.lambda", value="test_value")
    assert (table.index.name, table.columns.name) == ("hp.h", "hp.lam")
    assert table.index.tolist() == [1024, 2048]  # as the paper prints them
    ours = analysis.sensitivity_table(trials, rows="hp.h_dense_fraction", value="test_value")
    assert ours.index.tolist() == [0.5, 1.0]
    at_half = analysis.sensitivity_table(trials, rows="hp.lambda", value="test_value", where={"hp.h": 1024})
    assert at_half["num_trials"].tolist() == [2, 2]
    assert table.to_numpy().tolist() == [pytest.approx([0.6, 0.8])] * 2
    kernels = [{**each, "hp.h_conv": place % 3, "hp.h_dense_fraction": 1.0} for place, each in enumerate(rows)]
    of_kernels = frame(tmp_path / "kernels", kernels)
    assert analysis.sensitivity_table(of_kernels, rows="hp.h").index.name == "hp.h_conv"
    figure = analysis.plot_sensitivity(of_kernels, rows="hp.h", value="test_value")
    assert figure.axes[0].get_xlabel() == "h_conv"


def test_lines_that_cross_in_a_base_are_told_apart(tmp_path):
    """m along h = 3, and h along m = 10, which is what the paper's sweeps look like."""
    settings = [(3, m) for m in (1, 10, 20)] + [(h, 10) for h in (1, 2, 4)]
    trials = frame(tmp_path, [row(role="default", seed=seed, test=0.5, validation=h + 100 * m, hp={"h": h, "m": m})
                              for h, m in settings for seed in (0, 1)])  # fmt: skip
    along_h = analysis.sensitivity_table(trials, rows="hp.h")
    assert along_h["mean"].to_dict() == {1: 1001, 2: 1002, 3: 1003, 4: 1004}
    assert analysis.notes_of(along_h) == ["Held at the commonest value: hp.m = 10; where={...} selects others."]
    along_m = analysis.sensitivity_table(trials, rows="hp.m")
    assert along_m["mean"].to_dict() == {1: 103, 10: 1003, 20: 2003}
    assert analysis.sensitivity_table(trials, rows="hp.h", where={"hp.m": 20})["mean"].to_dict() == {3: 2003}
    with pytest.raises(ValueError, match="No trial that succeeded"):
        analysis.sensitivity_table(trials, rows="hp.h", where={"hp.m": 21})


def test_what_else_varies_within_a_place_of_a_searchs_table_is_noted(tmp_path):
    trials = frame(tmp_path, [{**each, "role": "tune"} for each in sweep()])
    table = analysis.sensitivity_table(trials, rows="hp.h")
    assert analysis.notes_of(table) == ["Each mean runs over several values of hp.m."]
    assert table["num_trials"].tolist() == [4, 4]
    assert analysis.notes_of(analysis.sensitivity_table(trials, rows="hp.h", columns="hp.m")) == []


def test_two_cells_that_share_no_place_are_refused_too(tmp_path):
    rows = [
        row(task, "dropout", "tune", validation=0.5, tune_index=index, hp={"p": p})
        for task, values in (("digits", (0.1, 0.3)), ("cifar", (0.2, 0.4)))
        for index, p in enumerate(values)
    ]
    trials = frame(tmp_path, rows)
    with pytest.raises(ValueError, match="task: cifar, digits"):
        analysis.sensitivity_table(trials, rows="hp.p")
    assert analysis.sensitivity_table(trials, rows="hp.p", task="digits").index.tolist() == [0.1, 0.3]
