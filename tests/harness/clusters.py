"""Clusters on loopback: of two nodes with one processor each, or of a head that nodes join."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from arena import PATIENCE_SECONDS, Arena, processes
from faulty_contestants import FOLDER_VARIABLE, NODE_VARIABLE

HEAD, OTHER = "on-the-head", "on-the-other"
# Starts a head, prints the address, and adds a node for each line of its input: a name and its number of processors.
_CLUSTER = f"""
import sys
from ray.cluster_utils import Cluster
cluster = Cluster()

def add(name, num_cpus, **more):
    node = cluster.add_node(wait=False, num_cpus=int(num_cpus), env_vars={{"{NODE_VARIABLE}": name}}, **more)
    cluster._wait_for_node(node, timeout={PATIENCE_SECONDS})  # Ray's own limit is half a minute

add("{HEAD}", sys.argv[1], include_dashboard=False)
print(cluster.address, flush=True)
for line in sys.stdin:
    add(*line.split())
    print(line.split()[0], flush=True)
cluster.shutdown()
"""


class GrowingCluster:
    """A cluster on loopback that nodes can join."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._said()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def add(self, name: str, num_cpus: int = 1) -> None:
        """Add a node, and wait until it is there."""
        assert self._process.stdin is not None
        print(name, num_cpus, file=self._process.stdin, flush=True)
        assert self._said() == name


@contextlib.contextmanager
def growing_cluster(arena: Arena, token: str, head_cpus: int = 1) -> Iterator[GrowingCluster]:
    """A cluster of a head alone, which is started from another folder than the arena's."""
    environment = arena.environment | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # every socket on loopback
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        process = subprocess.Popen(
            [sys.executable, "-c", _CLUSTER, str(head_cpus)],
            cwd=scratch,
            env=environment | {"RAY_TMPDIR": scratch},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            yield GrowingCluster(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


@contextlib.contextmanager
def two_nodes(arena: Arena, token: str) -> Iterator[str]:
    """The address of a cluster of two nodes with one processor each."""
    with growing_cluster(arena, token) as cluster:
        cluster.add(OTHER)
        yield cluster.address


def end_node(arena: Arena, name: str) -> int:
    """End every process of a node, at once, as when its power fails; how many there were."""
    marks = f"{NODE_VARIABLE}={name}\0", f"{FOLDER_VARIABLE}={arena.folder}\0"
    pids = [pid for pid, _, environment in processes() if all(mark in environment for mark in marks)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)
