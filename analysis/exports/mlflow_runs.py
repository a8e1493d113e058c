"""Trials as runs of MLflow: an experiment for each task and scale, a run for each trial."""

from __future__ import annotations

import logging
import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from analysis.exports.exported import Exported, ExportError, told_as_export_error
from analysis.exports.runs import Run, num_skipped, runs_of
from harness.records import SUCCESSES

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

DATABASES = (".db", ".sqlite", ".sqlite3")  # endings of the names of SQLite files
DATABASE_NAME = "mlflow.db"
DIGEST = "regarena.digest"  # the tag by which a later export sees whether a trial has changed

_UNSAFE = re.compile(r"[^\w./ :-]", re.ASCII)  # MLflow's rule for names of parameters and metrics
_MOST_CHARACTERS = {"name": 250, "param": 6000, "tag": 5000}  # limits of MLflow
_MOST_METRICS, _MOST_PARAMETERS = 1000, 100  # of one request
_PAGE = 1000  # runs of one answer
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines for each run otherwise
}

_Item = TypeVar("_Item")


def write_runs(trials: pd.DataFrame, place: str, curves: pd.DataFrame) -> Exported:
    """Write every trial that ran as a run; a run that is there already is kept, or replaced if its trial has changed.

    Args:
        trials: from `load_trials`.
        place: a tracking URI, or the path of a SQLite file or of a folder for it.
        curves: from `load_curves`.

    Raises:
        ExportError: if the server or database cannot be reached or refuses the runs.
    """
    with _quiet():
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        with told_as_export_error(place, MlflowException, SQLAlchemyError, OSError):
            uri, artifacts = _uri(place)
            experiments = _Experiments(MlflowClient(uri), artifacts)
            written = [experiments.put(run) for run in runs_of(trials, curves)]
    skipped = num_skipped(trials)
    notes = (f"{skipped:,} skipped cell(s) have no run.",) if skipped else ()
    return Exported(where=uri, what="runs", num_written=sum(written), num_kept=written.count(False), notes=notes)


class _Experiments:
    """The experiments of a tracking server, and the runs that they hold already."""

    def __init__(self, client: MlflowClient, artifacts: str | None) -> None:
        self._client, self._artifacts = client, artifacts
        self._ids: dict[str, str] = {}
        self._known: dict[str, dict[str, MlflowRun]] = {}  # name of the experiment -> key of the trial -> run

    def put(self, run: Run) -> bool:
        """Write a run unless the same is there already; returns whether it was written."""
        name = f"{run.labels['task']} ({run.labels['scale']})"
        if name not in self._ids:
            self._ids[name] = self._experiment(name)
            self._known[name] = dict(self._runs_in(self._ids[name]))
        earlier = self._known[name].get(run.key)
        if earlier is not None:
            if earlier.data.tags.get(DIGEST) == run.digest and earlier.info.status != "RUNNING":
                return False
            self._client.delete_run(earlier.info.run_id)  # its trial was run again, or its export was interrupted
        self._write(self._ids[name], run)
        return True

    def _experiment(self, name: str) -> str:
        """The id of the experiment, which is created if it does not exist.

        Raises:
            ExportError: if it was deleted.
        """
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return self._client.create_experiment(name, self._artifacts)
        if found.lifecycle_stage != "active":
            raise ExportError(f"The experiment {name!r} was deleted in MLflow; restore it there, or export elsewhere.")
        return str(found.experiment_id)

    def _runs_in(self, experiment: str) -> Iterator[tuple[str, MlflowRun]]:
        """(key of the trial, run) of every run that an export wrote into the experiment."""
        token = None
        while True:
            page = self._client.search_runs([experiment], max_results=_PAGE, page_token=token)
            for found in page:
                tags = found.data.tags
                if DIGEST in tags:
                    is_timing = tags.get("role") == "timing"
                    yield (
                        f"{tags['trial_id']} {tags.get('hardware_key', '')}" if is_timing else tags["trial_id"],
                        found,
                    )
            token = page.token
            if not token:
                return

    def _write(self, experiment: str, run: Run) -> None:
        from mlflow.entities import Metric, Param

        started, finished = _milliseconds(run.started or run.finished), _milliseconds(run.finished)
        tags = {name: _cut(value, "tag") for name, value in run.labels.items()}
        made = self._client.create_run(
            experiment, start_time=started, run_name=run.name, tags={**tags, DIGEST: run.digest}
        )
        run_id, moment = made.info.run_id, finished or 0
        params = [Param(_name(name), _cut(str(value), "param")) for name, value in run.hyperparameters.items()]
        last_epoch = int(run.numbers.get("epochs_run", 0))
        metrics = [Metric(_name(name), value, moment, last_epoch) for name, value in run.numbers.items()]
        metrics += [
            Metric(_name(f"{point.split}/{point.metric}"), point.value, moment, point.epoch) for point in run.curves
        ]
        for some in _chunks(params, _MOST_PARAMETERS):
            self._client.log_batch(run_id, params=some)
        for each in _chunks(metrics, _MOST_METRICS):
            self._client.log_batch(run_id, metrics=each)
        self._client.set_terminated(run_id, _status(run.labels["status"]), finished)


def _uri(place: str) -> tuple[str, str | None]:
    """The tracking URI, and where new experiments keep artifacts; None: where the server says."""
    if "://" in place or place == "databricks":
        return place, None
    path = Path(place).absolute()
    if path.suffix not in DATABASES and not path.is_file():
        path = path / DATABASE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without a place for artifacts, MLflow takes a folder `mlruns` in the current one.
    return f"sqlite:///{path}", (path.parent / "mlartifacts").as_uri()


def _status(status: str) -> str:
    """MLflow's word for a status."""
    if status == "pruned":
        return "KILLED"
    return "FINISHED" if status in SUCCESSES else "FAILED"


def _name(name: str) -> str:
    """The name in characters that MLflow takes, as a path without empty parts."""
    safe = posixpath.normpath(_UNSAFE.sub("_", name).strip("/. ") or "_")
    return safe[: _MOST_CHARACTERS["name"]]


def _cut(text: str, kind: str) -> str:
    return text[: _MOST_CHARACTERS[kind]]


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def _chunks(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


@contextmanager
def _quiet() -> Iterator[None]:
    """A context in which MLflow sends no telemetry, prints nothing, and soon gives up if a server does not answer.

    Environment variables that are set already are not changed.
    """
    added = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    levels: Mapping[Any, int] = {name: logging.getLogger(name).level for name in ("mlflow", "alembic")}
    os.environ.update(added)
    for name in levels:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        for name in added:
            os.environ.pop(name, None)
