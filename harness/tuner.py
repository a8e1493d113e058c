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
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from harness.control.files import node_of, noted
from harness.control.requests import Requests
from harness.errors import BadInput, Interrupted, RegarenaError, ResultsError
from harness.execution import AUTO, Execution
from harness.in_flight import MAX_WORKER_LOSSES, DriverOnly, InFlight
from harness.records import TrialSpec
from harness.results.store import Store
from harness.results.trial_summary import TrialSummary
from harness.times.timing_nodes import TimingRun
from harness.workers.cluster import environment_of_ours, environment_to_join, python_path
from harness.workers.environment import environment
from harness.workers.interrupts import ended_by_signals, ended_within, interruptible
from harness.workers.isolation import run_isolated, run_pack_isolated
from harness.workers.node_check import NODES_FILE, NodeCheck, Seen, cannot_run, data_of, problem_of_late_node, seen_here
from harness.workers.nodes import Limits, Node, Resources, num_held, unused_gpus
from harness.workers.processors import usable_cpus
from harness.workers.temporary_folders import short_folder, temporary_folder

if TYPE_CHECKING:  # the workers import this module too, and must not import torch: their fork servers do
    from ray import tune

    from harness.plan import Plan
    from harness.progress import Progress
    from harness.request import Cluster
    from harness.schedule import Schedule

_NOISY_LOGGERS = ("ray", "ray.tune.analysis.experiment_analysis", "ray.tune.tune", "ray.tune.execution.tune_controller")
_OBJECT_STORE_BYTES = 100 * 2**20  # no data travels through it
_GRACE_SECONDS = 5.0  # for a clean end after a signal, which may also have ended Ray's own processes
_METRIC = "has_ended"  # Tune aborts the run if a report lacks its metric; our values are reported beside it, as text
_NO_LIMIT = 10**6
_NODES_SECONDS = 5.0  # from one look at the cluster's nodes to the next
_LOOK_SECONDS = 1800.0  # for a node to read its copy of the data
_MAX_RELAUNCHES = 3  # of the Tune run itself, while it still brings new rows


def run(
    schedule: Schedule,
    timing: Sequence[TrialSpec],
    store: Store,
    execution: Execution,
    progress: Progress,
    cluster: Cluster,
    requests: Requests,
    announce: Callable[[str], None],
) -> None:
    """Run all that is left, then the timing trials, each with a node to itself.

    `announce` is called with each sentence for the user.

    Raises:
        BadInput: when the cluster cannot be joined or cannot hold a trial.
        Interrupted: on Ctrl-C or SIGTERM; finished trials are stored.
        RegarenaError: when a node that joined later cannot run trials.
        ResultsError: when rows cannot be written.
    """
    with (
        ended_within(_GRACE_SECONDS) as ending,
        ending.watched(ends_with_group=cluster.address is None),
        _connected(cluster),
        interruptible(),
    ):
        nodes = _nodes_with_room(cluster, execution, announce)
        cluster = _with_share(cluster, nodes, schedule.plan, store, execution, announce)
        execution = _placed(execution, cluster, nodes, announce)
        wanted = _resources(cluster, execution)
        _check_room(nodes, wanted, cluster)  # again, since the share of a GPU is known only now
        if notice := unused_gpus(nodes, wanted):
            announce(notice)
        check = None
        if cluster.address is None:  # a Ray of our own starts its workers in a folder of its own
            execution = replace(execution, working_folder=os.getcwd())
        else:
            check = _checked([node for node in nodes if node.num_held(wanted)], schedule, store, execution)
        schedule = _fit(schedule, store, execution, progress, cluster, requests, check)
        alone = execution.alone()
        TimingRun(_RayNodes(store, alone), store, alone, progress, schedule).run(timing)


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


def _nodes() -> list[Node]:
    import ray

    return [Node.of(listed) for listed in ray.nodes()]


def _nodes_with_room(cluster: Cluster, execution: Execution, announce: Callable[[str], None]) -> list[Node]:
    """The cluster's nodes, as soon as one of them has room for a trial.

    Raises:
        BadInput: if none has within the time of `--wait-for-nodes`.
    """
    fraction = 1.0 if cluster.gpus_per_trial == AUTO else min(1.0, cluster.gpus_per_trial or 0.0)
    wanted = {"CPU": cluster.cpus_per_trial, "GPU": fraction}
    deadline = time.monotonic() + cluster.wait_seconds
    if not num_held(_nodes(), wanted) and cluster.wait_seconds:
        announce(f"No node has {_in_words(wanted)}; waiting up to {cluster.wait_seconds:g} s for one to join.")
        _ask_for_nodes(wanted)
    while not num_held(nodes := _nodes(), wanted) and time.monotonic() < deadline:
        time.sleep(min(_NODES_SECONDS, cluster.wait_seconds))
    if cluster.wait_seconds:
        _ask_for_nodes({})
    _check_room(nodes, wanted, cluster)
    return nodes


def _check_room(nodes: Sequence[Node], wanted: Resources, cluster: Cluster) -> None:
    """Make sure that some node has room for a trial with these resources.

    Raises:
        BadInput: if none does.
    """
    if num_held(nodes, wanted):
        return
    if wanted["GPU"] and cluster.address is None and not any(node.gpus for node in nodes):
        raise BadInput(f"--gpus-per-trial {wanted['GPU']:g} was asked for, but this machine has no GPU.")
    advice = "" if cluster.address is None else ", or wait for nodes that join later with --wait-for-nodes SECONDS"
    raise BadInput(f"No node has {_in_words(wanted)}; lower --cpus-per-trial or --gpus-per-trial{advice}.")


def _in_words(wanted: Resources) -> str:
    return f"the {wanted['CPU']:g} CPUs and {wanted['GPU']:g} GPUs that one trial takes"


def _ask_for_nodes(wanted: Resources) -> None:
    """Ask the autoscaler, if there is one, for a node with these resources; {} withdraws the request."""
    from ray.autoscaler.sdk import request_resources

    bundle = {name: math.ceil(amount) for name, amount in wanted.items() if amount > 0}
    request_resources(bundles=[bundle] if bundle else [])


def _with_share(
    cluster: Cluster,
    nodes: Sequence[Node],
    plan: Plan,
    store: Store,
    execution: Execution,
    announce: Callable[[str], None],
) -> Cluster:
    """The cluster with the share of a GPU that one trial takes, where it follows from the trials' memory.

    Raises:
        BadInput: if a trial is to have several GPUs, or does not fit on one.
    """
    asked = cluster.gpus_per_trial
    if asked is None or 0 <= asked <= 1:
        return cluster
    from harness.times.gpu_share import needs_of, refused_several, share_of_gpu, smallest  # loads torch

    needs = needs_of(plan, store, execution)
    if asked > 1:
        raise refused_several(asked, needs)
    seen = _seen_on([node for node in nodes if node.is_alive and node.gpus], None, execution)
    gpu_bytes = smallest({node.node_id: each.gpu_bytes for node, each in seen.items() if isinstance(each, Seen)})
    share = share_of_gpu(needs, gpu_bytes)
    announce(f"--gpus-per-trial auto: {share:g} of a GPU each" + (f", for {needs[0].text}." if needs else "."))
    return replace(cluster, gpus_per_trial=share)


def _placed(
    execution: Execution, cluster: Cluster, nodes: Sequence[Node], announce: Callable[[str], None]
) -> Execution:
    """The execution with device and GPU share, according to the cluster's GPUs.

    Raises:
        BadInput: if trials need a GPU and get none.
    """
    has_gpu = any(node.gpus for node in nodes if node.is_alive)
    if not has_gpu and cluster.gpus_per_trial is None and cluster.address is not None:
        announce(
            "The cluster has no GPU now, so trials run on processors. If GPU nodes are started on demand, give "
            "--gpus-per-trial and --wait-for-nodes SECONDS."
        )
    wanted = execution.gpu_fraction if has_gpu else 0.0
    return execution.placed(wanted if cluster.gpus_per_trial is None else cluster.gpus_per_trial)


def _resources(cluster: Cluster, execution: Execution) -> dict[str, float]:
    """What one trial takes of a node."""
    return {"CPU": cluster.cpus_per_trial, "GPU": execution.gpu_fraction}


def _checked(nodes: Sequence[Node], schedule: Schedule, store: Store, execution: Execution) -> NodeCheck:
    """Make sure that every node has our code, sees the results folder and has the data; returns what was checked.

    Raises:
        BadInput: if not, with the node and what to change.
    """
    campaign = secrets.token_hex(8)
    store.write_json(NODES_FILE, {"campaign": campaign})
    data = data_of({cell.task_name: (cell.task, cell.definition) for cell in schedule.plan.running_cells}, execution)
    check = NodeCheck(location=store.address, written=campaign, data=data)
    for node, seen in _seen_on(nodes, check, execution).items():
        if isinstance(seen, Exception):
            raise BadInput(f"The node {node.address} {cannot_run(seen)}.") from seen
        if seen.problem:
            raise BadInput(f"The node {node.address} {seen.problem}.")
    return replace(check, passed=frozenset(node.node_id for node in nodes))


def _seen_on(nodes: Sequence[Node], check: NodeCheck | None, execution: Execution) -> dict[Node, Seen | Exception]:
    """What each node reports about itself; all are asked at the same time. An exception stands for a failed answer."""
    import ray

    # The process ends afterwards: it would keep the memory that it took on a GPU.
    look = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(seen_here)
    asked = {node: look.options(scheduling_strategy=_only_on(node)).remote(check, execution) for node in nodes}
    seen: dict[Node, Seen | Exception] = {}
    for node, answer in asked.items():
        try:
            seen[node] = ray.get(answer, timeout=_LOOK_SECONDS)
        except Exception as error:
            seen[node] = error
    return seen


def _fit(
    schedule: Schedule,
    store: Store,
    execution: Execution,
    progress: Progress,
    cluster: Cluster,
    requests: Requests,
    check: NodeCheck | None = None,
) -> Schedule:
    """Run Tune until the schedule is empty; start it again after an abort, as long as each run brings new rows.

    Returns the schedule in which all trials have ended: retries and new starts replace the one that was given.
    """
    for relaunches_left in reversed(range(1 + _MAX_RELAUNCHES)):
        before = progress.num_run
        schedule, error = _fit_once(schedule, store, execution, progress, cluster, requests, check)
        if error is None:
            break
        if progress.num_run == before or not relaunches_left:
            raise error
        progress.all_lost()
        schedule = schedule.again(store.finished())
    return schedule


def _fit_once(
    schedule: Schedule,
    store: Store,
    execution: Execution,
    progress: Progress,
    cluster: Cluster,
    requests: Requests,
    check: NodeCheck | None,
) -> tuple[Schedule, Exception | None]:
    """One Tune run; returns the schedule as it is now, and the error that ended the run early, or None."""
    resources = _resources(cluster, execution)
    room = _Room(resources, Limits(most=cluster.max_workers, grows=cluster.wait_seconds > 0), progress)
    in_flight = InFlight(
        schedule, store, execution, progress, requests, room.given_out, _Evictions(store).has_lost_node
    )
    with temporary_folder(tempfile.gettempdir()) as scratch:
        tuner = _tuner_over(in_flight, store, execution, resources, check, scratch)
        with ended_by_signals() as was_stopped:
            try:
                tuner.fit()
            except Exception as error:
                if was_stopped():  # the signal ended Ray's processes too; Tune's error about that is expected
                    raise Interrupted("Stopped by SIGTERM.") from error
                return in_flight.schedule, error
    if in_flight.write_error:
        raise ResultsError(f"Rows could not be written to {store.location}: {in_flight.write_error}.")
    if in_flight.node_problem:
        raise RegarenaError(in_flight.node_problem)
    if not in_flight.is_finished:
        raise Interrupted("Stopped by a signal.")
    return in_flight.schedule, None


class _Room:
    """How many trials Tune may have at once, by the nodes of the cluster now; nodes come and go during a run."""

    def __init__(self, wanted: Resources, limits: Limits, progress: Progress) -> None:
        self._wanted, self._limits, self._progress = wanted, limits, progress
        self._held, self._looked_at = 0, -math.inf

    def given_out(self) -> int:
        """The number of trials that Tune may have; looks at the cluster's nodes every few seconds."""
        now = time.monotonic()
        if now - self._looked_at > _NODES_SECONDS:
            self._looked_at, self._held = now, num_held(_nodes(), self._wanted)
            self._progress.num_workers = self._limits.at_once(self._held)
        return self._limits.given_out(self._held)


class _Evictions:
    """Tells whether a trial was lost together with its node; such a loss does not count against the trial."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lost: set[str] = set()  # ids of nodes; an id never comes back

    def has_lost_node(self, spec: TrialSpec) -> bool:
        """Whether the node that a lost trial ran on is gone; if it had not begun to run, whether any node is gone."""
        node_id = node_of(self._store, spec)
        if node_id is None:
            return not all(node.answers() for node in _nodes())
        if node_id not in self._lost and any(node.node_id == node_id and node.answers() for node in _nodes()):
            return False
        self._lost.add(node_id)
        return True


def _tuner_over(
    in_flight: InFlight,
    store: Store,
    execution: Execution,
    resources: Resources,
    check: NodeCheck | None,
    scratch: str,
) -> tune.Tuner:
    from ray import tune

    driver = DriverOnly(in_flight)
    trainable = tune.with_parameters(
        _trainable, location=store.address, execution=execution, wanted=resources, check=check
    )
    return tune.Tuner(
        tune.with_resources(trainable, {name.lower(): amount for name, amount in resources.items()}),
        tune_config=tune.TuneConfig(
            search_alg=_searcher_over(driver),
            num_samples=-1,  # until the searcher says that it is finished
            max_concurrent_trials=_NO_LIMIT,  # the searcher has its own, which follows the nodes
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


def _trainable(
    config: dict[str, Any], location: str, execution: Execution, wanted: Resources, check: NodeCheck | None
) -> None:
    """What a Tune trial does: run a pack of our trials in a child process, then write their rows.

    Failures of trials become rows. A row that cannot be written is reported, not raised: after an exception Tune would
    run the trials again, with the disk still full. So are a node that cannot run trials, and a process that cannot be
    started, since Tune does not pass on the cause of an exception.
    """
    from ray import tune

    pack, node = tuple(TrialSpec(**fields) for fields in config["pack"]), _this_node()
    if check is not None and (problem := problem_of_late_node(check, node.node_id)):
        tune.report({_METRIC: 0, "node_problem": f"The node {node.address} {problem}."})
        return
    store = Store(location)  # not before the check: a node without credentials cannot open it
    held = Limits(most=execution.most_at_once).at_once(node.num_held(wanted))
    execution = replace(execution, trials_at_once=held, trial_seconds=config["trial_seconds"])
    with noted(store, pack, execution.gpu_fraction > 0, node.node_id):
        try:
            records = run_pack_isolated(pack, execution)
        except (OSError, EOFError) as error:
            tune.report({_METRIC: 0, "not_started": f"{type(error).__name__}: {error}"})
            return
    try:
        for record in records:
            store.write(record)
    except OSError as error:
        tune.report({_METRIC: 0, "write_error": str(error)})
        return
    tune.report(
        {_METRIC: 1, "finished": json.dumps([dataclasses.asdict(TrialSummary.of(record)) for record in records])}
    )


@lru_cache(maxsize=1)
def _this_node() -> Node:
    """The node of this worker."""
    import ray

    node_id = ray.get_runtime_context().get_node_id()
    return next((node for node in _nodes() if node.node_id == node_id), Node(node_id=node_id))


def _searcher_over(driver: DriverOnly) -> Any:
    """A Tune searcher that asks what to run next. Defined in a function because its base class needs ray."""
    from ray.tune.search import Searcher

    class InFlightSearcher(Searcher):
        def __init__(self) -> None:
            super().__init__(metric=_METRIC, mode="max")

        def suggest(self, trial_id: str) -> Any:
            pack = driver.in_flight.give(trial_id)
            if pack is not None:
                seconds = driver.in_flight.trial_seconds(pack)
                return {"pack": [dataclasses.asdict(spec) for spec in pack], "trial_seconds": seconds}
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


class _RayNodes:
    """The nodes of Ray's cluster, for timing trials: see `NodesOfCluster`."""

    def __init__(self, store: Store, execution: Execution) -> None:
        self._store, self._execution = store, execution

    def nodes(self) -> list[Node]:
        return _nodes()

    def hardware(self, nodes: Sequence[Node]) -> Mapping[str, str]:
        if len(nodes) == 1:
            return {nodes[0].node_id: ""}
        seen = _seen_on(nodes, None, self._execution)
        return {node.node_id: each.hardware for node, each in seen.items() if isinstance(each, Seen)}

    def start(self, spec: TrialSpec, node: Node, num_gpus: int, execution: Execution) -> Any:
        import ray

        # Retries are ours: Ray would wait for a node that is lost.
        timed = ray.remote(num_cpus=node.cpus, num_gpus=num_gpus, max_retries=0)(_time_one)
        return timed.options(scheduling_strategy=_only_on(node)).remote(spec, self._store.address, execution)

    def first_ended(self, tokens: Sequence[Any]) -> tuple[Any, TrialSummary | None]:
        import ray

        (ended, *_), _ = ray.wait(list(tokens))
        try:
            return ended, ray.get(ended)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError:
            return ended, None


def _only_on(node: Node) -> Any:
    """Ray's scheduling strategy for one node and no other."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node.node_id, soft=False)


def _time_one(spec: TrialSpec, location: str, execution: Execution) -> TrialSummary:
    store = Store(location)
    with noted(store, (spec,), execution.gpu_fraction > 0):
        record = run_isolated(spec, execution)
    try:
        store.write(record)
    except OSError as error:
        raise ResultsError(f"A row could not be written to {store.location}: {error}.") from error
    return TrialSummary.of(record)
