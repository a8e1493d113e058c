"""The nodes of a cluster: how many trials they hold as they come and go, which are equal, which are lost.

Nodes are made up: there are no machines with several GPUs here.
"""

import socket

import pytest

from harness.workers.nodes import Limits, Node, equal_nodes, num_held, unused_gpus


def node(name="", **fields):
    return Node(node_id=name, **fields)


@pytest.mark.parametrize(
    ("nodes", "wanted", "held"),
    [
        ([node(cpus=16, gpus=1)], {"CPU": 1.0, "GPU": 0.25}, 4),
        ([node(cpus=2, gpus=8)], {"CPU": 1.0, "GPU": 0.25}, 2),
        ([node(cpus=3), node(cpus=3)], {"CPU": 2.0, "GPU": 0.0}, 2),
        ([node(cpus=8), node(cpus=8, gpus=2)], {"CPU": 1.0, "GPU": 1.0}, 2),
        ([node(cpus=16, gpus=2)], {"CPU": 1.0, "GPU": 0.4}, 4),
        ([node(cpus=16, gpus=3)], {"CPU": 1.0, "GPU": 0.6}, 3),
        ([node(cpus=32, gpus=2)], {"CPU": 1.0, "GPU": 0.1}, 20),
        ([node(cpus=0.3)], {"CPU": 0.1, "GPU": 0.0}, 3),
        ([node(cpus=4), node(cpus=4, is_alive=False)], {"CPU": 1.0, "GPU": 0.0}, 4),
        ([node(cpus=0)], {"CPU": 1.0, "GPU": 0.0}, 0),
    ],
    ids=[
        "GPU is short",
        "CPUs are short",
        "none across nodes",
        "only where there are GPUs",
        "two on each GPU",
        "one on each GPU",
        "tenths of GPUs",
        "tenths",
        "dead",
        "head",
    ],
)
def test_so_many_trials_run_at_once_as_the_nodes_hold(nodes, wanted, held):
    assert num_held(nodes, wanted) == held


@pytest.mark.parametrize(
    ("limits", "held", "at_once", "given_out"),
    [
        (Limits(), 4, 4, 6),
        (Limits(), 0, 1, 2),
        (Limits(most=2), 4, 2, 2),
        (Limits(most=16), 4, 4, 6),
        (Limits(grows=True), 4, 4, 8),
        (Limits(grows=True, most=5), 4, 4, 5),
        (Limits(grows=True), 0, 1, 2),
    ],
)
def test_tune_has_two_trials_more_than_run_and_as_many_again_on_a_cluster_that_grows(limits, held, at_once, given_out):
    assert (limits.at_once(held), limits.given_out(held)) == (at_once, given_out)


def test_gpus_that_wait_for_processors_are_told_with_what_uses_them():
    nodes = [node(cpus=16, gpus=8), node(cpus=64)]
    said = unused_gpus(nodes, {"CPU": 1.0, "GPU": 0.25})
    assert said.startswith("16 trials run at once, not the 32 that fit on the GPUs with --gpus-per-trial 0.25")
    assert said.endswith("--cpus-per-trial 0.5 or less uses them all.")
    assert unused_gpus(nodes, {"CPU": 0.5, "GPU": 0.25}) is None
    assert unused_gpus(nodes, {"CPU": 1.0, "GPU": 0.0}) is None


def names(nodes):
    return [each.node_id for each in nodes]


def test_timing_trials_run_on_the_largest_group_of_equal_nodes():
    nodes = [node("big", cpus=64), node("a", cpus=8, gpus=1), node("b", cpus=8, gpus=1), node("c", cpus=16, gpus=1)]
    alike = dict.fromkeys("abc", "one kind") | {"big": "one kind"}
    assert names(equal_nodes(nodes, alike, 1)) == ["a", "b"]
    assert names(equal_nodes(nodes, alike | {"b": "another GPU"}, 1)) == ["c"], "as many nodes, more CPUs"
    assert names(equal_nodes(nodes, alike, 0)) == ["a", "b"]
    assert names(equal_nodes(nodes, {"a": "", "c": ""}, 1)) == ["c"], "those that do not answer are left out"
    assert equal_nodes([node("big", cpus=64)], {"big": ""}, 1) == [], "a GPU that no node has is not waited for"


def test_a_node_answers_while_its_raylet_accepts_connections():
    with socket.create_server(("127.0.0.1", 0)) as raylet:
        here = node("a", address="127.0.0.1", port=raylet.getsockname()[1])
        assert here.answers()
        assert not node("a", address=here.address, port=here.port, is_alive=False).answers()
    assert not here.answers()


def test_a_node_is_read_as_ray_lists_it():
    listed = {
        "NodeID": "abc", "Alive": True, "NodeManagerAddress": "10.0.0.1", "NodeManagerPort": 1234,
        "Resources": {"CPU": 4.0, "GPU": 1.0, "memory": 1e9},
    }  # fmt: skip
    assert Node.of(listed) == node("abc", address="10.0.0.1", port=1234, cpus=4.0, gpus=1.0)
    assert Node.of(listed | {"Resources": {}}).cpus == 0
