"""Timing trials on a cluster: on equal nodes at once, one to a node, whatever nodes are lost. Does not import Ray."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import RegarenaError
from harness.in_flight import MAX_EVICTIONS, MAX_WORKER_LOSSES, record_lost_trial
from harness.workers.nodes import Node, equal_nodes

if TYPE_CHECKING:  # the workers import this module through the tuner, and must not import torch
    from harness.execution import Execution
    from harness.progress import Progress
    from harness.records import TrialSpec
    from harness.results.store import Store
    from harness.results.trial_summary import TrialSummary
    from harness.schedule import Schedule


class NodesOfCluster(Protocol):
    """The nodes of a cluster, and how a timing trial is run on one of them."""

    def nodes(self) -> list[Node]:
        """The nodes that are there now."""

    def hardware(self, nodes: Sequence[Node]) -> Mapping[str, str]:
        """node_id -> hardware key, of those of these nodes that answer."""

    def start(self, spec: TrialSpec, node: Node, num_gpus: int, execution: Execution) -> Any:
        """Start a trial on a node, with all of its CPUs and so many GPUs; returns a token of the trial."""

    def first_ended(self, tokens: Sequence[Any]) -> tuple[Any, TrialSummary | None]:
        """Wait until one of these trials has ended: its token and its end, None if its worker was lost."""


class TimingRun:
    """Runs timing trials, each with a node to itself.

    Times are compared only within one kind of hardware, so all trials run on the largest group of equal nodes. A trial
    that lost its worker runs again; a node that is lost gets no more trials. When none is left, a new group is chosen.
    The schedule, in which all other trials have ended, gives the time limits.
    """

    def __init__(
        self, cluster: NodesOfCluster, store: Store, execution: Execution, progress: Progress, schedule: Schedule
    ) -> None:
        self._cluster, self._store, self._execution, self._progress = cluster, store, execution, progress
        self._schedule = schedule
        self._num_gpus = 1 if execution.gpu_fraction else 0
        self._num_losses: Counter[str] = Counter()  # of workers, by trial_id
        self._num_evictions: Counter[str] = Counter()  # of workers together with their nodes

    def run(self, timing: Sequence[TrialSpec]) -> None:
        """Run the trials. They start in this order, each as soon as a node is free.

        Raises:
            RegarenaError: when no node is left that can run them.
            ResultsError: when a row cannot be written.
        """
        waiting = deque(timing)
        running: dict[Any, tuple[TrialSpec, Node]] = {}
        free: list[Node] = []
        while waiting or running:
            if not running and not free:
                free = self._equal_nodes()
            while waiting and free:
                spec, node = waiting.popleft(), free.pop(0)
                self._progress.given_out((spec,))
                limited = self._schedule.limited(self._execution, (spec,))
                running[self._cluster.start(spec, node, self._num_gpus, limited)] = spec, node
            token, finished = self._cluster.first_ended(list(running))
            spec, node = running.pop(token)
            is_there = node.answers()
            if finished is None:
                finished = self._lost(spec, is_there)
            if finished is None:
                waiting.appendleft(spec)
            self._progress.ended((spec,), [] if finished is None else [finished])
            if is_there:
                free.append(node)

    def _equal_nodes(self) -> list[Node]:
        nodes = [node for node in self._cluster.nodes() if node.is_alive and node.gpus >= self._num_gpus]
        found = equal_nodes(nodes, self._cluster.hardware(nodes), self._num_gpus)
        if not found:
            what = "node with a GPU" if self._num_gpus else "node"
            raise RegarenaError(f"The timing trials cannot run: no {what} is left in the cluster.")
        self._progress.num_workers = len(found)
        return found

    def _lost(self, spec: TrialSpec, node_is_there: bool) -> TrialSummary | None:
        """Count a lost worker; the end of the trial if it has lost too many, else None."""
        counts = self._num_losses if node_is_there else self._num_evictions
        counts[spec.trial_id] += 1
        losses, evictions = self._num_losses[spec.trial_id], self._num_evictions[spec.trial_id]
        if losses <= MAX_WORKER_LOSSES and evictions <= MAX_EVICTIONS:
            return None
        return record_lost_trial(spec, losses + evictions, self._store, self._execution)
