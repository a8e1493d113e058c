"""Timing trials on a cluster that is made up: one to a node, on equal nodes at once, whatever is lost.

It is made up so that a node is lost at a chosen moment, and since nodes here have no GPUs; `test_nodes_come_and_go` has
timing trials on two real nodes.
"""

from dataclasses import dataclass, field

import pytest
from test_plan import plan_of

from harness.errors import RegarenaError
from harness.execution import Execution
from harness.progress import Progress
from harness.records import TrialSpec
from harness.results.store import Store
from harness.results.trial_summary import TrialSummary
from harness.schedule import Schedule
from harness.times.limits import FACTOR
from harness.times.timing_nodes import TimingRun
from harness.workers.nodes import Node


@dataclass(frozen=True, kw_only=True)
class FakeNode(Node):
    lost: set[str] = field(default_factory=set, compare=False)

    def answers(self):
        return self.node_id not in self.lost


@dataclass
class FakeCluster:
    """Nodes of which some are lost after so many starts on them; a trial on a lost node has no end."""

    cpus: dict[str, int]  # by node
    lost_after: dict[str, int] = field(default_factory=dict)
    kills: int = 0  # trials that lose their worker, the first ones, on nodes that stay
    starts: list[str] = field(default_factory=list)
    limits: dict[str, set[float | None]] = field(default_factory=dict)  # seconds, by task
    running: dict[int, tuple[TrialSpec, str]] = field(default_factory=dict)  # by the number of the start
    most_at_once: int = 0
    lost: set[str] = field(default_factory=set)

    def nodes(self):
        left = {name: cpus for name, cpus in self.cpus.items() if name not in self.lost}
        return [FakeNode(node_id=name, cpus=cpus, lost=self.lost) for name, cpus in left.items()]

    def hardware(self, nodes):
        return {node.node_id: "one kind" for node in nodes}

    def start(self, spec, node, num_gpus, execution):
        assert node.node_id not in [name for _, name in self.running.values()], "one to a node"
        self.starts.append(node.node_id)
        self.limits.setdefault(spec.task, set()).add(execution.trial_seconds)
        self.running[len(self.starts)] = spec, node.node_id
        self.most_at_once = max(self.most_at_once, len(self.running))
        return len(self.starts)

    def first_ended(self, tokens):
        number = min(tokens)
        spec, name = self.running.pop(number)
        if self.starts.count(name) > self.lost_after.get(name, 99):
            self.lost.add(name)
        if name in self.lost or number <= self.kills:
            return number, None
        return number, TrialSummary(spec.trial_id, "completed", None, role="timing", seconds=1.0)


@pytest.fixture
def timed(tmp_path):
    def run(cluster, stored=lambda plan: {}, **settings):
        plan = plan_of()
        store = Store(tmp_path / "results")
        store.prepare()
        with (tmp_path / "progress").open("w") as stream, Progress(plan, num_workers=1, stream=stream) as progress:
            progress.already({}, {})
            schedule = Schedule(plan, stored(plan))
            TimingRun(cluster, store, Execution(**settings), progress, schedule).run(plan.timing_specs())
        return progress, store, len(plan.timing_specs())

    return run


def test_equal_nodes_share_the_trials_and_each_has_one_at_a_time(timed):
    cluster = FakeCluster(cpus={"a": 4, "b": 4, "large": 64})
    progress, _, number = timed(cluster)
    assert progress.num_run == number == len(cluster.starts)
    assert set(cluster.starts) == {"a", "b"}
    assert cluster.most_at_once == 2


def test_what_a_lost_node_was_at_runs_on_another_one(timed):
    cluster = FakeCluster(cpus={"a": 4, "b": 4}, lost_after={"b": 1})
    progress, _, number = timed(cluster)
    assert progress.num_run == number
    assert cluster.starts.count("b") == 2
    assert not progress.failures


def test_when_a_group_is_lost_the_trials_go_to_what_is_left(timed):
    cluster = FakeCluster(cpus={"a": 4, "large": 64}, lost_after={"large": 0})
    progress, _, number = timed(cluster)
    assert progress.num_run == number
    assert cluster.starts[0] == "large"
    assert set(cluster.starts[1:]) == {"a"}


def test_a_trial_that_loses_its_worker_three_times_on_nodes_that_stay_is_recorded(timed):
    cluster = FakeCluster(cpus={"a": 4}, kills=3)
    progress, store, number = timed(cluster)
    assert progress.num_run == number
    assert [done.status for done in store.finished().values()] == ["crashed"]


@pytest.mark.parametrize(("cpus", "settings"), [({"a": 4}, {"gpu_fraction": 0.5}), ({}, {})])
def test_what_cannot_be_is_not_waited_for(timed, cpus, settings):
    with pytest.raises(RegarenaError, match="The timing trials cannot run: no node"):
        timed(FakeCluster(cpus=cpus), **settings)


def test_a_timing_trial_is_limited_by_the_known_times_of_its_task(timed):
    def one_of_100_seconds(plan):
        (spec, *_) = plan.default_specs(plan.running_cells[0])
        assert spec.task == "digits-mlp"
        return {spec.trial_id: TrialSummary(spec.trial_id, "completed", 0.5, seconds=100.0)}

    for settings, limit in (({"known_limit": True}, FACTOR * 100.0), ({}, None), ({"trial_seconds": 7.0}, 7.0)):
        cluster = FakeCluster(cpus={"a": 4})
        timed(cluster, stored=one_of_100_seconds, **settings)
        assert cluster.limits["digits-mlp"] == {limit}
