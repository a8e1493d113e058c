"""Searches in Optuna's own storages: the trials, ranges, values and endings that the rows have, each once."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from wsgiref.simple_server import WSGIServer, make_server

import optuna
import pytest
from exported_results import results, searched
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from result_rows import START, confirmed, write

import analysis

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

NAME = "digits / dropout (smoke)"
RANGES = {"drop_rate": FloatDistribution(0.0, 0.9), "where": CategoricalDistribution(("all", "last"))}


def of_cell(task: str, regularizer: str, scale: str) -> dict[str, object]:
    assert (task, regularizer, scale) == ("digits", "dropout", "smoke")
    return dict(RANGES)


def of_journal(path: str) -> optuna.storages.BaseStorage:
    return JournalStorage(JournalFileBackend(path))


STORAGES: dict[str, tuple[str, Callable[[str], object]]] = {
    "some.db": ("sqlite:///{}", str),
    "some.log": ("{}", of_journal),
}


def loaded(path: Path) -> optuna.Study:
    return optuna.load_study(study_name=NAME, storage=of_journal(str(path)))


@pytest.mark.parametrize("file", STORAGES)
def test_a_study_has_the_trials_of_the_search(file: str, tmp_path: Path) -> None:
    form, opened = STORAGES[file]
    exported = analysis.export(results(tmp_path / "results"), "optuna", tmp_path / file, distributions=of_cell)
    assert (exported.num_written, exported.num_kept) == (5, 0)
    study = optuna.load_study(study_name=NAME, storage=opened(form.format(tmp_path / file)))
    trials = study.trials
    assert [trial.params["drop_rate"] for trial in trials] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert [trial.state for trial in trials] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.COMPLETE,
        TrialState.FAIL,
    ]
    assert [trial.values for trial in trials] == [[0.5], None, None, [0.8], None]
    assert study.best_trial.number == 3
    assert all(trial.distributions == RANGES for trial in trials)
    assert trials[0].intermediate_values == pytest.approx({0: 0.3, 1: 0.4, 2: 0.5})
    assert trials[4].user_attrs["error_type"] == "ValueError"
    assert {trial.user_attrs["seed"] for trial in trials} == {"7"}
    assert len({trial.user_attrs["trial_id"] for trial in trials}) == 5
    assert trials[0].datetime_start is not None
    assert trials[0].datetime_start.timestamp() == START.timestamp()


def test_a_second_export_adds_nothing_and_a_larger_search_its_new_trials(tmp_path: Path) -> None:
    rows = searched()
    folder = write(tmp_path / "results", rows[:3])
    out = tmp_path / "some.log"
    assert analysis.export(folder, "optuna", out).num_written == 3
    assert str(analysis.export(folder, "optuna", out)).endswith("3 were there already.")
    write(folder, rows)
    exported = analysis.export(folder, "optuna", out)
    assert (exported.num_written, exported.num_kept) == (2, 3)
    assert len(loaded(out).trials) == 5


def test_a_trial_that_was_run_again_replaces_the_old_one_and_leaves_other_trials_of_the_study(tmp_path: Path) -> None:
    out = tmp_path / "some.log"
    write(tmp_path / "other", searched(code="code2"))
    write(tmp_path / "results", searched())
    analysis.export(tmp_path / "other", "optuna", out)
    analysis.export(tmp_path / "results", "optuna", out)
    again = searched()
    again[4] |= {"status": "completed", "validation_value": 0.95, "metric": "accuracy", "higher_is_better": True}
    write(tmp_path / "results", again)
    exported = analysis.export(tmp_path / "results", "optuna", out)
    assert exported.num_written >= 1
    study = loaded(out)
    assert len(study.trials) == 10
    assert study.best_value == 0.95


def test_values_outside_of_the_ranges_have_ranges_of_the_values_tried(tmp_path: Path) -> None:
    out = tmp_path / "some.log"
    narrow = {"drop_rate": FloatDistribution(0.1, 0.2)}
    analysis.export(write(tmp_path / "results", searched()), "optuna", out, distributions=lambda *_: narrow)
    trial = loaded(out).trials[0]
    assert trial.distributions == {"drop_rate": FloatDistribution(0.0, 0.4)}
    assert trial.user_attrs["where"] == "all"  # the same in all trials: no range


def test_a_study_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    out = tmp_path / "some.log"
    theirs = optuna.create_study(storage=of_journal(str(out)), study_name=NAME, direction="maximize")
    theirs.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(analysis.ExportError, match="that is no export; choose another place"):
        analysis.export(write(tmp_path / "results", searched()), "optuna", out)
    assert len(loaded(out).trials) == 1


def test_results_without_a_search_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Nothing was tuned in these results"):
        analysis.export(write(tmp_path / "results", confirmed("none", [0.5])), "optuna")
    assert not (tmp_path / "results" / "export").exists()


def test_a_storage_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "results", searched())
    (tmp_path / "some.db").write_bytes(b"SQLite format 3\0" + b"x" * 200)
    for out in (tmp_path / "some.db", "nonsense://x", "/proc/none/some.db"):
        with pytest.raises(analysis.ExportError, match="cannot be written"):
            analysis.export(folder, "optuna", out)


@pytest.mark.slow
def test_the_dashboard_of_optuna_reads_the_studies(tmp_path: Path) -> None:
    import optuna_dashboard

    out = tmp_path / "some.db"
    analysis.export(results(tmp_path / "results"), "optuna", out, distributions=of_cell)
    app = optuna_dashboard.wsgi(optuna.storages.RDBStorage(f"sqlite:///{out}"))
    server: WSGIServer = make_server("127.0.0.1", 0, app)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/api/studies") as answer:
            (summary,) = json.load(answer)["study_summaries"]
        assert summary["study_name"] == NAME
        address = f"http://127.0.0.1:{server.server_port}/api/studies/{summary['study_id']}"
        with urllib.request.urlopen(address) as answer:
            told = json.load(answer)
    finally:
        server.shutdown()
        server.server_close()
    assert [trial["state"] for trial in told["trials"]] == ["Complete", "Pruned", "Fail", "Complete", "Fail"]
    assert {space["name"] for space in told["union_search_space"]} == {"drop_rate", "where"}
