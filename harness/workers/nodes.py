"""The nodes of a cluster: how many trials they hold, which are equal, and whether one is lost. Does not import Ray."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.workers import gpu_shares

Resources = Mapping[str, float]  # "CPU" and "GPU", of one trial

_ROUNDING = 1e-9  # so that 0.3 CPUs hold three trials of 0.1, although 0.3 / 0.1 is below 3 in floating point
_ANSWER_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node, as `ray.nodes()` lists it."""

    node_id: str
    address: str = ""
    port: int = 0  # of its raylet
    is_alive: bool = True
    cpus: float = 0.0
    gpus: float = 0.0

    @classmethod
    def of(cls, listed: Mapping[str, Any]) -> Node:
        """The node of an entry of `ray.nodes()`."""
        resources = listed.get("Resources", {})
        return cls(
            node_id=listed["NodeID"],
            address=listed["NodeManagerAddress"],
            port=int(listed["NodeManagerPort"]),
            is_alive=bool(listed["Alive"]),
            cpus=float(resources.get("CPU", 0)),
            gpus=float(resources.get("GPU", 0)),
        )

    def num_held(self, wanted: Resources) -> int:
        """How many trials with these resources the node runs at once; 0 if it is lost."""
        cpus, share = wanted.get("CPU", 0.0), wanted.get("GPU", 0.0)
        by_cpu = [math.floor(self.cpus / cpus + _ROUNDING)] if cpus > 0 else []
        by_gpu = [gpu_shares.num_held(self.gpus, share)] if share > 0 else []
        return min([*by_cpu, *by_gpu], default=0) if self.is_alive else 0

    def answers(self) -> bool:
        """Whether the node's raylet accepts connections; Ray itself notices a lost node after half a minute."""
        if not self.is_alive:
            return False
        try:
            socket.create_connection((self.address, self.port), timeout=_ANSWER_SECONDS).close()
        except OSError:
            return False
        return True


def num_held(nodes: Iterable[Node], wanted: Resources) -> int:
    """How many trials with these resources the nodes run at once, each on one node."""
    return sum(node.num_held(wanted) for node in nodes)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many trials run at once, and how many Tune is given, by the nodes that are there.

    Args:
        most: the most that run at once, if the user limits it.
        grows: whether the cluster starts nodes for trials that wait.
    """

    most: int | None = None
    grows: bool = False

    def at_once(self, held: int) -> int:
        """How many run at once where the nodes hold so many; at least 1."""
        return max(1, held if self.most is None else min(held, self.most))

    def given_out(self, held: int) -> int:
        """How many Tune is given at once: two more than can run, so that a free worker always has work.

        A cluster that grows is given twice as many as can run, so that it starts nodes for the rest. A limit by the
        user also holds for these: Tune starts every trial for which there is room.
        """
        wanted = held + (max(2, held) if self.grows else 2)
        return max(1, wanted if self.most is None else min(wanted, self.most))


def unused_gpus(nodes: Sequence[Node], wanted: Resources) -> str | None:
    """A sentence if a GPU holds more trials than there are processors for; None if not, or without GPUs."""
    share = wanted.get("GPU", 0.0)
    if not share:
        return None
    alive = [node for node in nodes if node.is_alive and node.gpus]
    by_gpu, held = num_held(alive, {"GPU": share}), num_held(alive, wanted)
    if held >= by_gpu:
        return None
    cpus = min(node.cpus / node.num_held({"GPU": share}) for node in alive)
    advice = f"--cpus-per-trial {math.floor(cpus * 100) / 100:g} or less uses them all" if cpus >= 0.1 else "add CPUs"
    return (
        f"{held} trials run at once, not the {by_gpu} that fit on the GPUs with --gpus-per-trial {share:g}: the nodes "
        f"with GPUs have {sum(node.cpus for node in alive):g} CPUs, and each trial takes {wanted['CPU']:g}; {advice}."
    )


def equal_nodes(nodes: Sequence[Node], hardware: Mapping[str, str], num_gpus: int) -> list[Node]:
    """The nodes for timing trials: with so many GPUs, equal in hardware and resources, and as many as possible.

    Among groups with equally many nodes, the one with more CPUs per node.

    Args:
        nodes: those of the cluster.
        hardware: node_id -> hardware key; nodes without one are left out.
        num_gpus: of one timing trial.
    """
    groups: dict[tuple[str, float, float], list[Node]] = {}
    for node in nodes:
        if node.is_alive and node.node_id in hardware and node.cpus > 0 and node.gpus >= num_gpus:
            groups.setdefault((hardware[node.node_id], node.cpus, node.gpus), []).append(node)
    return max(groups.values(), key=lambda group: (len(group), group[0].cpus), default=[])
