"""The real command in processes of its own, with a package of tiny tasks and faulty contestants installed beside it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faulty_contestants
import pyarrow.parquet as pq

COMMAND = Path(sys.executable).with_name("regarena")
PATIENCE_SECONDS = 600  # before a test gives up; no test waits this long if all is well


def install_plugin(folder: Path) -> Path:
    """Lay out the package of faulty contestants in `folder` as an installed distribution."""
    information = folder / "faulty_contestants-1.0.dist-info"
    information.mkdir(parents=True)
    shutil.copy(faulty_contestants.__file__, folder)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-contestants\nVersion: 1.0\n")
    sections = [
        f"[regarena.{group}]\n" + "".join(f"{name} = faulty_contestants:{target}\n" for name, target in names.items())
        for group, names in faulty_contestants.ENTRY_POINTS.items()
    ]
    (information / "entry_points.txt").write_text("\n".join(sections))
    return folder


class Arena:
    """A folder to work in, with the package of faulty contestants, and what a fixture noted of the runs in it."""

    ended: subprocess.CompletedProcess[str]
    resumed: subprocess.CompletedProcess[str]
    second: subprocess.CompletedProcess[str]
    extended: subprocess.CompletedProcess[str]
    again: subprocess.CompletedProcess[str]
    whole: subprocess.CompletedProcess[str]
    num_halved: int  # trainings, as is the following
    num_again: int
    ends: dict[object, subprocess.CompletedProcess[str]]  # by what ended them
    kept: dict[str, str]  # rows as text, as are the following
    stored: list[dict[str, str]]
    first: dict[str, dict[str, object]]
    before: Counter[str]
    scratch: Path
    temporary: Path
    addresses: set[str]
    tokens: set[bytes]
    modes: set[bytes]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugin = install_plugin(folder / "plugin")
        self.environment = {
            **os.environ,
            # Behind the plugin what the tests themselves run on: a checkout beside the installed one is tested whole.
            "PYTHONPATH": os.pathsep.join(filter(None, [str(self.plugin), os.environ.get("PYTHONPATH")])),
            faulty_contestants.FOLDER_VARIABLE: str(folder),
            "COLUMNS": "160",
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start `regarena ARGUMENTS` in a process group of its own, as a shell does."""
        return subprocess.Popen(
            [str(COMMAND), *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def regarena(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `regarena ARGUMENTS` to its end."""
        return finish(self.start(*arguments, **environment))

    def python(self, code: str, *arguments: str, **environment: str) -> str:
        """What a Python program prints: into files, since a pipe ends only when all that it left behind end, too."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
            ended = subprocess.run(
                [sys.executable, "-c", code, *arguments],
                cwd=self.folder,
                env=self.environment | environment,
                stdout=out,
                stderr=error,
                timeout=PATIENCE_SECONDS,
            )
            out.seek(0), error.seek(0)
            assert ended.returncode == 0, error.read()
            return out.read()

    @property
    def executions(self) -> list[str]:
        """One line for each training that began, as the tiny tasks noted them."""
        log = self.folder / "executions.log"
        return log.read_text().splitlines() if log.exists() else []


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a command."""
    try:
        out, error = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def rows(results: Path) -> list[dict[str, Any]]:
    """All trial rows of a local results folder, read file by file with plain pyarrow."""
    paths = sorted((results / "trials").glob("[!.]*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def as_text(results: Path) -> dict[str, str]:
    """Each row as text, without nulls: files that are compacted gain columns of other rows."""
    return {
        trial_id: str({name: value for name, value in row.items() if value is not None})
        for trial_id, row in by_id(results).items()
    }


def curve_points(results: Path) -> list[dict[str, Any]]:
    """All points of all curves, without the training times, which differ from run to run."""
    paths = sorted((results / "curves").glob("[!.]*.parquet"))
    return [point for path in paths for point in pq.read_table(path).drop_columns("train_seconds").to_pylist()]


def by_id(results: Path) -> dict[str, dict[str, Any]]:
    """Rows by trial_id; none stands there twice."""
    found = rows(results)
    ids = [row["trial_id"] for row in found]
    assert len(ids) == len(set(ids)), "a trial is stored twice"
    return dict(zip(ids, found, strict=True))


MEASURED = (  # what depends on the clock, the machine's load or the run, not on the trial
    "campaign_id", "train_seconds", "evaluation_seconds", "setup_seconds", "seconds_per_step", "samples_per_second",
    "peak_memory_bytes", "git_commit", "git_dirty", "started_at", "finished_at", "metric.twin_seconds_per_step",
    "metric.step_ratio", "metric.minutes_per_100_epochs",
    "metric.step_ratio_low", "metric.step_ratio_high", "metric.twin_seconds_low", "metric.twin_seconds_high",
)  # fmt: skip


def what_is_reproducible(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what is measured with a clock; hyperparameters that are null are left out."""
    return {name: value for name, value in row.items() if name not in MEASURED and value is not None}


def await_that(condition: Callable[[], object], what: str, run: subprocess.Popen[str] | None = None) -> None:
    """Wait until something has happened, as long as the command that is to bring it about lives."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert run is None or run.poll() is None, f"{what}: the command ended before. {run.communicate()[1]}"
        assert time.monotonic() < deadline, f"it did not happen: {what}"
        time.sleep(0.02)


def processes() -> Iterator[tuple[int, int, str]]:
    """(pid, parent, environment) of every process that this user may look into."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            if status[0] != "Z":
                yield int(folder.name), int(status[1]), (folder / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue


def processes_of(arena: Arena) -> set[int]:
    """Every living process that was started in this arena, whoever its parent is now."""
    mark = f"{faulty_contestants.FOLDER_VARIABLE}={arena.folder}\0"
    return {pid for pid, _, environment in processes() if mark in environment}
