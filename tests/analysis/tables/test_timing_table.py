import pytest
from result_rows import confirmed, frame, row, timed

import analysis
from analysis.tables.timing import TIMING_COLUMNS


def test_the_ratio_is_the_median_over_trials_and_its_interval_their_range(tmp_path):
    rows = [timed("dropout", ratio, seed=seed, twin=0.02) for seed, ratio in enumerate([1.1, 1.6, 1.2])]
    (table,) = analysis.timing_table(frame(tmp_path, rows)).to_dict("records")
    assert table == {
        "scale": "smoke", "task": "digits", "regularizer": "dropout", "hardware_key": "cpu-a",
        "ratio": pytest.approx(1.2), "ratio_low": pytest.approx(1.1), "ratio_high": pytest.approx(1.6),
        "seconds_per_step": pytest.approx(0.024), "twin_seconds_per_step": pytest.approx(0.02),
        "minutes_per_100_epochs": pytest.approx(1.2), "n": 3,
    }  # fmt: skip


def test_a_single_trial_has_no_range(tmp_path):
    table = analysis.timing_table(frame(tmp_path, [timed("dropout", 1.1)]))
    assert table["ratio"].tolist() == pytest.approx([1.1])
    assert table[["ratio_low", "ratio_high"]].isna().all(axis=None)


def test_two_machines_never_share_a_row(tmp_path):
    rows = [timed("dropout", 1.0, "cpu-a"), timed("dropout", 3.0, "cpu-b", seed=1)]
    table = analysis.timing_table(frame(tmp_path, rows))
    assert dict(zip(table["hardware_key"], table["ratio"], strict=True)) == pytest.approx({"cpu-a": 1.0, "cpu-b": 3.0})


def test_trials_that_shared_the_device_are_left_out_with_a_note(tmp_path):
    rows = [
        timed("dropout", 1.0),
        timed("dropout", 9.0, seed=1, exclusive=False),
        timed("dropout", 9.0, seed=2, exclusive=None),
    ]
    table = analysis.timing_table(frame(tmp_path, rows))
    assert table[["ratio", "n"]].to_numpy().tolist() == [[1.0, 1]]
    assert analysis.notes_of(table) == ["2 timing trial(s) left out: they shared the device with something else."]


def test_failed_and_nameless_timing_trials_are_counted_in_notes(tmp_path):
    rows = [row(regularizer="a", role="timing", status="timeout"), timed("dropout", 1.0, hardware=None)]
    table = analysis.timing_table(frame(tmp_path, rows))
    assert len(table) == 0
    why = [note.split(": ")[1] for note in analysis.notes_of(table)]
    assert why == ["they failed.", "they name no hardware or no twin."]


def test_a_ratio_of_two_kinds_of_execution_is_refused(tmp_path):
    def compiled(name, graphs, layers, **more):
        counts = {"num_graphs": graphs, "layers_in_graphs": layers, "twin_num_graphs": 1, "twin_layers_in_graphs": 6}
        return timed(name, 1.5, **counts, **more)

    rows = [
        compiled("whole", 1, 6),
        compiled("in_parts", 4, 6),
        *(compiled("partly", 1, 3, seed=seed) for seed in range(2)),
        timed("plain", 1.5),
    ]
    table = analysis.timing_table(frame(tmp_path, rows))
    assert set(table["regularizer"]) == {"whole", "plain"}
    why = {note.split(" ")[0]: note.partition("cpu-a): ")[2] for note in analysis.notes_of(table)}
    of_twin = "and 1 with 6 of the twin."
    assert why == {
        "in_parts": f"1 timing trial(s) left out: torch.compile made 4 graph(s) with 6 layer(s), {of_twin}",
        "partly": f"2 timing trial(s) left out: torch.compile made 1 graph(s) with 3 layer(s), {of_twin}",
    }


def test_trials_that_differ_by_more_than_their_own_spread_are_drift_and_no_mean(tmp_path):
    rows = [
        *(timed("steady", ratio, seed=seed, spread=0.05) for seed, ratio in enumerate((1.2, 1.25))),
        *(timed("drifting", ratio, seed=seed, spread=0.05) for seed, ratio in enumerate((1.2, 1.2, 1.5))),
        *(timed("slower", 1.3, twin=twin, seed=seed, spread=0.05) for seed, twin in enumerate((0.01, 0.02))),
        *(timed("slower_too", 1.3, twin=twin, seed=seed, spread=0.05) for seed, twin in enumerate((0.01, 0.02))),
        *(timed("old", ratio, seed=seed) for seed, ratio in enumerate((1.0, 9.0))),  # says nothing of its spread
    ]
    table = analysis.timing_table(frame(tmp_path, rows))
    ratios = dict(zip(table["regularizer"], table["ratio"], strict=True))
    assert ratios == pytest.approx({"steady": 1.225, "slower": 1.3, "slower_too": 1.3, "old": 5.0})
    unknown = table.set_index("regularizer")[
        ["seconds_per_step", "twin_seconds_per_step", "minutes_per_100_epochs"]
    ].isna()
    assert (
        unknown.all(axis=1).to_dict()
        == unknown.any(axis=1).to_dict()
        == {"steady": False, "slower": True, "slower_too": True, "old": False}
    )
    drift = [note for note in analysis.notes_of(table) if "drift" in note]
    assert [note.split(":")[0] for note in drift] == [
        "drifting on digits (smoke, cpu-a)",
        "slower and slower_too on digits (smoke, cpu-a)",
    ]
    assert "the row is left out" in drift[0]
    assert "only the ratio is shown" in drift[1]


def test_a_missing_ratio_is_taken_from_the_two_medians(tmp_path):
    machine = {"hardware_key": "h", "exclusive": True}
    twin = {"twin_seconds_per_step": 0.02}
    one = row(regularizer="a", role="timing", test=0.5, seconds_per_step=0.03, metrics=twin, **machine)
    assert analysis.timing_table(frame(tmp_path, [one]))["ratio"].tolist() == pytest.approx([1.5])


def test_no_timing_trials_are_an_empty_frame_with_the_columns(tmp_path):
    table = analysis.timing_table(frame(tmp_path, confirmed("none", [0.5], seconds_per_step=0.1)))
    assert len(table) == 0
    assert tuple(table.columns) == TIMING_COLUMNS


def test_skipped_cells_are_no_failed_timing_trials(tmp_path):
    rows = [row(regularizer="a", role="timing", status="skipped", reason="no site"), timed("dropout", 1.0)]
    table = analysis.timing_table(frame(tmp_path, rows))
    assert table["regularizer"].tolist() == ["dropout"]
    assert analysis.notes_of(table) == []
