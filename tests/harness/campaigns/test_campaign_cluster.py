"""A campaign on a real cluster of two nodes on loopback, one of which is lost."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter

import pytest
from arena import Arena, await_that, by_id, finish, processes
from faulty_contestants import NODE_VARIABLE

NUM_SLOW = 2 * (2 + 3 + 2)
CLUSTER = f"""
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=1, include_dashboard=False,
                  env_vars={{"{NODE_VARIABLE}": "on-the-head"}}))
cluster.add_node(num_cpus=1, env_vars={{"{NODE_VARIABLE}": "on-the-other"}})
cluster.wait_for_nodes()
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="module")
def token():
    return secrets.token_hex(32)


@pytest.fixture(scope="module")
def address(arena, token):
    """The address of a cluster of two nodes with one processor each, started from another folder."""
    environment = arena.environment | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # every socket on loopback
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            cwd=scratch,
            env=environment | {"RAY_TMPDIR": scratch},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait()


def nodes_of(arena):
    return Counter(line.rpartition(" ")[2] for line in arena.executions)


def end_node(name):
    """Every process of a node, at once, as when its power fails."""
    for pid, _, environment in processes():
        if f"{NODE_VARIABLE}={name}\0" in environment:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def campaign(arena, address, token):
    """Runs on both nodes, with a folder given relative to the driver's; the second node is lost mid-run."""
    given = {"RAY_AUTH_TOKEN": token, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    run = arena.start("run", "slow", "--address", address, "--results", "slow", **given)
    await_that(lambda: len(nodes_of(arena)) == 2, "both nodes run trials", run)
    await_that(lambda: len(list((arena.folder / "slow" / "trials").glob("[!.]*.parquet"))) >= 3, "3 rows", run)
    arena.before = nodes_of(arena)
    end_node("on-the-other")
    arena.ended = finish(run)
    return arena


def test_both_nodes_run_trials(campaign):
    assert set(campaign.before) == {"on-the-head", "on-the-other"}


def test_a_lost_node_loses_no_trial(campaign):
    assert campaign.ended.returncode == 0, campaign.ended.stderr
    found = by_id(campaign.folder / "slow")
    assert len(found) == NUM_SLOW
    assert {row["status"] for row in found.values()} == {"completed"}


def test_only_what_the_lost_node_was_at_ran_twice(campaign):
    trained = Counter(line.rpartition(" ")[0] for line in campaign.executions)
    assert len(trained) == NUM_SLOW
    assert sum(trained.values()) <= NUM_SLOW + 2


def test_an_address_where_nobody_answers_is_refused(arena):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and never listens
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
        ended = arena.regarena("run", "slow", "--address", address, "--results", "none", RAY_AUTH_TOKEN="any")
    assert ended.returncode == 2
    assert f"Nobody answers at {address}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_joining_without_a_token_is_refused(arena, tmp_path):
    """No cluster is needed: the refusal comes before any connection."""
    ended = arena.regarena("run", "slow", "--address", "127.0.0.1:6379", "--results", "none", HOME=str(tmp_path))
    assert ended.returncode == 2
    assert "needs its token in RAY_AUTH_TOKEN" in ended.stderr
    assert "Traceback" not in ended.stderr
