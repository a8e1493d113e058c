"""Checkpoints of running trials: RESULTS/checkpoints/TRIAL_ID/epoch-000123.pt, of which at most two are kept.

They are temporary: a trial that was cut off continues from its newest intact checkpoint, and when its row is stored its
checkpoints are removed. No trial fails because a checkpoint cannot be written or read.
"""

from __future__ import annotations

import io
import time
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import pyarrow.fs
import torch

from harness.records.folders import CHECKPOINTS, check_no_links, open_folder, write_whole
from tasks.runtime.state import State

NUM_KEPT = 2


class TrialCheckpoints:
    """The checkpoints of one trial (implements `tasks.runtime.checkpointing.Checkpoints`).

    Args:
        location: the results folder or URI.
        trial_id: of the trial.
        every_seconds: least number of seconds from the start, or from the last checkpoint, to the next one.
        made_on: device, versions and data, as text. A checkpoint with another text is ignored, since a trial must be
            trained on one kind of device, with one version of torch, and on the same data.
    """

    def __init__(self, location: str, trial_id: str, every_seconds: float, made_on: str) -> None:
        results = open_folder(location)
        self._files, self._root = results.filesystem, results.path
        self._folder = f"{self._root}/{CHECKPOINTS}/{trial_id}"
        self._every_seconds, self._made_on = every_seconds, made_on
        self._last_time, self._last_epoch = time.monotonic(), 0
        self._has_failed = False

    def load(self) -> State | None:
        """The newest intact state, or None."""
        for path in reversed(self._paths()):
            checkpoint = self._read(path)
            if checkpoint is not None and checkpoint["made_on"] == self._made_on:
                self._last_epoch = checkpoint["epoch"]
                state: State = checkpoint["state"]
                return state
        return None

    def offer(self, epoch: int, state: Callable[[], State]) -> None:
        """Write the state if the last checkpoint is old enough."""
        if epoch > self._last_epoch and time.monotonic() - self._last_time >= self._every_seconds:
            self.keep(epoch, state)

    def keep(self, epoch: int, state: Callable[[], State]) -> None:
        """Write the state now. If that fails (on a full disk, say), warn once and go on without a checkpoint."""
        try:
            self._write(epoch, state())
        except Exception as error:  # a contestant's state, or a file system, may raise anything
            if not self._has_failed:
                warnings.warn(f"No checkpoint could be written to {self._folder}: {error}", stacklevel=2)
            self._has_failed = True
        self._last_time, self._last_epoch = time.monotonic(), epoch

    def _write(self, epoch: int, state: State) -> None:
        content = io.BytesIO()
        torch.save({"epoch": epoch, "made_on": self._made_on, "state": state}, content)
        check_no_links(self._files, self._root, f"{self._folder}/any")
        self._files.create_dir(self._folder, recursive=True)
        write_whole(self._files, self._root, f"{self._folder}/epoch-{epoch:06}.pt", content.getvalue())
        for path in self._paths()[:-NUM_KEPT]:
            self._files.delete_file(path)

    def _paths(self) -> list[str]:
        """The checkpoint files, from the oldest to the newest."""
        try:
            found = self._files.get_file_info(pyarrow.fs.FileSelector(self._folder, allow_not_found=True))
        except OSError:
            return []
        return sorted(info.path for info in found if info.base_name.startswith("epoch-"))

    def _read(self, path: str) -> dict[str, Any] | None:
        """The content of a file; None if it is damaged, which torch does not notice inside a tensor."""
        try:
            with self._files.open_input_file(path) as stream:
                content = io.BytesIO(stream.read())
            if zipfile.ZipFile(content).testzip() is not None:
                return None
            content.seek(0)
            read: dict[str, Any] = torch.load(content, weights_only=True)
            return {name: read[name] for name in ("epoch", "made_on", "state")}
        except Exception:  # each kind of damage raises another exception
            return None
