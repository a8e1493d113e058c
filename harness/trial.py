"""One trial, from its spec to its record: look the names up, seed, train, time, and turn failures into a status.

Imports no Ray, no Optuna and writes no files of results. `run_trial` runs in the calling process, which is the way to
debug a trial; campaigns call it in a child process (`harness.workers.isolation`), so that a crash cannot end them.
"""

from __future__ import annotations

import os
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from harness.contestants import Contestant
from harness.execution import Execution
from harness.provenance import hardware_key, software
from harness.records import CurvePoint, Pack, Status, TrialRecord, TrialSpec, utc_now
from harness.reported import Measured, check_storable, curves_of, reported
from harness.results.checkpoints import TrialCheckpoints
from harness.times.timing import time_steps
from search_spaces.shared import LEARNING_RATE
from tasks.errors import Diverged
from tasks.lookup import task_of
from tasks.runtime.checkpointing import NOWHERE, Checkpoints
from tasks.runtime.switches import Switches
from tasks.runtime.trained import Trained
from tasks.sites import kind_of
from tasks.task import Regularizers, Setting, Task
from tasks.training import Training

MAX_MESSAGE_CHARACTERS = 2000  # of an exception's text in a row; a report shows all rows on one page
_OUT_OF_MEMORY_TEXTS = (
    "out of memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",  # cuBLAS found no room for its workspace
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
)


def run_pack(pack: Pack, execution: Execution) -> list[TrialRecord]:
    """Run the trials of a pack in this process: one as `run_trial` does, several at once as their task trains them.

    If anything goes wrong with several, the list is empty. Otherwise each record has an equal share of the pack's time,
    the pack's peak memory, and in the column `seeds_together` the number of its trials.
    """
    if len(pack) == 1:
        return [run_trial(pack[0], execution)]
    torch.set_num_threads(execution.cpu_threads)
    base = [base_values(spec, execution) for spec in pack]
    try:
        _limit_gpu_memory(execution)
        outcomes = _trained(pack, execution, time.perf_counter())
        after = {"finished_at": utc_now(), "peak_memory_bytes": _peak_memory_bytes(execution)}
        records = [
            TrialRecord(spec=spec, status=status, values=known | after | values, metrics=metrics, curves=curves)
            for spec, known, (status, values, metrics, curves) in zip(pack, base, outcomes, strict=True)
        ]
        for record in records:
            check_storable(record)
    except Exception:
        return []  # the caller runs them one by one, and the failing one gets its own record
    return records


def run_trial(spec: TrialSpec, execution: Execution) -> TrialRecord:
    """Run one trial in this process. Exceptions become a record with a status; only KeyboardInterrupt is raised."""
    torch.set_num_threads(execution.cpu_threads)
    base = base_values(spec, execution)
    started = time.perf_counter()
    status: Status
    try:
        _limit_gpu_memory(execution)
        if spec.role == "timing":
            values, metrics, curves = _timed(spec, execution, started)
            status = "completed"
        else:
            ((status, values, metrics, curves),) = _trained((spec,), execution, started)
    except KeyboardInterrupt:  # Ctrl-C of someone who debugs a trial in this process
        raise
    except Diverged as error:
        status, values, metrics, curves = "diverged", failure_values(error) | _known_data(spec, execution), {}, ()
    except BaseException as error:  # also what ends a process, such as SystemExit
        status = "out_of_memory" if _is_out_of_memory(error) else "failed"
        values, metrics, curves = failure_values(error) | _known_data(spec, execution), {}, ()
    base |= {"finished_at": utc_now(), "peak_memory_bytes": _peak_memory_bytes(execution)}
    try:
        record = TrialRecord(spec=spec, status=status, values=base | values, metrics=metrics, curves=curves)
        check_storable(record)
    except Exception as error:  # a task of another package may report anything
        return failed_record(spec, execution, error)
    return record


def failed_record(spec: TrialSpec, execution: Execution, error: BaseException) -> TrialRecord:
    """The record, with status "failed", of a trial that raised this exception."""
    values = base_values(spec, execution) | {"finished_at": utc_now()} | failure_values(error)
    return TrialRecord(spec=spec, status="failed", values=values)


def base_values(spec: TrialSpec, execution: Execution) -> dict[str, Any]:
    """The columns that are known before a trial starts; a trial whose process crashes has only these."""
    task = _task(spec)
    switches = Switches.of(spec.switches) if spec.switches else task.switches(spec.scale)
    return {
        "dataset": task.dataset,
        "architecture": task.architecture,
        "label_noise": task.label_noise,
        "only_measures": Contestant(spec.regularizer).only_measures,
        "metric": task.metric,
        "higher_is_better": task.higher_is_better,
        "epochs_planned": task.epochs(spec.scale),
        "validation_fraction": task.validation_fraction(spec.scale),
        "attempts": 1,
        "seeds_together": 1,
        "device": execution.device,
        "hardware_key": hardware_key(execution.device, execution.cpu_threads),
        "gpu_fraction": execution.gpu_fraction,
        "tf32": switches.tf32 if execution.device.startswith("cuda") else None,
        "cpu_threads": execution.cpu_threads,
        "exclusive": execution.exclusive,
        "started_at": utc_now(),
        **software(),
    }


def failure_values(error: BaseException) -> dict[str, Any]:
    """Type, message and place of an exception. The place is a module and line of the last frame, not a path.

    Messages may name files: the home folder, which holds the user's name, is written as ~.
    """
    frames = traceback.extract_tb(error.__traceback__)
    reason = f"in {Path(frames[-1].filename).stem}.{frames[-1].name}, line {frames[-1].lineno}" if frames else None
    return {"error_type": type(error).__name__, "error_message": _message(error), "reason": reason}


def _message(error: BaseException) -> str:
    """The text of an exception in a form that can be stored: valid Unicode, shortened, without the home folder."""
    try:
        text = str(error)
    except Exception as another:
        text = f"(no message: {type(another).__name__} while making it)"
    return shortened(without_home(text.encode("utf-8", "backslashreplace").decode()))


def shortened(text: str) -> str:
    """The text, cut after MAX_MESSAGE_CHARACTERS characters, and how many were cut.

    >>> shortened("x" * 3000)[-40:]
    'xxxx... (1,000 more characters were cut)'
    """
    surplus = len(text) - MAX_MESSAGE_CHARACTERS
    if surplus <= 0:
        return text
    return f"{text[:MAX_MESSAGE_CHARACTERS]}... ({surplus:,} more characters were cut)"


def without_home(text: str) -> str:
    """The text with ~ in place of the home folder, whose path holds the user's name."""
    home = os.path.expanduser("~")  # "~" itself if the home folder is unknown
    return text.replace(home, "~") if len(home) > 1 else text


Outcome = tuple[dict[str, Any], dict[str, float], tuple[CurvePoint, ...]]


def _trained(pack: Pack, execution: Execution, started: float) -> list[tuple[Status, *Outcome]]:
    """Train the trials of a pack, which differ only in their seed; returns the outcome of each."""
    (task, *_), trainings = zip(*(prepare(spec, execution) for spec in pack), strict=True)
    effort = {"setup_seconds": (time.perf_counter() - started) / len(pack), "seeds_together": len(pack)}
    alone = len(pack) == 1
    pause = {} if pack[0].until_epoch is None else {"until_epoch": pack[0].until_epoch}
    ends = [trainings[0].run(_checkpoints(pack[0], execution), **pause)] if alone else task.train_together(trainings)
    return [_outcome(task, *each, execution, effort) for each in zip(pack, trainings, ends, strict=True)]


def _outcome(
    task: Task, spec: TrialSpec, training: Training, trained: Trained, execution: Execution, effort: dict[str, Any]
) -> tuple[Status, *Outcome]:
    split = "test" if spec.sees_test else "validation"
    is_paused = bool(trained.paused)
    last, when = (trained.paused, "at the rung") if is_paused else (trained.final, "at the end")
    final = reported(last, task.metric, dict.fromkeys(("validation", split)), when)
    best = reported(trained.best, task.metric, (), "at the best epoch")
    values = _values(task, spec, execution, training, trained, final, best) | effort
    metrics = {name: value for name, value in final[split].items() if name != task.metric}
    status: Status = "pruned" if is_paused else "stopped_early" if trained.stopped_early else "completed"
    return status, values, metrics, curves_of(trained)


def _checkpoints(spec: TrialSpec, execution: Execution) -> Checkpoints:
    if execution.checkpoint_location is None:
        return NOWHERE
    data = _task(spec).dataset_fingerprint(execution.data_folder_of(spec.task))
    # What a GPU draws depends on its number of multiprocessors, and sums depend on its kernels.
    device = hardware_key(execution.device, execution.cpu_threads) if execution.device.startswith("cuda") else "cpu"
    made_on = f"{device}, torch {torch.__version__}, numba {software()['numba_version']}, data {data}"
    return TrialCheckpoints(execution.checkpoint_location, spec.trial_id, execution.checkpoint_seconds, made_on)


def _timed(spec: TrialSpec, execution: Execution, started: float) -> Outcome:
    task, regularized = prepare(spec, execution)
    _, twin = prepare(spec, execution, regularizers=())
    setup_seconds = time.perf_counter() - started
    timed = time_steps(regularized, twin, torch.device(execution.device))
    steps_per_epoch = len(regularized.batches)
    values = {
        "seconds_per_step": timed.seconds_per_step,
        "samples_per_second": regularized.batches.batch_size / timed.seconds_per_step,
        "num_parameters": regularized.num_parameters,
        "num_train_samples": regularized.batches.num_samples,
        "network_kind": kind_of(regularized.network),
        "train_seconds": timed.total_seconds,
        "setup_seconds": setup_seconds,
        "epochs_run": timed.num_steps // steps_per_epoch,
        "dataset_fingerprint": task.dataset_fingerprint(execution.data_folder_of(spec.task)),
        "peak_memory_bytes": None,  # the peak would include the twin's memory
        **_graphs("", regularized),
        **_graphs("twin_", twin),
    }
    metrics = {
        "twin_seconds_per_step": timed.twin_seconds_per_step,
        "step_ratio": timed.seconds_per_step / timed.twin_seconds_per_step,
        "step_ratio_low": timed.ratio_range[0],
        "step_ratio_high": timed.ratio_range[1],
        "twin_seconds_low": timed.twin_range[0],
        "twin_seconds_high": timed.twin_range[1],
        "steps_per_epoch": float(steps_per_epoch),
        "minutes_per_100_epochs": timed.seconds_per_step * steps_per_epoch * 100 / 60,
    }
    return values, metrics, ()


def _graphs(whose: str, training: Training) -> dict[str, Any]:
    graphs = training.graphs()
    return {} if graphs is None else {f"{whose}{name}": value for name, value in graphs._asdict().items()}


def prepare(spec: TrialSpec, execution: Execution, regularizers: Regularizers | None = None) -> tuple[Task, Training]:
    """The task of a trial, and its training before the first step; `regularizers`, if given, replace its own."""
    task = _task(spec).on_split(spec.split)
    if regularizers is None:
        regularizers = Contestant(spec.regularizer).build(spec.hyperparameters)
    setting = Setting(
        switches=Switches.of(spec.switches) if spec.switches else None,
        seed=spec.seed,
        scale=spec.scale,
        learning_rate=float(spec.hyperparameters[LEARNING_RATE]),
        device=torch.device(execution.device),
        data_dir=execution.data_folder_of(spec.task),
        num_workers=execution.cpu_threads if execution.cpu_threads > 1 else 0,
        with_test=spec.sees_test,
    )
    training = task.prepare(regularizers, setting)
    if training.protocol.switches.compile:
        training.warm_up()
    return task, training


def _task(spec: TrialSpec) -> Task:
    return task_of(spec.task, spec.definition)


def _values(
    task: Task,
    spec: TrialSpec,
    execution: Execution,
    training: Training,
    trained: Trained,
    final: Measured,
    best: Measured,
) -> dict[str, Any]:
    seconds_per_step = trained.train_seconds / max(trained.num_steps, 1)
    values: dict[str, Any] = {
        "validation_value": final["validation"][task.metric],
        "best_validation_value": best.get("validation", {}).get(task.metric),
        "train_value": final.get("train", {}).get(task.metric),
        "epochs_run": trained.epochs_run,
        "num_parameters": training.num_parameters,
        "num_train_samples": training.batches.num_samples,
        "network_kind": kind_of(training.network),
        "train_seconds": trained.train_seconds,
        "evaluation_seconds": trained.evaluation_seconds,
        "seconds_per_step": seconds_per_step,
        "samples_per_second": training.batches.batch_size / seconds_per_step if seconds_per_step else None,
        "dataset_fingerprint": task.dataset_fingerprint(execution.data_folder_of(spec.task)),
    }
    if spec.sees_test:
        values["test_value"] = final["test"][task.metric]
        values["test_value_at_best_validation"] = best.get("test", {}).get(
            task.metric
        )  # missing if it paused before its first evaluation
    return values


def _known_data(spec: TrialSpec, execution: Execution) -> dict[str, Any]:
    """The fingerprint of the data of a trial that failed, so that its row counts among those on the same data."""
    try:
        return {"dataset_fingerprint": _task(spec).dataset_fingerprint(execution.data_folder_of(spec.task))}
    except Exception:  # the trial may have failed on the data; record its own error, not this one
        return {}


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY_TEXTS)


def _limit_gpu_memory(execution: Execution) -> None:
    """Let this process take no more of the GPU's memory than its share, so that it cannot end its neighbours."""
    if execution.device.startswith("cuda") and 0 < execution.gpu_fraction < 1:
        torch.cuda.set_per_process_memory_fraction(execution.gpu_fraction)


def _peak_memory_bytes(execution: Execution) -> int | None:
    """Peak memory in bytes: of the GPU, or of this process if it trains on the processor; None if it is not known."""
    if execution.device.startswith("cuda"):
        try:
            return int(torch.cuda.max_memory_allocated(execution.device))
        except Exception:  # the GPU may be what failed
            return None
    unit = 1 if sys.platform == "darwin" else 1024  # Linux reports kibibytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
