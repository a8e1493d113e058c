"""Disturbances of a run, and how they are applied one after the other until a campaign has ended."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from arena import Arena, finish
from ending import Unsound, check_end

Run = subprocess.Popen[str]
MOST_RUNS = 12  # of one campaign, before it is said to make no progress
MOST_ENDS_ALONE = 2  # of one campaign
MOST_SECONDS = 900.0  # of one run; it takes a twentieth of that where nothing else runs


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """What happens to a run once it is far enough."""

    kind: str
    act: Callable[[Run], bool]  # False: there was nothing to disturb at that moment, so try again
    kills_driver: bool = False  # the command itself is ended
    ends_run: bool = False  # the run cannot go on; the command must notice by itself
    mend: Callable[[], None] = lambda: None  # before the campaign is resumed


def run_to_its_end(
    arena: Arena,
    command: Sequence[str],
    disturbances: Sequence[Disturbance],
    rng: random.Random,
    counts: Counter[str],
    num_trials: int,
    **environment: str,
) -> None:
    """Run the command again and again, disturbed in turn, until it has ended well.

    Each disturbance waits until some more trainings have begun, and then for a part of a second.
    """
    pending = list(disturbances)
    share = num_trials / (len(pending) + 1)
    due, num_alone = rng.uniform(0, share), 0
    for _ in range(MOST_RUNS):
        started, run = time.monotonic(), arena.start(*command, **environment)
        hit: Disturbance | None = None
        while run.poll() is None and hit is None:
            if time.monotonic() - started > MOST_SECONDS:
                os.killpg(run.pid, 9)
                raise Unsound(f"a run took longer than {MOST_SECONDS:g} s: {finish(run).stderr[-3000:]}")
            time.sleep(0.05)
            if not pending or len(arena.executions) < due:
                continue
            time.sleep(rng.uniform(0, 0.6))
            if run.poll() is None and pending[0].act(run):
                disturbance = pending.pop(0)
                counts[disturbance.kind] += 1
                due = len(arena.executions) + rng.uniform(0.2, 1.0) * share
                hit = disturbance if disturbance.kills_driver or disturbance.ends_run else None
        ended = finish(run)
        if hit is not None:
            hit.mend()
        check_end(ended, was_killed=hit is not None and hit.kills_driver)
        if ended.returncode == 0:
            return
        if hit is None:  # as Ray does where a machine is so busy that its processes take each other for dead
            counts["(run that ended by itself, and was resumed)"] += 1
            if (num_alone := num_alone + 1) > MOST_ENDS_ALONE:
                raise Unsound(f"a run ended with {ended.returncode} though it could go on: {ended.stderr[-3000:]}")
    raise Unsound(f"after {MOST_RUNS} runs the campaign has not ended")
