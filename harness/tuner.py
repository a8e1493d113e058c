"""The campaign on Ray Tune: the only module that imports ray.

One Tune run carries all cells, because each further run costs seconds of cold actors and an idle tail. Its searcher
returns whichever trials the schedule has ready. Actors are reused, because a fresh actor costs a hundred times as much
as a small trial. Tune's own state is temporary: the rows are the only state, so nothing is restored from pickles.
Comments beside the settings give their reasons, among them how Tune behaves when workers fail.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import os
import secrets
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.control.files import noted
from harness.control.requests import Requests
from harness.errors import BadInput, Interrupted, RegarenaError, ResultsError
from harness.execution import Execution
from harness.in_flight import MAX_WORKER_LOSSES, InFlight, record_lost_trial
from harness.records import TrialSpec
from harness.request import Cluster
from harness.results.store import Store
from harness.results.trial_summary import TrialSummary
from harness.workers.cluster import environment_of_ours, environment_to_join, python_path
from harness.workers.environment import environment
from harness.workers.interrupts import ended_within, interruptible
from harness.workers.isolation import run_isolated, run_pack_isolated
from harness.workers.processors import usable_cpus
from harness.workers.temporary_folders import short_folder, temporary_folder

if TYPE_CHECKING:  # the workers import this module too, and must not import torch: their fork servers do
    from ray import tune

    from harness.progress import Progress
    from harness.schedule import Schedule

_NOISY_LOGGERS = ("ray", "ray.tune.analysis.experiment_analysis", "ray.tune.tune", "ray.tune.execution.tune_controller")
_OBJECT_STORE_BYTES = 100 * 2**20  # no data travels through it
_GRACE_SECONDS = 5.0  # for a clean end after a signal, which may also have ended Ray's own processes
_METRIC = "has_ended"  # Tune aborts the whole run over a report without its metric; the values travel as text beside it
_ROUNDING = 1e-9  # so that 0.3 CPUs hold three trials of 0.1, although 0.3 / 0.1 is below 3 in floating point
_MAX_RELAUNCHES = 3  # of the Tune run itself, while it still brings new rows


def run(
    schedule: Schedule,
    timing: Sequence[TrialSpec],
    store: Store,
    execution: Execution,
    progress: Progress,
    cluster: Cluster,
    requests: Requests,
) -> None:
    """Run all that is left, then the timing trials one by one, with a node to themselves.

    Raises:
        BadInput: when the cluster cannot be joined or cannot hold a trial.
        Interrupted: on Ctrl-C or SIGTERM; finished trials are stored.
        ResultsError: when rows cannot be written.
    """
    with (
        ended_within(_GRACE_SECONDS) as ending,
        ending.watched(ends_with_group=cluster.address is None),
        _connected(cluster),
        interruptible(),
    ):
        execution = _placed(execution, cluster)
        if cluster.address is None:  # a Ray of our own starts its workers in a folder of its own
            execution = replace(execution, working_folder=os.getcwd())
        _check_nodes(cluster, store, execution)
        _fit(schedule, store, execution, progress, cluster, requests)
        _run_timing(timing, store, execution.alone(), progress)


def cluster_resources(cluster: Cluster) -> dict[str, float]:
    """Connect, read the CPUs and GPUs of the cluster, and disconnect."""
    with _connected(cluster):
        import ray

        resources = ray.cluster_resources()
        return {name: float(resources.get(name, 0)) for name in ("CPU", "GPU")}


@contextlib.contextmanager
def _connected(cluster: Cluster) -> Iterator[None]:
    """A Ray of our own, quiet and on loopback, or the cluster at the given address."""
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(temporary_folder(short_folder()))  # Ray never deletes its session folders
        if cluster.address is None:
            stack.enter_context(environment(environment_of_ours(scratch)))
        else:
            stack.enter_context(environment(environment_to_join(cluster)))
        stack.callback(_shutdown)
        with contextlib.chdir(scratch):  # Ray's workers import from where it is started before anywhere else
            _connect(cluster)
        for name in _NOISY_LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield


def _connect(cluster: Cluster) -> None:
    import ray

    with contextlib.suppress(ImportError):  # a name of Ray's own
        from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]  # compiled code without stubs

        AuthenticationTokenLoader.instance().reset_cache()  # else a process that connects again uses its first token
    arguments: dict[str, Any] = {
        "address": cluster.address or "local",
        "log_to_driver": False,
        "logging_level": "ERROR",
    }
    if cluster.address is None:
        arguments |= {
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
            "num_cpus": usable_cpus(),  # by default Ray takes all CPUs of the machine
        }
    else:
        arguments["runtime_env"] = {"env_vars": {"PYTHONPATH": python_path()}}
    try:
        ray.init(**arguments)
    except Exception as error:  # Ray raises a plain Exception when its start takes too long
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if cluster.address is None:
            raise RegarenaError(f"Ray cannot be started here ({reason}); --serial runs without it.") from error
        raise BadInput(f"The Ray cluster at {cluster.address} cannot be joined: {reason}") from error


def _shutdown() -> None:
    import ray

    ray.shutdown()


def _placed(execution: Execution, cluster: Cluster) -> Execution:
    """The execution with device and GPU share, according to the cluster's GPUs.

    Raises:
        BadInput: if a GPU was asked for and the cluster has none.
    """
    import ray

    total = float(ray.cluster_resources().get("GPU", 0))
    wanted = execution.gpu_fraction if total else 0.0
    fraction = wanted if cluster.gpus_per_trial is None else cluster.gpus_per_trial
    if fraction > 0 and total == 0:
        raise BadInput(f"--gpus-per-trial {fraction:g} was asked for, but the cluster has no GPU.")
    return execution.placed(fraction)


def _check_nodes(cluster: Cluster, store: Store, execution: Execution) -> None:
    """Make sure that some node can hold a trial, and that every node has our code and sees the results folder.

    Raises:
        BadInput: if not, with the node and what to change.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]
    roomy = [
        node
        for node in nodes
        if node["Resources"].get("CPU", 0) >= cluster.cpus_per_trial
        and node["Resources"].get("GPU", 0) >= execution.gpu_fraction
    ]
    if not roomy:
        raise BadInput(
            f"No node has the {cluster.cpus_per_trial:g} CPUs and {execution.gpu_fraction:g} GPUs that one trial "
            "takes; lower --cpus-per-trial or --gpus-per-trial."
        )
    if cluster.address is None:
        return
    store.write_json(".nodes.json", {"campaign": secrets.token_hex(8)})
    expected = store.read_json(".nodes.json")
    for node in nodes:
        strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        probe = ray.remote(_probe).options(num_cpus=0, scheduling_strategy=strategy)
        try:
            seen = ray.get(probe.remote(store.address), timeout=120)
        except Exception as error:
            raise BadInput(
                f"The node {node['NodeManagerAddress']} cannot run trials ({type(error).__name__}); every node needs "
                "the same versions of Python, ray, torch and regarena."
            ) from error
        if seen != expected:
            raise BadInput(
                f"The node {node['NodeManagerAddress']} does not see the results folder {store.location}; give "
                "--results a folder that all nodes share, or a URI such as s3://bucket/folder."
            )


def _probe(location: str) -> dict[str, Any] | None:
    import harness.trial  # noqa: F401  # the import itself is the check

    return Store(location).read_json(".nodes.json")


def _fit(
    schedule: Schedule,
    store: Store,
    execution: Execution,
    progress: Progress,
    cluster: Cluster,
    requests: Requests,
) -> None:
    """Run Tune until the schedule is empty; start it again after an abort, as long as each run brings new rows."""
    for relaunches_left in reversed(range(1 + _MAX_RELAUNCHES)):
        before = progress.num_run
        error = _fit_once(schedule, store, execution, progress, cluster, requests)
        if error is None:
            return
        if progress.num_run == before or not relaunches_left:
            raise error
        progress.all_lost()
        schedule = schedule.again(store.finished())


def _fit_once(
    schedule: Schedule,
    store: Store,
    execution: Execution,
    progress: Progress,
    cluster: Cluster,
    requests: Requests,
) -> Exception | None:
    """One Tune run; returns the error that ended it early, or None."""
    import ray

    in_flight = InFlight(schedule, store, execution, progress, requests)
    resources = {"CPU": cluster.cpus_per_trial, "GPU": execution.gpu_fraction}
    progress.num_workers = _num_workers(ray.nodes(), resources, cluster.max_workers)
    with temporary_folder(tempfile.gettempdir()) as scratch:
        tuner = _tuner_over(
            in_flight, store, execution, resources, _num_given_out(progress.num_workers, cluster), scratch
        )
        with _ended_by_signals() as was_stopped:
            try:
                tuner.fit()
            except Exception as error:
                if was_stopped():  # the signal ended Ray's processes too; Tune's error about that is expected
                    raise Interrupted("Stopped by SIGTERM.") from error
                return error
    if in_flight.write_error:
        raise ResultsError(f"Rows could not be written to {store.location}: {in_flight.write_error}.")
    if not in_flight.is_finished:
        raise Interrupted("Stopped by a signal.")
    return None


def _num_workers(nodes: Sequence[Mapping[str, Any]], resources: Mapping[str, float], most: int | None) -> int:
    """How many trials with these resources the nodes can run at once, each on one node; at most `most`, at least 1."""
    wanted = {name: amount for name, amount in resources.items() if amount > 0}
    held: list[int] = [
        min(math.floor(node["Resources"].get(name, 0) / amount + _ROUNDING) for name, amount in wanted.items())
        for node in nodes
        if node["Alive"]
    ]
    return max(1, min(sum(held), most or sum(held)))


def _num_given_out(num_workers: int, cluster: Cluster) -> int:
    """How many trials Tune is given at once: two more than workers, so that a free actor always has work.

    With --workers there are no extra ones: Tune would start them where the cluster has room.
    """
    return num_workers + (2 if cluster.max_workers is None else 0)


def _tuner_over(
    in_flight: InFlight,
    store: Store,
    execution: Execution,
    resources: Mapping[str, float],
    num_given_out: int,
    scratch: str,
) -> tune.Tuner:
    from ray import tune

    driver = DriverOnly(in_flight)
    trainable = tune.with_parameters(_trainable, location=store.address, execution=execution)
    return tune.Tuner(
        tune.with_resources(trainable, {name.lower(): amount for name, amount in resources.items()}),
        tune_config=tune.TuneConfig(
            search_alg=_searcher_over(driver),
            num_samples=-1,  # until the searcher says that it is finished
            max_concurrent_trials=num_given_out,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="campaign",
            storage_path=scratch,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=MAX_WORKER_LOSSES),
            callbacks=[_counter_of_losses(driver)],
        ),
    )


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[Callable[[], bool]]:
    """A context in which SIGTERM ends a Tune run as SIGINT does; it yields a function that tells whether it came.

    Tune saves its state and returns normally on SIGINT and SIGUSR1, but dies at once on SIGTERM.
    """
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    stopped = threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:  # Tune's own handler is not installed now
            raise Interrupted("Stopped by SIGTERM.")
        os.kill(os.getpid(), signal.SIGUSR1)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield stopped.is_set
    finally:
        for number, handler in previous.items():  # Tune leaves its own in place
            signal.signal(number, handler)


def _trainable(config: dict[str, Any], location: str, execution: Execution) -> None:
    """What a Tune trial does: run a pack of our trials in a child process, then write their rows.

    Failures of trials become rows. A row that cannot be written is reported, not raised: on an exception Tune would run
    the trials again, with the disk still full.
    """
    from ray import tune

    pack, store = tuple(TrialSpec(**fields) for fields in config["pack"]), Store(location)
    with noted(store, pack, execution.gpu_fraction > 0):
        records = run_pack_isolated(pack, execution)
    try:
        for record in records:
            store.write(record)
    except OSError as error:
        tune.report({_METRIC: 0, "write_error": str(error)})
        return
    tune.report(
        {_METRIC: 1, "finished": json.dumps([dataclasses.asdict(TrialSummary.of(record)) for record in records])}
    )


class DriverOnly:
    """A reference to the trials in flight that Tune can pickle; the unpickled copy is empty.

    Tune pickles its searcher and its callbacks when it starts and in every snapshot. The trials in flight hold what
    cannot be pickled (the terminal of the live view) and what grows with the campaign (the schedule). Snapshots are
    never read.
    """

    def __init__(self, in_flight: InFlight | None) -> None:
        self._in_flight = in_flight

    @property
    def in_flight(self) -> InFlight:
        """The trials in flight; only the driver's own reference has it."""
        if self._in_flight is None:
            raise RuntimeError("This is a pickled copy of Tune's searcher or callback; only the driver's own works.")
        return self._in_flight

    def __reduce__(self) -> tuple[type[DriverOnly], tuple[None]]:
        """Pickle as an empty reference."""
        return DriverOnly, (None,)

    def __deepcopy__(self, memo: object) -> DriverOnly:
        """A copy within the driver refers to the same object."""
        return self


def _searcher_over(driver: DriverOnly) -> Any:
    """A Tune searcher that asks what to run next. Defined in a function because its base class needs ray."""
    from ray.tune.search import Searcher

    class InFlightSearcher(Searcher):
        def __init__(self) -> None:
            super().__init__(metric=_METRIC, mode="max")

        def suggest(self, trial_id: str) -> Any:
            pack = driver.in_flight.give(trial_id)
            if pack is not None:
                return {"pack": [dataclasses.asdict(spec) for spec in pack]}
            return None if driver.in_flight.is_waiting else Searcher.FINISHED

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            driver.in_flight.take(trial_id, result or {}, was_lost=error)

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the rows are the only state."""

        def restore(self, checkpoint_path: str) -> None:
            """Nothing: the rows are the only state."""

    return InFlightSearcher()


def _counter_of_losses(driver: DriverOnly) -> Any:
    """A Tune callback that counts lost workers whose trials Tune retries itself. In a function for the same reason."""
    from ray.tune import Callback

    class CounterOfLosses(Callback):
        def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            driver.in_flight.count_loss(trial.trial_id)

    return CounterOfLosses()


def _run_timing(timing: Sequence[TrialSpec], store: Store, execution: Execution, progress: Progress) -> None:
    """Run the timing trials one at a time, each with a node to itself: all CPUs of the largest one, on a GPU of one.

    Raises:
        ResultsError: when a row cannot be written.
    """
    import ray

    if not timing:
        return
    num_gpus = 1 if execution.gpu_fraction else 0
    num_cpus = most_cpus(ray.nodes(), num_gpus)
    timed = ray.remote(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=MAX_WORKER_LOSSES)(_time_one)
    for spec in timing:
        progress.given_out((spec,))
        try:
            finished = ray.get(timed.remote(spec, store.address, execution))
        except ray.exceptions.RayTaskError as error:
            raise ResultsError(f"A row could not be written to {store.location}: {error.cause}.") from error
        except ray.exceptions.RayError:
            finished = record_lost_trial(spec, 1 + MAX_WORKER_LOSSES, store, execution)
        progress.ended((spec,), [finished])


def most_cpus(nodes: Sequence[Mapping[str, Any]], num_gpus: int) -> float:
    """The most CPUs of a node that has so many GPUs: more would be waited for in vain."""
    resources = [node["Resources"] for node in nodes if node["Alive"]]
    return max((each.get("CPU", 1) for each in resources if each.get("GPU", 0) >= num_gpus), default=1)


def _time_one(spec: TrialSpec, location: str, execution: Execution) -> TrialSummary:
    store = Store(location)
    with noted(store, (spec,), execution.gpu_fraction > 0):
        record = run_isolated(spec, execution)
    store.write(record)
    return TrialSummary.of(record)
