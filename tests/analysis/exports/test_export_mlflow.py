"""Runs in MLflow: one for each trial, with what the row and the curves hold, each once."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from exported_results import MARKUP, results, searched
from result_rows import START, write

import analysis
from analysis.exports import mlflow_runs
from analysis.exports.mlflow_runs import _Experiments, _name
from analysis.exports.runs import runs_of

MOST = 1000


class Server:
    """An MLflow server in memory, with the calls that an export makes, and MLflow's limits."""

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, Any] = {}
        self.num_created = 0

    def get_experiment_by_name(self, name: str) -> Any:
        return (
            SimpleNamespace(experiment_id=name, lifecycle_stage=self.experiments[name])
            if name in self.experiments
            else None
        )

    def create_experiment(self, name: str, artifact_location: str | None) -> str:
        self.experiments[name] = "active"
        return name

    def search_runs(self, experiments: list[str], max_results: int, page_token: str | None) -> Any:
        found = [run for run in self.runs.values() if run.experiment in experiments]
        start = int(page_token or 0)

        class Page(list[Any]):
            token = str(start + 2) if start + 2 < len(found) else None

        return Page(found[start : start + 2])  # small pages, so that there are several

    def create_run(self, experiment: str, start_time: int | None, run_name: str, tags: dict[str, str]) -> Any:
        info = SimpleNamespace(run_id=str(self.num_created), status="RUNNING")
        self.num_created += 1
        data = SimpleNamespace(tags=tags, params={}, metrics=[])
        self.runs[info.run_id] = SimpleNamespace(info=info, data=data, experiment=experiment, name=run_name)
        return self.runs[info.run_id]

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        assert len(metrics) <= MOST
        assert len(params) <= 100
        self.runs[run_id].data.metrics += list(metrics)
        self.runs[run_id].data.params |= {param.key: param.value for param in params}

    def set_terminated(self, run_id: str, status: str, end_time: int | None) -> None:
        self.runs[run_id].info.status = status

    def delete_run(self, run_id: str) -> None:
        del self.runs[run_id]


def put_all(server: Server, folder: Path) -> list[bool]:
    experiments = _Experiments(server, None)
    return [experiments.put(run) for run in runs_of(analysis.load_trials(folder), analysis.load_curves(folder))]


@pytest.fixture
def entities(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's values without MLflow, whose import takes seconds."""
    import sys

    def item(key: str, value: object, timestamp: int = 0, step: int = 0) -> Any:
        return SimpleNamespace(key=key, value=value, timestamp=timestamp, step=step)

    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "mlflow.entities", SimpleNamespace(Metric=item, Param=item))


def test_each_trial_is_one_run_and_a_second_export_writes_none(entities: None, tmp_path: Path) -> None:
    server, folder = Server(), results(tmp_path)
    assert put_all(server, folder) == [True] * 13
    assert list(server.experiments) == ["digits (smoke)"]
    assert put_all(server, folder) == [False] * 13
    assert len(server.runs) == 13


def test_a_trial_that_was_run_again_or_half_exported_is_written_anew(entities: None, tmp_path: Path) -> None:
    server, rows = Server(), searched()
    write(tmp_path, rows)
    put_all(server, tmp_path)
    server.runs["0"].info.status = "RUNNING"  # as an export leaves it that is killed
    rows[4] |= {"status": "completed", "validation_value": 0.9}
    write(tmp_path, rows)
    assert put_all(server, tmp_path) == [True, False, False, False, True]
    assert len(server.runs) == 5
    assert {run.info.status for run in server.runs.values()} == {"FINISHED", "KILLED", "FAILED"}


def test_long_curves_are_sent_in_several_requests(
    entities: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_runs, "_MOST_METRICS", 4)
    server = Server()
    put_all(server, results(tmp_path))
    run = next(run for run in server.runs.values() if run.data.tags["role"] == "tune")
    curve = [metric.value for metric in run.data.metrics if metric.key == "validation/accuracy"]
    assert curve == pytest.approx([0.3, 0.4, 0.5])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("train/robust_error", "train/robust_error"), ("../x", "x"), ("a//b", "a/b"), ("é%", "__"), ("/", "_")],
)
def test_names_are_such_as_mlflow_takes(name: str, expected: str) -> None:
    assert _name(name) == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of MLflow and what it imports
def test_mlflow_itself_reads_the_runs_from_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = results(tmp_path / "results")
    environment = dict(os.environ)
    first = analysis.export(folder, "mlflow")
    second = analysis.export(folder, "mlflow")
    assert (first.num_written, second.num_written, second.num_kept) == (13, 0, 13)
    assert dict(os.environ) == environment
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results"]

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'export' / 'mlflow.db'}")
    (experiment,) = [each for each in client.search_experiments() if each.name != "Default"]
    assert experiment.name == "digits (smoke)"
    ids = [experiment.experiment_id]
    assert len(client.search_runs(ids)) == 13
    assert len(client.search_runs(ids, "tags.role = 'confirm' and tags.regularizer = 'none'")) == 3
    assert len(client.search_runs(ids, f"tags.regularizer = '{MARKUP}'")) == 3
    (run,) = client.search_runs(ids, "params.drop_rate = '0.3' and params.where = 'all'")
    assert run.info.status == "FINISHED"
    assert run.data.tags["seed"] == "7"
    assert run.data.metrics["validation_value"] == 0.8
    assert run.info.start_time == START.timestamp() * 1000
    history = client.get_metric_history(run.info.run_id, "validation/accuracy")
    assert sorted((point.step, round(point.value, 9)) for point in history) == [(0, 0.3), (1, 0.4), (2, 0.5)]
    assert len(client.search_runs(ids, "attributes.status = 'KILLED'")) == 1
