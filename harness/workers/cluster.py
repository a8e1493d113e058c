"""Environment variables that Ray reads when it is imported: to start a local Ray, or to join a cluster."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING

from harness.errors import BadInput
from harness.workers.environment import PACKAGE_ROOT

if TYPE_CHECKING:  # the workers import this module through the tuner, and must not import torch
    from harness.request import Cluster

# Set before ray is imported. Explicit token mode avoids a warning. RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER = 0 makes every
# process of Ray, also on Linux, listen on the loopback address only (a test lists the sockets).
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_worker_niceness": "0",  # Ray's default of 15 starves trials on a shared machine
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_WARN_SLOW_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "1000000",
}
_LOCAL_ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # its kills abort a whole Tune run; trials have limits of their own
}
_CONNECT_SECONDS = 10.0


def environment_of_ours(scratch: str) -> dict[str, str]:
    """Variables for a Ray that the campaign starts: loopback only, a new token, all temporary files in `scratch`.

    The workers inherit the planning process's folder of compiled code, and so share that code.
    """
    folders = {"RAY_TMPDIR": scratch, "TMPDIR": scratch}
    return {**_ENVIRONMENT, **_LOCAL_ENVIRONMENT, "RAY_AUTH_TOKEN": secrets.token_hex(32), **folders}


def environment_to_join(cluster: Cluster) -> dict[str, str]:
    """Variables that are set while a cluster is joined; variables that the user has set are kept.

    Raises:
        BadInput: if there is no token, or nothing listens at the address.
    """
    assert cluster.address is not None
    _check_token(cluster)
    _check_answers(cluster.address)
    unset = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    return unset | ({} if _has_token() else {"RAY_AUTH_MODE": "disabled"})


def python_path() -> str:
    """The PYTHONPATH for the nodes of a cluster: regarena's code, and packages that add to its tables."""
    return os.pathsep.join(filter(None, (PACKAGE_ROOT, os.environ.get("PYTHONPATH"))))


def _check_token(cluster: Cluster) -> None:
    if not _has_token() and not cluster.allow_no_token:
        raise BadInput(
            f"Joining the cluster at {cluster.address} needs its token in RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or "
            "~/.ray/auth_token; --allow-no-token joins without one."
        )


def _check_answers(address: str) -> None:
    """Check that the address accepts connections; Ray itself retries for minutes before it gives up."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return  # "auto", or a form that Ray has to judge
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise BadInput(
            f"No cluster can be reached at {address}: {error}. Check --address, and that Ray runs there."
        ) from error


def _has_token() -> bool:
    default = os.path.expanduser("~/.ray/auth_token")  # unchanged if the user has no home folder
    return bool(os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH") or os.path.exists(default))
