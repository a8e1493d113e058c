"""Campaigns on a Ray of their own: the same rows as without it, every fault, every interruption, loopback only."""

import contextlib
import os
import signal
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from arena import Arena, as_text, await_that, by_id, curve_points, finish, processes_of, rows, what_is_reproducible
from sockets import LOOPBACK, addresses_of

pytestmark = pytest.mark.slow

WELL = ("run", "well", "--results", "well")
FAULTS = ("run", "faults", "--results", "faults", "--trial-seconds", "20", "--trial-memory", "0.4")
SLOW = ("run", "slow", "--seeds", "5", "--results", "slow")
NUM_SLOW = 2 * (5 + 3 + 5)


def reproducible(results):
    return {trial_id: what_is_reproducible(row) for trial_id, row in by_id(results).items()}


PLANTED = ("harness", "tasks", "torch", "ray", "json", "numpy", "threading", "multiprocessing", "sitecustomize")


def plant_modules(folder):
    """Modules in the folder that the command is given in, as a results folder of somebody else may hold them."""
    for name in PLANTED:
        (folder / f"{name}.py").write_text(
            f"import pathlib\npathlib.Path({str(folder)!r}, 'planted code ran').touch()\n"
        )


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    arena = Arena(tmp_path_factory.mktemp("serial"))
    plant_modules(arena.folder)
    ended = arena.regarena(*WELL, "--serial")
    assert ended.returncode == 0, ended.stderr
    return arena


def environment_of(pid):
    """The variables of a process; none of one that has ended meanwhile, as those of trials do."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []


@pytest.fixture(scope="module")
def on_ray(tmp_path_factory):
    """The same campaign on Ray; meanwhile, on what its processes listen and which tokens they hold."""
    arena = Arena(tmp_path_factory.mktemp("ray"))
    plant_modules(arena.folder)
    arena.scratch = Path(tempfile.mkdtemp())
    run = arena.start(*WELL, RAY_AUTH_TOKEN="", TMPDIR=str(arena.scratch))
    await_that(lambda: len(arena.executions) >= 3, "trials run", run)
    pids = processes_of(arena)
    arena.addresses = addresses_of(pids)
    environments = [environment_of(pid) for pid in pids if pid != run.pid]
    arena.tokens = {each for environment in environments for each in environment if each.startswith(b"RAY_AUTH_TOKEN=")}
    arena.modes = {each for environment in environments for each in environment if each.startswith(b"RAY_AUTH_MODE=")}
    arena.ended = finish(run)
    return arena


def test_ray_and_serial_give_the_same_rows(serial, on_ray):
    assert on_ray.ended.returncode == 0, on_ray.ended.stderr
    assert reproducible(on_ray.folder / "well") == reproducible(serial.folder / "well")
    assert Counter(on_ray.executions) == Counter(serial.executions)


def test_ray_and_serial_give_the_same_curves(serial, on_ray):
    assert sorted(map(str, curve_points(on_ray.folder / "well"))) == sorted(
        map(str, curve_points(serial.folder / "well"))
    )


def test_a_local_ray_listens_on_loopback_only(on_ray):
    assert on_ray.addresses, "Ray's processes were found"
    assert on_ray.addresses <= LOOPBACK


def test_a_local_ray_has_a_token_of_its_own(on_ray):
    assert on_ray.modes == {b"RAY_AUTH_MODE=token"}
    (token,) = {each for each in on_ray.tokens if each != b"RAY_AUTH_TOKEN="}
    assert len(token) == len(b"RAY_AUTH_TOKEN=") + 64


def test_nothing_is_left_of_ray_when_a_campaign_has_ended(on_ray):
    await_that(lambda: not processes_of(on_ray), "every process ends")
    assert [path.name for path in on_ray.scratch.iterdir()] == []
    on_ray.scratch.rmdir()


def test_no_code_in_the_present_folder_runs(serial, on_ray):
    assert not [arena for arena in (serial, on_ray) if (arena.folder / "planted code ran").exists()]


def test_a_dashboard_or_a_pickle_leave_no_trace_in_the_results(on_ray):
    files = {path.suffix for path in (on_ray.folder / "well").rglob("*") if path.is_file()}
    assert files <= {".parquet", ".json", ".csv", ".png", ".html", ""}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """All faulty contestants at once."""
    arena = Arena(tmp_path_factory.mktemp("faulty"))
    arena.ended = arena.regarena(*FAULTS)
    return arena


def test_every_fault_becomes_a_row_and_stops_nobody_else(faulty):
    found = {row["regularizer"]: row for row in rows(faulty.folder / "faults")}
    outcomes = {name: (row["status"], row["attempts"]) for name, row in found.items()}
    assert outcomes == {
        "none": ("completed", 1),
        "raise_plainly": ("failed", 1),
        "raise_surrogates": ("failed", 1),
        "diverge": ("diverged", 1),
        "hang": ("timeout", 1),
        "end_process": ("crashed", 2),
        "kill_process": ("crashed", 2),
        "kill_worker_once": ("completed", 1),
        "kill_worker_always": ("crashed", 3),
        "hog": ("out_of_memory", 1),
    }
    assert found["raise_plainly"]["error_message"] == "this regularizer is at fault"
    assert found["hang"]["error_message"] == "The trial ran longer than its limit of 20 s and was ended."
    assert found["kill_worker_always"]["error_message"] == "The trial's worker was lost 3 times."


def test_faults_end_with_exit_code_1_and_are_counted(faulty):
    assert faulty.ended.returncode == 1
    assert "8 trial(s) ended without a result" in faulty.ended.stderr
    assert "Traceback" not in faulty.ended.stderr
    assert (faulty.folder / "faults" / "report.html").exists()


def test_a_lost_worker_costs_its_trial_a_repetition_and_nothing_else(faulty):
    counts = Counter(line.split()[4] for line in faulty.executions)
    assert counts["kill_worker_once"] == 2
    assert counts["kill_worker_always"] == 3
    assert counts["none"] == counts["raise_plainly"] == counts["hang"] == 1


def has_rows(results, number):
    return len(list((results / "trials").glob("[!.]*.parquet"))) >= number


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A campaign interrupted by SIGKILL, Ctrl-C and SIGTERM, each time resumed by the same command."""
    arena = Arena(tmp_path_factory.mktemp("interrupted"))
    arena.ends, arena.stored = {}, []
    results = arena.folder / "slow"
    for number, how in ((2, signal.SIGKILL), (5, signal.SIGINT), (8, signal.SIGTERM)):
        run = arena.start(*SLOW, TMPDIR=str(arena.folder))  # a path too long for Ray's sockets
        await_that(partial(has_rows, results, number), f"{number} rows are stored", run)
        if how is signal.SIGKILL:
            os.kill(run.pid, how)  # the driver alone: its workers go on for a while, beside those of the next run
            run.wait()
        else:
            os.killpg(run.pid, how)  # as a terminal does, and `timeout`, and whoever ends a whole job
            arena.ends[how] = finish(run)
        arena.stored.append(as_text(results))
    arena.ends["last"] = finish(arena.start(*SLOW))
    yield arena
    for pid in processes_of(arena):  # Ray's agents outlive a killed driver by a minute
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_an_interrupted_campaign_ends_complete(interrupted):
    assert interrupted.ends["last"].returncode == 0, interrupted.ends["last"].stderr
    found = by_id(interrupted.folder / "slow")
    assert len(found) == NUM_SLOW
    assert {row["status"] for row in found.values()} == {"completed"}


def test_what_was_stored_before_an_interruption_stays_as_it_was(interrupted):
    last = as_text(interrupted.folder / "slow")
    for stored in interrupted.stored:
        assert stored.items() <= last.items()


def test_no_finished_trial_is_trained_again(interrupted):
    counts = Counter(interrupted.executions)
    assert len(counts) == NUM_SLOW
    in_flight = 3 * (os.cpu_count() or 1)
    assert sum(counts.values()) <= NUM_SLOW + in_flight, "an interruption costs at most the trials at hand"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_a_signal_ends_a_run_with_130_and_the_way_to_resume(interrupted, how):
    ended = interrupted.ends[how]
    assert ended.returncode == 130, ended.stderr
    assert "What is finished is kept; the same command resumes." in ended.stderr
    assert "Traceback" not in ended.stderr


CONNECT_TWICE = """
import os
from harness.request import Cluster
from harness.tuner import cluster_resources

for _ in range(2):
    print(cluster_resources(Cluster())["CPU"] >= 1)
print([name for name in os.environ if name.startswith(("RAY_AUTH", "RAY_TMPDIR"))])
"""


def test_a_program_may_start_ray_twice_and_keeps_nothing_of_its_tokens(tmp_path):
    said = Arena(tmp_path).python(CONNECT_TWICE).splitlines()
    assert said == ["True", "True", "[]"]


def test_trials_that_no_node_can_hold_are_refused(tmp_path):
    ended = Arena(tmp_path).regarena(*WELL, "--cpus-per-trial", "4096")
    assert ended.returncode == 2, ended.stderr
    assert "No node has the 4096 CPUs" in ended.stderr
    assert "Traceback" not in ended.stderr
