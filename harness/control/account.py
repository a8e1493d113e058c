"""The run's side of `control/`: a thread writes the state of the run there, and reads requests of other terminals."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

from harness.control.files import REQUESTS, RUN_FILE, RUNNING, request_file
from harness.control.requests import Requests
from harness.errors import RegarenaError
from harness.records import utc_now
from harness.results.store import Store

LOCAL_SECONDS = 1.0  # between two updates of run.json
REMOTE_SECONDS = 10.0  # the same on an object store, where each update costs a request
_LAST_UPDATE_SECONDS = 60.0  # for an update under way when the run ends: it would replace the account of the end


class Account:
    """A context in which `control/run.json` holds the run's current state, and requests of other terminals are read.

    Errors of writing are ignored: the account holds no results.

    Args:
        store: the results folder, which this run has locked.
        suite: name of the suite that runs.
        standing: returns the current state as JSON; called from another thread.
    """

    def __init__(self, store: Store, suite: str, standing: Callable[[], dict[str, Any]]) -> None:
        self.requests = Requests()
        self._store, self._standing = store, standing
        self._seconds = LOCAL_SECONDS if store.is_local else REMOTE_SECONDS
        self._run: dict[str, Any] = {
            "run_id": secrets.token_hex(8),
            "suite": suite,
            "started_at": utc_now().isoformat(timespec="seconds"),
            "ended_at": None,
            "end": "",
            "interval_seconds": self._seconds,
            "machine": socket.gethostname(),
            "pid": os.getpid(),
        }
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="account of the run", daemon=True)

    def __enter__(self) -> Account:
        self._store.remove_folder(os.path.dirname(RUN_FILE))  # of a run that was killed
        with contextlib.suppress(OSError):
            self._store.make_folder(RUNNING)
        self._write()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        self._over.set()
        self._thread.join(_LAST_UPDATE_SECONDS)
        self._run["end"] = "completed" if kind is None else kind.__name__
        self._run["ended_at"] = utc_now().isoformat(timespec="seconds")
        self._write()
        self._store.remove_folder(RUNNING)
        for ask in REQUESTS:
            self._store.remove(self._request(ask))

    def _keep(self) -> None:
        while not self._over.wait(self._seconds):
            self._write()
            if self._is_asked("retry"):
                self.requests.retry.set()
            if self._is_asked("stop"):
                self.requests.stop.set()
                os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does, which ends a run cleanly

    def _is_asked(self, ask: Any) -> bool:
        """Whether there is such a request; it is removed, by which the other terminal knows that it was read."""
        name = self._request(ask)
        with contextlib.suppress(OSError, RegarenaError):
            if self._store.read_json(name) is not None:
                self._store.remove(name)
                return True
        return False

    def _request(self, ask: Any) -> str:
        return request_file(ask, self._run["run_id"])

    def _write(self) -> None:
        """Write the current account; an OSError is ignored here, since the next row that is written raises it."""
        content = {**self._run, "seen_at": utc_now().isoformat(timespec="seconds"), **self._standing()}
        with contextlib.suppress(OSError):
            self._store.write_json(RUN_FILE, content, lasting=False)
