"""A cluster of two nodes with one processor each, on loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from arena import Arena, processes
from faulty_contestants import FOLDER_VARIABLE, NODE_VARIABLE

HEAD, OTHER = "on-the-head", "on-the-other"
_CLUSTER = f"""
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=1, include_dashboard=False,
                  env_vars={{"{NODE_VARIABLE}": "{HEAD}"}}))
cluster.add_node(num_cpus=1, env_vars={{"{NODE_VARIABLE}": "{OTHER}"}})
cluster.wait_for_nodes()
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@contextlib.contextmanager
def two_nodes(arena: Arena, token: str) -> Iterator[str]:
    """The address of a cluster that is started from another folder than the arena's."""
    environment = arena.environment | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # every socket on loopback
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        process = subprocess.Popen(
            [sys.executable, "-c", _CLUSTER],
            cwd=scratch,
            env=environment | {"RAY_TMPDIR": scratch},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait()


def end_node(arena: Arena, name: str) -> int:
    """End every process of a node, at once, as when its power fails; how many there were."""
    marks = f"{NODE_VARIABLE}={name}\0", f"{FOLDER_VARIABLE}={arena.folder}\0"
    pids = [pid for pid, _, environment in processes() if all(mark in environment for mark in marks)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)
