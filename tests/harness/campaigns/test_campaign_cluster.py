"""A campaign on a real cluster of two nodes on loopback, one of which is lost."""

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from arena import Arena, await_that, by_id, finish, processes_of
from clusters import HEAD, OTHER, end_node, two_nodes
from sockets import LOOPBACK, addresses_of, free_port

from harness.cli import main

NUM_SLOW = 2 * (2 + 3 + 2)


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="module")
def token():
    return secrets.token_hex(32)


@pytest.fixture(scope="module")
def address(arena, token):
    """The address of a cluster of two nodes."""
    with two_nodes(arena, token) as address:
        yield address


def nodes_of(arena):
    return Counter(line.rpartition(" ")[2] for line in arena.executions)


@pytest.fixture(scope="module")
def campaign(arena, address, token):
    """Runs on both nodes, with a folder given relative to the driver's; the second node is lost mid-run."""
    given = {"RAY_AUTH_TOKEN": token, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    run = arena.start("run", "slow", "--address", address, "--results", "slow", **given)
    await_that(lambda: len(nodes_of(arena)) == 2, "both nodes run trials", run)
    await_that(lambda: len(list((arena.folder / "slow" / "trials").glob("[!.]*.parquet"))) >= 3, "3 rows", run)
    arena.before = nodes_of(arena)
    end_node(arena, OTHER)
    arena.ended = finish(run)
    return arena


@pytest.mark.slow
def test_both_nodes_run_trials(campaign):
    assert set(campaign.before) == {HEAD, OTHER}


@pytest.mark.slow
def test_a_lost_node_loses_no_trial(campaign):
    assert campaign.ended.returncode == 0, campaign.ended.stderr
    found = by_id(campaign.folder / "slow")
    assert len(found) == NUM_SLOW
    assert {row["status"] for row in found.values()} == {"completed"}


@pytest.mark.slow
def test_only_what_the_lost_node_was_at_ran_twice(campaign):
    trained = Counter(line.rpartition(" ")[0] for line in campaign.executions)
    assert len(trained) == NUM_SLOW
    assert sum(trained.values()) <= NUM_SLOW + 2


@pytest.mark.slow
def test_an_address_where_nobody_answers_is_refused(arena):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and never listens
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
        ended = arena.regarena("run", "slow", "--address", address, "--results", "none", RAY_AUTH_TOKEN="any")
    assert ended.returncode == 2
    assert f"No cluster can be reached at {address}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_a_head_that_is_bound_as_we_say_listens_on_loopback_only(tmp_path):
    """The lines of SECURITY.md for one machine, but for the port and for a session folder of the test's own."""
    root = Path(__file__).parents[3]
    assert "[SECURITY.md](SECURITY.md)" in (root / "README.md").read_text()
    (lines,) = [
        block
        for block in re.findall(r"```sh\n(.*?)```", (root / "SECURITY.md").read_text(), re.DOTALL)
        if "--node-ip-address 127.0.0.1" in block
    ]
    arena = Arena(tmp_path)
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as session:
        command = lines.replace("6379", str(free_port())).strip() + f" --temp-dir {session} --num-cpus 1 --block"
        started = subprocess.Popen(
            ["sh", "-c", command],
            env=arena.environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                                     "RAY_USAGE_STATS_ENABLED": "0"},
            stdout=(tmp_path / "said").open("w"), stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            await_that(lambda: "Ray runtime started" in (tmp_path / "said").read_text(), "the head starts", started)
            addresses = addresses_of(processes_of(arena))
        finally:
            for pid in processes_of(arena):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            started.wait()
    assert addresses
    assert addresses <= LOOPBACK


def test_joining_without_a_token_is_refused(monkeypatch, capsys, tmp_path):
    """No cluster is needed, and no process: the refusal comes before any connection."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setattr("sys.argv", ["regarena", "run", "quickstart", "--address", "127.0.0.1:6379"])
    with pytest.raises(SystemExit, match="2"):
        main()
    error = capsys.readouterr().err
    assert "needs its token in RAY_AUTH_TOKEN" in error
    assert error.count("\n") == 1
