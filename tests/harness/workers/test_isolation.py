"""Trials in child processes of a process of their own, which has the package of faulty contestants."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from arena import Arena, await_that, processes_of, what_is_reproducible
from faulty_contestants import FORTY_MEBIBYTES

pytestmark = pytest.mark.slow  # its trials hang, wait and start again: half a minute

LIMIT_SECONDS = 1.5
LIMIT_BYTES = 300 * 2**20

RUN = f"""
import json, sys, time
from harness.contestants import Contestant
from harness.execution import Execution
from harness.workers.isolation import run_isolated
from harness.records import TrialSpec
from tasks.experiments import TASKS

def spec(name, role="default"):
    values = Contestant(name).resolve(TASKS["tiny-mlp"], "smoke")
    return TrialSpec(
        task="tiny-mlp", regularizer=name, hyperparameters=values, seed=0, role=role, scale="smoke", code_hash=""
    )

for asked in sys.argv[1:]:
    name, _, role = asked.partition(":")
    seconds = {LIMIT_SECONDS} if name.startswith("hang") else 60.0  # else a loaded machine would run into the limit
    execution = Execution(trial_seconds=seconds, memory_bytes={LIMIT_BYTES}, preload=("tiny-mlp",))
    started = time.monotonic()
    record = run_isolated(spec(name, role or "default"), execution)
    curves = [[p.epoch, p.split, p.metric, p.value] for p in record.curves]
    row = {{k: v for k, v in record.row().items() if not k.endswith("_at")}}
    print(json.dumps({{"row": row, "curves": curves, "seconds": time.monotonic() - started}}), flush=True)
"""

ASKED = [
    "none",
    "none:tune",
    "take_time",
    "none",
    "raise_plainly",
    "raise_surrogates",
    "raise_unprintable",
    "diverge",
    "hang",
    "hang_holding_the_lock",
    "end_process",
    "exit_politely",
    "interrupt_itself",
    "end_by_its_own_kind",
    "talk_at_length",
    "hang_amid_its_answer",
    "kill_process",
    "leave_a_child",
    "hog",
    "hog_shared",
    "crash_once",
    "ask_for_memory_again",
    "leave_a_file",
    "idle",
]


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(tmp_path_factory.mktemp("isolation"))


@pytest.fixture(scope="module")
def records(arena):
    arena.temporary = Path(tempfile.mkdtemp(dir="/tmp"))  # short enough for the paths of sockets
    answers = list(map(json.loads, arena.python(RUN, *ASKED, TMPDIR=str(arena.temporary)).splitlines()))
    assert len(answers) == len(ASKED), "each trial has its record, whatever the ones before it did"
    return list(zip(ASKED, answers, strict=True))


@pytest.fixture(scope="module")
def row_of(records):
    return lambda asked: next(answer["row"] for name, answer in records if name == asked)


@pytest.mark.parametrize("asked", ["none", "take_time", "idle"])
def test_a_trial_that_goes_well_is_completed_at_the_first_attempt(row_of, asked):
    row = row_of(asked)
    assert (row["status"], row["attempts"], row["error_type"], row["error_message"]) == ("completed", 1, None, None)
    assert row["epochs_run"] == row["epochs_planned"] == 2
    assert all(0 <= row[name] <= 1 for name in ("validation_value", "test_value", "train_value"))


def test_the_same_trial_twice_has_the_same_values_to_the_bit(records):
    first, second = [answer for name, answer in records if name == "none"]
    assert first["curves"] == second["curves"]
    assert what_is_reproducible(first["row"]) == what_is_reproducible(second["row"])


def test_a_tune_trial_sees_no_test_split(records):
    answer = dict(records)["none:tune"]
    assert answer["row"]["test_value"] is None
    assert answer["row"]["test_value_at_best_validation"] is None
    assert {split for _, split, _, _ in answer["curves"]} == {"train", "validation"}


def test_an_exception_becomes_a_row_with_its_type_its_message_and_its_place(row_of):
    row = row_of("raise_plainly")
    assert (row["status"], row["error_type"]) == ("failed", "ValueError")
    assert row["error_message"] == "this regularizer is at fault"
    assert row["reason"].startswith("in faulty_contestants.raise_plainly, line ")
    assert row["attempts"] == 1, "what fails by itself would fail again"


def test_a_message_that_cannot_be_stored_is_stored_escaped_and_without_the_home_folder(row_of):
    row = row_of("raise_surrogates")
    assert (row["status"], row["error_type"]) == ("failed", "ValueError")
    assert row["error_message"] == r"half a character: \udcff, and the folder ~/secret"


def test_an_exception_that_has_no_text_is_still_a_failure(row_of):
    row = row_of("raise_unprintable")
    assert (row["status"], row["error_type"]) == ("failed", "_Unprintable")
    assert "RuntimeError" in row["error_message"]


def test_weights_that_are_no_numbers_are_a_divergence(row_of):
    row = row_of("diverge")
    assert (row["status"], row["error_type"]) == ("diverged", "Diverged")
    assert row["validation_value"] is None


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ("exit_politely", "SystemExit", "3"),
        ("interrupt_itself", "KeyboardInterrupt", "nobody pressed a key"),
        ("end_by_its_own_kind", "_Unstoppable", "no Exception"),
    ],
)
def test_what_is_no_exception_is_named_in_the_row_as_well(row_of, asked, kind, message):
    row = row_of(asked)
    assert (row["status"], row["attempts"]) == ("failed", 1)
    assert (row["error_type"], row["error_message"]) == (kind, message)


def test_a_long_message_is_cut_and_says_by_how_much(row_of):
    message = row_of("talk_at_length")["error_message"]
    assert message == "x" * 2000 + "... (19,998,000 more characters were cut)"


@pytest.mark.parametrize("asked", ["hang", "hang_holding_the_lock", "hang_amid_its_answer"])
def test_a_trial_that_never_returns_is_ended_at_its_limit(row_of, asked):
    row = row_of(asked)
    assert (row["status"], row["attempts"]) == ("timeout", 1)
    assert row["error_message"] == "The trial ran longer than its limit of 1.5 s and was ended."


@pytest.mark.parametrize(
    ("asked", "how"),
    [
        ("end_process", "exit code 7"),
        ("kill_process", "killed by SIGKILL"),
        ("leave_a_child", "exit code 5"),
    ],
)
def test_a_process_that_ends_without_a_result_crashed_after_two_attempts(row_of, asked, how):
    row = row_of(asked)
    assert (row["status"], row["attempts"]) == ("crashed", 2)
    assert row["error_message"] == f"The trial's process ended without a result ({how})."


def test_an_accident_is_made_good_by_the_second_attempt(row_of):
    row = row_of("crash_once")
    assert (row["status"], row["attempts"]) == ("completed", 2)
    assert row["test_value"] == row_of("none")["test_value"]


def test_a_fork_server_that_is_killed_is_started_again(arena, row_of):
    answers = map(json.loads, arena.python(RUN, "kill_fork_server_once", "none").splitlines())
    killed, after = (answer["row"] for answer in answers)
    assert (killed["status"], killed["attempts"]) == ("completed", 2)
    assert (after["status"], after["attempts"]) == ("completed", 1)
    assert killed["test_value"] == after["test_value"] == row_of("none")["test_value"]


@pytest.mark.parametrize("asked", ["hog", "hog_shared"])
def test_a_trial_beyond_its_memory_is_out_of_memory(row_of, asked):
    row = row_of(asked)
    assert (row["status"], row["attempts"]) == ("out_of_memory", 1)


def test_memory_that_a_trial_frees_is_there_when_it_asks_again(arena, records):
    pages = [int(line.split()[-1]) for line in arena.executions if line.startswith("pages")]
    assert pages
    assert max(pages) < 0.1 * FORTY_MEBIBYTES / os.sysconf("SC_PAGE_SIZE"), "of five blocks of that size"


def test_a_row_of_a_trial_that_never_answered_still_says_what_it_was(row_of):
    answered, ended = row_of("none"), row_of("hang")
    for name in ("dataset", "architecture", "metric", "higher_is_better", "epochs_planned", "hardware_key", "device"):
        assert ended[name] == answered[name]
        assert ended[name] is not None


def test_nothing_outlives_the_process_that_asked_but_what_a_trial_left_on_purpose(arena, records):
    left = {int(line.split()[-1]) for line in arena.executions if line.startswith("left behind")}
    assert len(left) == 2
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    await_that(lambda: not processes_of(arena), "fork servers and trials end with their parent")


def test_a_trial_dies_with_the_process_that_asked_for_it_even_by_sigkill(tmp_path):
    arena = Arena(tmp_path)
    asking = subprocess.Popen(
        [
            sys.executable,
            "-c",
            RUN.replace("trial_seconds=seconds", "trial_seconds=None"),
            "hang_holding_the_lock",
        ],
        env=arena.environment,
        stdout=subprocess.DEVNULL,
    )
    await_that(lambda: arena.executions, "the trial trains")
    assert len(processes_of(arena)) >= 3, "who asks, the fork server, the trial"
    asking.kill()
    asking.wait()
    await_that(lambda: not processes_of(arena), "no orphan is left")


def test_a_long_path_of_the_temporary_folder_is_no_obstacle(arena, records):
    """As under batch systems; a socket's path has 107 characters at most."""
    long = arena.folder / ("x" * 110)
    long.mkdir()
    (answer,) = map(json.loads, arena.python(RUN, "idle", TMPDIR=str(long)).splitlines())
    assert answer["row"]["status"] == "completed"
    assert not list(long.iterdir())


def test_trials_leave_nothing_in_the_temporary_folder(arena, records):
    """Not the sockets of the fork server, and not what a trial itself left there."""
    assert dict(records)["leave_a_file"]["row"]["status"] == "completed"
    await_that(lambda: not list(arena.temporary.iterdir()), "the last process removes its folder")
    arena.temporary.rmdir()
