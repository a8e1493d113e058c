"""Campaigns on clusters whose nodes come and go: none at first, some late, some evicted; and timing on several."""

import contextlib
import secrets
from collections import Counter

import pytest
from arena import Arena, await_that, by_id, finish
from clusters import HEAD, OTHER, end_node, growing_cluster, two_nodes
from faulty_contestants import HOLD

pytestmark = [pytest.mark.slow, pytest.mark.long]

LATE, LAST = "on-the-late-one", "on-the-last-one"
SLOW = ("run", "slow", "--tune-trials", "8", "--tune-width", "8", "--results", "slow")
NUM_SLOW = 2 * (2 + 8 + 2)


@pytest.fixture
def arena(tmp_path):
    return Arena(tmp_path)


@pytest.fixture
def token():
    return secrets.token_hex(32)


def joining(token):
    return {"RAY_AUTH_TOKEN": token, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def nodes_of(arena):
    return Counter(line.rpartition(" ")[2] for line in arena.executions)


@contextlib.contextmanager
def trials_held(arena):
    hold = arena.folder / HOLD
    hold.touch()
    try:
        yield
    finally:
        hold.unlink()


def test_a_run_waits_for_the_first_node_uses_late_ones_and_outlives_evictions(arena, token):
    with growing_cluster(arena, token, head_cpus=0) as cluster:
        refused = arena.regarena(*SLOW, "--address", cluster.address, **joining(token))
        assert refused.returncode == 2
        assert "or wait for nodes that join later with --wait-for-nodes SECONDS" in refused.stderr
        run = arena.start(*SLOW, "--address", cluster.address, "--wait-for-nodes", "120", **joining(token))
        assert any("waiting up to 120 s for one to join" in line for line in run.stdout), "it ended without waiting"
        cluster.add(OTHER)
        await_that(lambda: nodes_of(arena)[OTHER] >= 2, "the first node runs trials", run)
        with trials_held(arena):  # however long the node takes to start
            cluster.add(LATE)
            await_that(lambda: nodes_of(arena)[LATE], "the late node runs a trial", run)
        await_that(lambda: nodes_of(arena)[LATE] >= 2, "the late node runs trials", run)
        assert end_node(arena, OTHER)
        cluster.add(LAST)
        ended = finish(run)
    assert ended.returncode == 0, ended.stderr
    rows = by_id(arena.folder / "slow").values()
    assert len(rows) == NUM_SLOW
    assert {row["status"] for row in rows} == {"completed"}
    assert HEAD not in nodes_of(arena)


def test_timing_trials_run_on_both_of_two_equal_nodes(arena, token):
    with two_nodes(arena, token) as address:
        ended = arena.regarena(
            "run", "well", "--only", "tiny-mlp,none,dropout,weight_decay", "--tune-trials", "0", "--seeds", "0",
            "--address", address, "--results", "timed", **joining(token),
        )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    rows = by_id(arena.folder / "timed").values()
    assert [(row["role"], row["status"], row["exclusive"]) for row in rows] == [("timing", "completed", True)] * 3
    assert set(nodes_of(arena)) == {HEAD, OTHER}
