"""Event files as TensorBoard itself reads them: curves, hyperparameters, one folder for each trial."""

from __future__ import annotations

from pathlib import Path

import pytest
from exported_results import results
from result_rows import START, row, write

import analysis

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def accumulated(folder: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


def runs_below(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob("events.out.tfevents.*"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = results(tmp_path_factory.mktemp("results"))
    assert analysis.export(folder, "tensorboard").num_written == 13
    return folder / "export" / "tensorboard"


def test_every_trial_that_ran_has_a_folder(exported: Path) -> None:
    runs = runs_below(exported)
    assert len(runs) == 5 + 3 + 3 + 2  # tune, two contestants confirmed, a timing trial on two machines
    assert {len(path.relative_to(exported).parts) for path in runs} == {3}
    assert {path.relative_to(exported).parts[0] for path in runs} == {"digits-smoke"}


def test_curves_are_scalars_with_the_epoch_as_step(exported: Path) -> None:
    for folder in runs_below(exported):
        scalars = accumulated(folder).Scalars("validation/accuracy")
        assert [scalar.step for scalar in scalars] == [0, 1, 2]
        assert [scalar.value for scalar in scalars] == pytest.approx([0.3, 0.4, 0.5])


def test_numbers_of_the_row_are_scalars_at_the_last_epoch(exported: Path) -> None:
    (folder,) = [path for path in runs_below(exported) if "dropout" in path.parts[-2] and _value(path) == 0.5]
    read = accumulated(folder)
    (value,) = read.Scalars("row/train_seconds")
    assert (value.step, value.value) == (2, 1.5)
    assert read.FirstEventTimestamp() == START.timestamp()


def _value(folder: Path) -> float | None:
    read = accumulated(folder)
    return read.Scalars("row/validation_value")[0].value if "row/validation_value" in read.Tags()["scalars"] else None


def test_hyperparameters_are_those_of_the_row_as_the_plugin_reads_them(exported: Path) -> None:
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    found = []
    for folder in runs_below(exported):
        content = accumulated(folder).SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
        told = metadata.parse_session_start_info_plugin_data(content)
        assert isinstance(told, plugin_data_pb2.SessionStartInfo)
        found.append({name: value.WhichOneof("kind") for name, value in told.hparams.items()})
        if told.hparams["role"].string_value == "tune":
            assert told.hparams["where"].string_value == "all"
            assert told.hparams["drop_rate"].number_value in (0.0, 0.1, 0.2, 0.3, 0.4)
    kinds = {name: kind for each in found for name, kind in each.items()}
    assert kinds["drop_rate"] == kinds["lr"] == "number_value"
    assert {"task", "regularizer", "scale", "role", "seed", "status"} <= set(kinds)


def test_a_second_export_replaces_each_file_by_the_same(exported: Path) -> None:
    before = {path: path.read_bytes() for path in exported.rglob("*") if path.is_file()}
    analysis.export(exported.parents[1], "tensorboard")
    assert {path: path.read_bytes() for path in exported.rglob("*") if path.is_file()} == before


def test_results_that_conflict_are_refused_unless_a_rule_is_given(tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder, value in zip(folders, (0.5, 0.625), strict=True):
        write(folder, [row(validation=value)])
    with pytest.raises(analysis.ConflictingResultsError):
        analysis.export(folders, "tensorboard")
    assert not (tmp_path / "first" / "export").exists()
    analysis.export(folders, "tensorboard", tmp_path / "out", on_conflict="last")
    (run,) = runs_below(tmp_path / "out")
    assert _value(run) == 0.625
