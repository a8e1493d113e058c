"""Runs on a server of MLflow, in a process of its own: written over HTTP, and read back by MLflow's client."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from exported_results import MARKUP, results, searched
from result_rows import START, write
from sockets import free_port

import analysis

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of MLflow and what it imports

SECONDS_TO_START = 180
WITHOUT_MORE_PROCESSES = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `mlflow server`, with a SQLite file and a folder of artifacts of its own."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    options = [
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'runs.db'}", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options],
            cwd=folder, env=os.environ | WITHOUT_MORE_PROCESSES, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while not answers(port):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its workers too
            process.wait(timeout=60)


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def client_of(server: str):
    from mlflow import MlflowClient

    return MlflowClient(server)


def ids_of(server: str, experiment: str) -> list[str]:
    return [client_of(server).get_experiment_by_name(experiment).experiment_id]


@pytest.fixture(scope="module")
def exported(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was exported to the server."""
    folder = results(tmp_path_factory.mktemp("results"))
    assert str(analysis.export(folder, "mlflow", server)) == f"13 runs written to {server}."
    return folder


def test_the_client_reads_hyperparameters_columns_values_and_times(server: str, exported: Path) -> None:
    client, ids = client_of(server), ids_of(server, "digits (smoke)")
    assert (
        len(client.search_runs(ids)) == 5 + 3 + 3 + 2
    )  # tune, two contestants confirmed, a timing trial on two machines
    (run,) = client.search_runs(ids, "params.drop_rate = '0.3'")
    assert run.data.params == {"drop_rate": "0.3", "where": "all"}
    expected = {"task": "digits", "regularizer": "dropout", "scale": "smoke", "role": "tune", "seed": "7"}
    assert expected.items() <= run.data.tags.items()
    assert run.data.metrics["validation_value"] == 0.8
    assert run.data.metrics["train_seconds"] == 1.5
    assert run.info.start_time == run.info.end_time == START.timestamp() * 1000
    assert len(client.search_runs(ids, "tags.role = 'confirm' and tags.regularizer = 'none'")) == 3
    assert len(client.search_runs(ids, f"tags.regularizer = '{MARKUP}'")) == 3


def test_curves_have_the_epoch_as_step(server: str, exported: Path) -> None:
    client = client_of(server)
    for run in client.search_runs(ids_of(server, "digits (smoke)")):
        for split in ("train", "validation"):
            history = client.get_metric_history(run.info.run_id, f"{split}/accuracy")
            assert sorted((point.step, round(point.value, 9)) for point in history) == [(0, 0.3), (1, 0.4), (2, 0.5)]


def test_the_status_says_how_a_trial_ended(server: str, exported: Path) -> None:
    found = client_of(server).search_runs(ids_of(server, "digits (smoke)"), "tags.role = 'tune'")
    ended = {run.data.params["drop_rate"]: (run.info.status, run.data.tags["status"]) for run in found}
    assert ended == {
        "0.0": ("FINISHED", "completed"), "0.1": ("KILLED", "pruned"), "0.2": ("FAILED", "diverged"),
        "0.3": ("FINISHED", "completed"), "0.4": ("FAILED", "failed"),
    }  # fmt: skip


def test_a_run_takes_artifacts_which_go_where_the_server_keeps_them(server: str, exported: Path) -> None:
    client = client_of(server)
    (run,) = client.search_runs(ids_of(server, "digits (smoke)"), "params.drop_rate = '0.3'")
    client.log_text(run.info.run_id, "seen in the plot", "remarks/first.txt")
    assert [each.path for each in client.list_artifacts(run.info.run_id, "remarks")] == ["remarks/first.txt"]
    assert Path(client.download_artifacts(run.info.run_id, "remarks/first.txt")).read_text() == "seen in the plot"
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")


def test_a_second_export_writes_nothing_and_a_later_one_what_has_changed(server: str, tmp_path: Path) -> None:
    rows = searched(task="mnist")
    folder = write(tmp_path / "results", rows)
    assert analysis.export(folder, "mlflow", server).num_written == 5
    client, ids = client_of(server), ids_of(server, "mnist (smoke)")
    before = {run.info.run_id for run in client.search_runs(ids)}
    again = analysis.export(folder, "mlflow", server)
    assert (again.num_written, again.num_kept) == (0, 5)
    assert {run.info.run_id for run in client.search_runs(ids)} == before
    rows[4] |= {"status": "completed", "validation_value": 0.9}
    write(folder, rows)
    changed = analysis.export(folder, "mlflow", server)
    assert (changed.num_written, changed.num_kept) == (1, 4)
    after = client.search_runs(ids)
    assert len(after) == 5
    assert len(before & {run.info.run_id for run in after}) == 4
    (run,) = client.search_runs(ids, "params.drop_rate = '0.4'")
    assert (run.info.status, run.data.metrics["validation_value"]) == ("FINISHED", 0.9)


ADVICE = "The results folders are as they were; --out takes another place."


def refusal(folder: Path, place: str) -> str:
    """What `regarena export` prints when it fails."""
    command = [sys.executable, "-m", "harness.cli", "export", str(folder), "--to", "mlflow", "--out", place]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    return ended.stderr


def test_an_address_without_a_server_is_named_in_one_sentence(tmp_path: Path) -> None:
    folder, place = write(tmp_path, searched()), f"http://127.0.0.1:{free_port()}"
    assert refusal(folder, place) == f"regarena: {place} cannot be written: no server answers there. {ADVICE}\n"


def test_a_server_of_something_else_is_named_in_one_sentence(tmp_path: Path) -> None:
    folder = write(tmp_path, searched())
    other = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # answers every request with code 501
    Thread(target=other.serve_forever, daemon=True).start()
    try:
        place = f"http://127.0.0.1:{other.server_port}"
        told = refusal(folder, place)
    finally:
        other.shutdown()
        other.server_close()
    assert told == f"regarena: {place} cannot be written: another kind of server answers there. {ADVICE}\n"
