"""The same campaign leaves the same rows: serially, on few slots and many, on two nodes, however often it is killed."""

import contextlib
import json
import os
import secrets
import signal
from functools import partial

import pytest
from arena import Arena, await_that, by_id, finish, processes_of, what_is_reproducible
from clusters import two_nodes

pytestmark = [pytest.mark.slow, pytest.mark.long]

CAMPAIGN = ("run", "well", "--only", "long-mlp,none,dropout", "--tune-trials", "18", "--seeds", "1")
SEARCHES = {
    "width 1": ("--tune-width", "1"),
    "width 4": ("--tune-width", "4"),
    "width 16": ("--tune-width", "16"),
    "halving": ("--tune-width", "9", "--halving"),
}
SIXTEEN_SLOTS = ("--cpus-per-trial", "0.1", "--workers", "16")
NUM_KILLS = 5


def reproducible(results):
    return {trial_id: what_is_reproducible(row) for trial_id, row in by_id(results).items()}


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(tmp_path_factory.mktemp("same"))


@pytest.fixture(scope="module")
def serial(arena):
    """The rows of a search without Ray, from a function of its name; each runs once."""
    known = {}

    def rows(search):
        if search not in known:
            ended = arena.regarena(*CAMPAIGN, *SEARCHES[search], "--serial", "--results", f"serial {search}")
            assert ended.returncode == 0, ended.stderr
            known[search] = reproducible(arena.folder / f"serial {search}")
        return known[search]

    return rows


@pytest.mark.parametrize(
    ("search", "slots"),
    [*((search, ("--workers", "2")) for search in SEARCHES), ("width 16", SIXTEEN_SLOTS), ("halving", SIXTEEN_SLOTS)],
    ids=lambda value: value if isinstance(value, str) else value[-1] + " slots",
)
def test_on_a_ray_of_its_own(arena, serial, search, slots):
    results = f"{search} on {slots[-1]}"
    ended = arena.regarena(*CAMPAIGN, *SEARCHES[search], *slots, "--results", results)
    assert ended.returncode == 0, ended.stderr
    account = json.loads((arena.folder / results / "control" / "run.json").read_text())
    assert account["num_workers"] == min(int(slots[-1]), 10 * (os.cpu_count() or 1))
    assert reproducible(arena.folder / results) == serial(search)


@pytest.fixture(scope="module")
def joined(arena):
    """What a run needs to join a cluster of two nodes: arguments, and variables."""
    token = secrets.token_hex(32)
    with two_nodes(arena, token) as address:
        yield ("--address", address), {"RAY_AUTH_TOKEN": token, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@pytest.mark.parametrize("search", SEARCHES)
def test_on_two_nodes(arena, serial, joined, search):
    arguments, variables = joined
    ended = arena.regarena(*CAMPAIGN, *SEARCHES[search], *arguments, "--results", f"{search} on nodes", **variables)
    assert ended.returncode == 0, ended.stderr
    assert reproducible(arena.folder / f"{search} on nodes") == serial(search)


def num_rows(results):
    return len(list((results / "trials").glob("[!.]*.parquet")))


@pytest.mark.parametrize("search", ["width 4", "halving"])
def test_killed_and_resumed_five_times(arena, serial, search):
    command = (*CAMPAIGN, *SEARCHES[search], "--workers", "2", "--results", f"{search} killed")
    results = arena.folder / f"{search} killed"
    for number in range(NUM_KILLS):
        run = arena.start(*command)
        await_that(partial(lambda least: num_rows(results) >= least, num_rows(results) + 2), "2 more rows", run)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        assert num_rows(results) < len(serial(search)), f"it was complete before kill {number}"
    ended = finish(arena.start(*command))
    for left in processes_of(arena):  # Ray's agents outlive a killed driver by a minute
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
    assert ended.returncode == 0, ended.stderr
    assert reproducible(results) == serial(search)


def test_a_retry_while_it_runs_gives_failed_trials_another_try(tmp_path):
    arena = Arena(tmp_path)
    command = ("run", "slow", "--only", "long-mlp,raise_once,take_time")
    run = arena.start(*command, "--workers", "2", "--results", "retried")
    results = tmp_path / "retried"
    await_that(lambda: any(row["status"] == "failed" for row in whole_rows(results)), "the trial failed", run)
    asked = arena.regarena("retry", "retried")
    assert asked.returncode == 0, asked.stderr
    ended = finish(run)
    assert ended.returncode == 0, ended.stderr
    reference = arena.regarena(*command, "--serial", "--results", "serial")
    assert reference.returncode == 0, reference.stderr
    # The winner may have been frozen without the trial that failed; the rows of its confirmation are then unused.
    assert reproducible(tmp_path / "serial").items() <= reproducible(results).items()


def whole_rows(results):
    """The rows that are there now; files may come and go meanwhile."""
    with contextlib.suppress(OSError):
        return list(by_id(results).values())
    return []
