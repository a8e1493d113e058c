"""What the driver and its workers make of the nodes of a cluster.

Ray's answers are stand-ins: nodes of different sizes, with GPUs, without data, or not started yet cannot be had on one
machine. `tests/harness/campaigns` has the same code on real clusters of equal nodes on loopback.
"""

import dataclasses
from types import SimpleNamespace

import pytest
from some_records import record
from test_plan import plan_of

from harness import tuner
from harness.errors import BadInput
from harness.execution import AUTO, Execution
from harness.request import Cluster
from harness.results.store import Store
from harness.schedule import Schedule
from harness.workers.node_check import Seen
from harness.workers.nodes import Node

ON_A_CLUSTER = Cluster(address="10.0.0.1:6379")
HEAD = Node(node_id="head", address="10.0.0.1", cpus=4)
WITH_GPUS = Node(node_id="gpus", address="10.0.0.2", cpus=32, gpus=8)


@pytest.fixture
def store(tmp_path):
    prepared = Store(tmp_path / "results")
    prepared.prepare()
    return prepared


@pytest.mark.parametrize(
    ("node", "wanted", "most", "expected"),
    [
        (HEAD, {"CPU": 1.0, "GPU": 0.0}, None, 4),
        (WITH_GPUS, {"CPU": 1.0, "GPU": 0.5}, None, 16),
        (WITH_GPUS, {"CPU": 4.0, "GPU": 0.25}, None, 8),
        (WITH_GPUS, {"CPU": 1.0, "GPU": 0.5}, 3, 3),
    ],
    ids=["of the head", "of the GPUs", "where processors are short", "as many as the user lets run"],
)
def test_a_worker_shares_memory_among_the_trials_of_its_own_node(monkeypatch, store, node, wanted, most, expected):
    """The driver's machine has nothing to do with it: its processors and memory may be a tenth of the node's."""
    seen, reports = [], []
    monkeypatch.setattr(tuner, "_this_node", lambda: node)
    monkeypatch.setattr("ray.tune.report", reports.append)

    def run(pack, execution):
        seen.append(execution)
        return [record(0)]

    monkeypatch.setattr(tuner, "run_pack_isolated", run)
    config = {"pack": [dataclasses.asdict(record(0).spec)], "trial_seconds": 7.0}
    execution = Execution(most_at_once=most, gpu_fraction=wanted["GPU"])
    tuner._trainable(config, store.address, execution, wanted, None)
    assert [(each.trials_at_once, each.trial_seconds) for each in seen] == [(expected, 7.0)]
    assert reports[0]["has_ended"] == 1


def test_a_cluster_without_gpus_is_told_that_it_trains_on_processors():
    said = []
    assert tuner._placed(Execution(gpu_fraction=0.25), ON_A_CLUSTER, [HEAD], said.append).device == "cpu"
    assert said == [
        "The cluster has no GPU now, so trials run on processors. If GPU nodes are started on demand, give "
        "--gpus-per-trial and --wait-for-nodes SECONDS."
    ]
    lost = dataclasses.replace(WITH_GPUS, is_alive=False)
    assert tuner._placed(Execution(gpu_fraction=0.25), ON_A_CLUSTER, [HEAD, lost], said.append).device == "cpu"
    assert len(said) == 2


class Autoscaler:
    """Starts nodes some looks after it is asked for room."""

    def __init__(self, monkeypatch, nodes, starts, after, clock=lambda: 0.0):
        self.asked, self.looks = [], 0
        self._nodes, self._starts, self._after = nodes, starts, after
        monkeypatch.setattr(tuner, "_nodes", self.listed)
        monkeypatch.setattr("ray.autoscaler.sdk.request_resources", lambda bundles: self.asked.append(bundles))
        monkeypatch.setattr(tuner, "time", SimpleNamespace(monotonic=clock, sleep=lambda seconds: None))

    def listed(self):
        self.looks += bool(self.asked)
        return [*self._nodes, *(self._starts if self.looks >= self._after else [])]


def test_where_no_node_has_a_gpu_yet_one_is_asked_for_and_waited_for(monkeypatch):
    """As with an autoscaler that begins with no nodes: otherwise all would train on the head's processors."""
    autoscaler, said = Autoscaler(monkeypatch, [HEAD], [WITH_GPUS], after=3), []
    cluster = dataclasses.replace(ON_A_CLUSTER, gpus_per_trial=0.25, wait_seconds=600.0)
    nodes = tuner._nodes_with_room(cluster, Execution(), said.append)
    assert nodes == [HEAD, WITH_GPUS]
    assert autoscaler.asked == [[{"CPU": 1, "GPU": 1}], []], "the request is withdrawn: it would keep a node for ever"
    assert said == ["No node has the 1 CPUs and 0.25 GPUs that one trial takes; waiting up to 600 s for one to join."]


def test_a_node_that_never_comes_is_waited_for_no_longer_than_was_said(monkeypatch):
    seconds = iter(range(0, 10_000, 100))
    Autoscaler(monkeypatch, [HEAD], [WITH_GPUS], after=99, clock=lambda: next(seconds))
    cluster = dataclasses.replace(ON_A_CLUSTER, gpus_per_trial=1.0, wait_seconds=600.0)
    with pytest.raises(BadInput, match="No node has the 1 CPUs and 1 GPUs that one trial takes; lower"):
        tuner._nodes_with_room(cluster, Execution(), lambda sentence: None)


def test_a_node_that_lacks_something_is_named_before_a_trial_runs_there(monkeypatch, store):
    schedule = Schedule(plan_of(), {})
    problems = {HEAD: "", WITH_GPUS: "lacks the data of digits-mlp: /data has no file"}

    def seen_on(nodes, check, execution):
        return {node: Seen(problem=problems[node], hardware="", gpu_bytes=None) for node in nodes}

    monkeypatch.setattr(tuner, "_seen_on", seen_on)
    with pytest.raises(BadInput, match=r"^The node 10\.0\.0\.2 lacks the data of digits-mlp: /data has no file\.$"):
        tuner._checked([HEAD, WITH_GPUS], schedule, store, Execution())
    problems[WITH_GPUS] = ""
    assert tuner._checked([HEAD, WITH_GPUS], schedule, store, Execution()).passed == {"head", "gpus"}


def test_a_share_that_is_chosen_by_memory_is_that_of_the_smallest_gpu(monkeypatch, store):
    """80 GiB hold eight trials of 10 GiB, a GPU of 40 GiB four, and every trial may run on either."""
    small = dataclasses.replace(WITH_GPUS, node_id="small")
    memory = {"gpus": 80 * 2**30, "small": 40 * 2**30}
    needs = [SimpleNamespace(num_bytes=10 * 2**30, text="10.0 GiB for digits-mlp (measured, with a margin)")]
    monkeypatch.setattr("harness.times.gpu_share.needs_of", lambda plan, store, execution: needs)
    monkeypatch.setattr(
        tuner,
        "_seen_on",
        lambda nodes, check, execution: {
            node: Seen(problem="", hardware="", gpu_bytes=memory[node.node_id]) for node in nodes
        },
    )
    said = []
    cluster = dataclasses.replace(ON_A_CLUSTER, gpus_per_trial=AUTO)
    chosen = tuner._with_share(cluster, [HEAD, WITH_GPUS, small], plan_of(), store, Execution(), said.append)
    assert chosen.gpus_per_trial == 1 / 4
    assert said == ["--gpus-per-trial auto: 0.25 of a GPU each, for 10.0 GiB for digits-mlp (measured, with a margin)."]
