"""Packs: trials that one process runs. Mostly one; several that differ in their seed alone, where the task says so.

A pack is a way to run trials, no part of what they are: each has its own id and row, with the values that it has
alone, up to rounding. A pack of several in which anything goes wrong leaves no row; its trials then run one by one, so
that each row tells of its own trial alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.contestants import Contestant
from harness.records import TrialSpec
from tasks import TASKS
from tasks.switches import Switches

Pack = tuple[TrialSpec, ...]


def next_pack(waiting: Sequence[TrialSpec]) -> Pack:
    """The first trial that waits, and with it those that may run in one process with it, in their order."""
    first = waiting[0]
    alike = [spec for spec in waiting if replace(spec, seed=first.seed) == first]
    switches = Switches.of(first.switches) if first.switches else TASKS[first.task].switches(first.scale)
    if len(alike) == 1 or switches.text:  # what trains several seeds at once knows the plain way only
        return (first,)
    try:
        regularizers = Contestant(first.regularizer).build(first.hyperparameters)
        together = TASKS[first.task].seeds_together(regularizers, Switches.of(first.switches))
    except Exception:  # whatever it is, the trial itself will meet it, and tell in a row
        together = 1
    return tuple(alike[:together])
