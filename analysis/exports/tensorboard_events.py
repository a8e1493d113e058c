"""Trials as event files of TensorBoard: one folder for each, with its curves as scalars and its hyperparameters.

Files are written by the parts of TensorBoard that need neither TensorFlow nor torch. Their names are fixed, so that a
second export replaces them; the usual names contain the time and the name of the machine.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis.exports.exported import Exported
from analysis.exports.runs import Run, num_skipped, runs_of
from analysis.page.file_names import FileNames
from harness.records.folders import Folder

FILE_NAME = "events.out.tfevents.0.regarena"
_LABELS = ("task", "regularizer", "scale", "role", "seed", "status")  # shown beside the hyperparameters
_DIGITS = 12  # of a trial's id in the name of its folder


def write_events(trials: pd.DataFrame, folder: Folder, curves: pd.DataFrame) -> Exported:
    """Write an event file for every trial that ran.

    The folders are TASK-SCALE/REGULARIZER/ROLE-ID. Scalars are the points of the curves (`SPLIT/METRIC`, with the epoch
    as step) and the numbers of the row (`row/COLUMN`, at the last epoch). `hparams` are the hyperparameters and the
    labels task, regularizer, scale, role, seed and status.

    Args:
        trials: from `load_trials`.
        folder: where to write.
        curves: from `load_curves`.
    """
    tasks, contestants, names = FileNames(), FileNames(), FileNames()
    num_runs = 0
    for run in runs_of(trials, curves):
        labels = run.labels
        machine = (labels.get("hardware_key", ""),) if labels["role"] == "timing" else ()
        parts = (
            tasks.of(labels["task"], labels["scale"]),
            contestants.of(labels["regularizer"]),
            names.of(labels["role"], run.trial_id[:_DIGITS], *machine),
        )
        folder.write("/".join((*parts, FILE_NAME)), _file(run))
        num_runs += 1
    skipped = num_skipped(trials)
    notes = (f"{skipped:,} skipped cell(s) have no run.",) if skipped else ()
    return Exported(where=folder.name, what="runs", num_written=num_runs, notes=notes)


def _file(run: Run) -> bytes:
    """The content of the event file."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    content = io.BytesIO()
    writer = RecordWriter(content)
    for event in _events(run):
        writer.write(event.SerializeToString())
    return content.getvalue()


def _events(run: Run) -> Iterator[Any]:
    """The version of the format, the hyperparameters, each scalar in the order of epochs, and the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # protobuf and numpy warn of each other's versions
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams import metadata, plugin_data_pb2
        from tensorboard.plugins.hparams.api_pb2 import Status
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    finished = run.finished.timestamp() if run.finished else 0.0
    started = run.started.timestamp() if run.started else finished
    last_epoch = int(run.numbers.get("epochs_run", 0))
    settings = {**run.hyperparameters, **{name: run.labels[name] for name in _LABELS if name in run.labels}}
    yield Event(wall_time=started, file_version="brain.Event:2")
    yield Event(wall_time=started, summary=hparams_pb(settings, trial_id=run.trial_id, start_time_secs=started))
    for split, metric, epoch, value in run.curves:
        share = epoch / last_epoch if last_epoch else 1.0
        wall_time = started + min(share, 1.0) * (finished - started)
        scalar = Summary(value=[Summary.Value(tag=f"{split}/{metric}", simple_value=value)])
        yield Event(wall_time=wall_time, step=epoch, summary=scalar)
    for name, value in run.numbers.items():
        scalar = Summary(value=[Summary.Value(tag=f"row/{name}", simple_value=value)])
        yield Event(wall_time=finished, step=last_epoch, summary=scalar)
    ended = plugin_data_pb2.HParamsPluginData(
        session_end_info=plugin_data_pb2.SessionEndInfo(
            end_time_secs=finished,
            status=Status.Value("STATUS_SUCCESS" if run.has_result else "STATUS_FAILURE"),
        )
    )
    about = metadata.create_summary_metadata(ended)
    end = Summary(value=[Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=about)])
    yield Event(wall_time=finished, summary=end)
