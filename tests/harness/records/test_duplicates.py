"""One rule for what stands twice, wherever results are read: the frames, a resumed run, compaction, merging, verify."""

import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_rows import row, timed, write

import analysis
from harness.records import CURVE_SCHEMA, schema_of
from harness.records.duplicates import ConflictingResultsError, unique_points, unique_trials
from harness.records.reading import Part, checked
from harness.results.merge import merge_folders
from harness.results.store import Store
from harness.results.verify import verify_folder


def part_of(path, *rows):
    table = pa.concat_tables([pa.Table.from_pylist([each], schema=schema_of(each)) for each in rows])
    return Part(path=path, table=checked(table, "trials"))


def points(path, *values, trial_id="t"):
    rows = [
        {"trial_id": trial_id, "epoch": epoch, "split": "test", "metric": "accuracy", "value": value}
        for epoch, value in enumerate(values)
    ]
    return Part(path=path, table=pa.Table.from_pylist(rows, schema=CURVE_SCHEMA))


def kept(*parts, **rule):
    return unique_trials(parts, **rule).table.to_pylist()


def test_rows_that_differ_in_times_machine_and_versions_alone_are_one_and_the_earliest_is_kept():
    first = row(
        test=0.5, minute=1, train_seconds=3.0, hardware_key="a", torch_version="2.6", campaign_id="x", suite="s"
    )
    again = row(test=0.5, minute=2, train_seconds=4.0, hardware_key="b", torch_version="2.7", campaign_id="y")
    for parts in itertools.permutations([part_of("a", first), part_of("b", again)]):
        (only,) = kept(*parts)
        assert only["train_seconds"] == 3.0


def test_what_is_not_a_number_equals_itself_and_a_column_of_a_later_version_may_be_unknown():
    one = row(test=float("nan"), validation_fraction=0.1, metrics={"loss": float("nan")})
    old = row(test=float("nan"), metrics={"loss": float("nan")}, minute=1)
    assert len(kept(part_of("a", one), part_of("b", old))) == 1


@pytest.mark.parametrize(
    "other",
    [
        row(test=0.6),
        row(test=0.5, validation=0.25),
        row(test=0.5, metrics={"loss": 1.0}),
        row(test=0.5, dataset_fingerprint="b"),
        row(status="diverged"),
        row(status="stopped_early", test=0.5),
        row(test=0.5 + 2**-53),
    ],
    ids=["test value", "validation value", "metric", "data", "divergence", "early stop", "one bit"],
)
def test_answers_with_other_values_contradict_each_other_whatever_their_order(other):
    parts = [
        part_of("A/a", row(test=0.5, dataset_fingerprint="a")),
        part_of("B/b", other),
    ]
    for order in (parts, parts[::-1]):
        with pytest.raises(ConflictingResultsError) as raised:
            unique_trials(order)
        assert all(word in str(raised.value) for word in (other["trial_id"], "A/a", "B/b", "--on"))


@pytest.mark.parametrize("failure", ["failed", "timeout", "out_of_memory", "crashed"])
def test_an_answer_goes_before_a_failure_and_of_failures_the_last_tells(failure):
    failed = row(status=failure, minute=9, error_message="last")
    earlier = row(status="crashed", minute=1, error_message="first")
    for parts in itertools.permutations([part_of("a", failed), part_of("b", row(test=0.5)), part_of("c", earlier)]):
        unique = unique_trials(parts)
        assert unique.table["status"].to_pylist() == ["completed"]
        assert unique.notes == ("2 row(s) left out: their trials ran again and gave a result.",)
    for parts in itertools.permutations([part_of("a", failed), part_of("c", earlier)]):
        assert [each["error_message"] for each in kept(*parts)] == ["last"]


def test_a_timing_trial_has_a_row_for_each_machine():
    here, there = timed("dropout", 1.1, "cpu-a"), timed("dropout", 1.7, "cpu-b")
    again = timed("dropout", 1.2, "cpu-a", minute=5)
    found = kept(part_of("a", here, there), part_of("b", again))
    ratios = {each["hardware_key"]: each["metric.step_ratio"] for each in found}
    assert (len(found), ratios) == (2, {"cpu-a": 1.1, "cpu-b": 1.7})


def test_a_rule_takes_the_row_of_the_first_or_last_folder_and_says_so():
    parts = [part_of("z", row(test=0.5)), part_of("a", row(test=0.6)), part_of("m", row(test=0.7))]
    for rule, value in (("first", 0.5), ("last", 0.7)):
        unique = unique_trials(parts, rule)
        assert unique.table["test_value"].to_pylist() == [value]
        assert unique.notes == (f"1 trial(s) have rows with different values; the {rule} row counts.",)
    with pytest.raises(ValueError, match="on_conflict must be one of raise, first, last, got 'newest'"):
        unique_trials(parts, "newest")


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["completed", "crashed"]), st.integers(0, 5)),
        min_size=1,
        max_size=8,
    ),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_the_order_of_files_and_rows_changes_nothing(rows, data):
    made = [
        row(seed=seed, status=status, test=seed / 8 if status == "completed" else None, minute=minute, suite=str(place))
        for place, (seed, status, minute) in enumerate(rows)
    ]
    cut = data.draw(st.integers(0, len(made)))
    shuffled = data.draw(st.permutations(made))
    one = kept(*[part_of("a", each) for each in made])
    other = kept(*[part_of(str(cut), *half) for half in (shuffled[:cut], shuffled[cut:]) if half])
    assert sorted(map(str, one)) == sorted(map(str, other))
    assert len(one) == len({seed for seed, _, _ in rows})


def test_points_of_a_curve_count_once_and_contradicting_curves_are_taken_as_a_whole():
    parts = [points("z", 0.1, 0.2, 0.3), points("a", 0.1, 0.25), points("m", 0.7, trial_id="other")]
    assert unique_points([parts[0], parts[0], parts[2]]).table.num_rows == 4
    with pytest.raises(ConflictingResultsError, match=r"t, epoch 1, test accuracy: value is 0\.2 in z; 0\.25 in a"):
        unique_points(parts)
    for rule, values in (("first", [0.1, 0.2, 0.3]), ("last", [0.1, 0.25])):
        table = unique_points(parts, rule).table
        assert table.filter(pa.compute.equal(table["trial_id"], "t"))["value"].to_pylist() == values
        assert table.num_rows == len(values) + 1


@pytest.fixture(scope="module")
def conflicting(tmp_path_factory):
    """Two folders with a trial that has another value, and another curve, in each."""
    folders = []
    for name, value in (("A", 0.9259), ("B", 0.9759)):
        folder = write(tmp_path_factory.mktemp("conflict") / name, [row(test=value), row(seed=1, test=0.5)])
        (folder / "curves").mkdir()
        trial_id = row(test=value)["trial_id"]
        pq.write_table(points("", value, trial_id=trial_id).table, folder / "curves" / "one.parquet")
        folders.append(str(folder))
    return folders


def listing(folder):
    return sorted(path.name for path in Path(folder).rglob("*"))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_every_reader_stops_at_a_conflict_and_takes_the_rule_that_it_is_given(conflicting, order, tmp_path):
    folders = [conflicting[place] for place in order]
    trial_id = row(test=0.5)["trial_id"]
    before = [listing(folder) for folder in folders]
    for read in (analysis.load_trials, analysis.load_curves):
        with pytest.raises(analysis.ConflictingResultsError, match=trial_id):
            read(folders)
    for rule, place in (("first", 0), ("last", 1)):
        expected = [0.9259, 0.9759][order[place]]
        trials = analysis.load_trials(folders, on_conflict=rule).set_index("trial_id")
        curves = analysis.load_curves(folders, on_conflict=rule).set_index("trial_id")
        assert trials.loc[trial_id, "test_value"] == curves.loc[trial_id, "value"] == expected
        assert f"the {rule} row counts" in analysis.notes_of(analysis.load_trials(folders, on_conflict=rule))[0]
    both = tmp_path / "both"
    both.mkdir()
    for kind in ("trials", "curves"):
        (both / kind).mkdir()
        for folder in folders:
            for path in Path(folder, kind).iterdir():
                (both / kind / f"{Path(folder).name}-{path.name}").write_bytes(path.read_bytes())
    stored = listing(both)
    for act in (lambda: Store(both).finished(), lambda: Store(both).compact(), lambda: Store(both).rows(["status"])):
        with pytest.raises(analysis.ConflictingResultsError, match=trial_id):
            act()
    assert any(trial_id in finding and "different values" in finding for finding in verify_folder(str(both)))
    assert listing(both) == stored
    assert [listing(folder) for folder in folders] == before


def test_folders_that_contradict_each_other_are_merged_only_by_a_rule(conflicting, tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "check", lambda store, path: None)  # these files carry no digest
    with pytest.raises(analysis.ConflictingResultsError, match="different values"):
        merge_folders(conflicting, str(tmp_path / "refused"))
    assert not (tmp_path / "refused").exists()
    for rule, expected in (("first", 0.9259), ("last", 0.9759)):
        target = str(tmp_path / rule)
        assert merge_folders(conflicting, target, rule).startswith("2 trials")
        trials, curves = analysis.load_trials(target), analysis.load_curves(target)
        assert set(trials["test_value"]) == {0.5, expected}
        assert curves["value"].tolist() == [expected]
