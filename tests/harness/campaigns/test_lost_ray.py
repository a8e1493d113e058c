"""A Ray of our own whose server is killed: one sentence that says what is kept, and the same command resumes."""

import contextlib
import os
import signal
from pathlib import Path

import pytest
from arena import Arena, await_that, by_id, finish, processes_of

SLOW = ("run", "slow", "--tune-trials", "50", "--results", "slow")  # more than there is time for


def is_of(pid, server):
    try:
        return server in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("server", ["raylet/raylet", "gcs/gcs_server"])
def test_it_ends_in_one_sentence_and_what_is_finished_is_kept(tmp_path, server):
    arena = Arena(tmp_path)
    run = arena.start(*SLOW)
    await_that(lambda: list((tmp_path / "slow" / "trials").glob("[!.]*.parquet")), "a row is stored", run)
    (pid,) = [pid for pid in processes_of(arena) if is_of(pid, server)]
    os.kill(pid, signal.SIGKILL)
    ended = finish(run)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    (sentence,) = [line for line in ended.stderr.splitlines() if line.startswith("regarena: ")]
    assert "Ray" in sentence
    assert "What is finished is kept; the same command resumes." in sentence
    assert by_id(tmp_path / "slow")
    for left in processes_of(arena):  # Ray's agents outlive a killed server by a minute
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
