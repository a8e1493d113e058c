"""What the user asks a campaign to do, and the outcome of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.execution import Execution
from harness.plan import Budget
from harness.search.selection import BEST_VALIDATION
from tasks.suites import Suite


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where to run, and the share of it that one trial takes."""

    address: str | None = None
    max_workers: int | None = None  # most trials at once; None: as many as fit
    cpus_per_trial: float = 1.0
    # Share of a GPU, or `execution.AUTO`. None: `Execution.gpu_fraction` if there are GPUs, else 0.
    gpus_per_trial: float | None = None
    wait_seconds: float = 0.0  # for a node with room for a trial; above 0, the cluster starts nodes on demand
    allow_no_token: bool = False  # whether a cluster without a token may be joined


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for: a suite, or a part of it, and how to run it."""

    suite_name: str
    suite: Suite
    results: str
    sources: Sequence[str] = ()  # other results folders, whose trials count as finished; (): those of the last request
    budget: Budget
    tune_width_is_asked: bool = False  # if False, a campaign keeps the width that it began with
    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    select: str = BEST_VALIDATION.name  # a name of harness.search.selection.RULES
    serial: bool = False
    cluster: Cluster = field(default_factory=Cluster)
    execution: Execution = field(default_factory=Execution)
    switches: Mapping[str, str | bool] = field(default_factory=dict)
    file_text: str = ""  # of the campaign's file, where one was given
    retry_failed: bool = False
    download: bool = False  # whether to fetch missing data sets; if False, nothing is downloaded


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the trials of a campaign ended, in this run and earlier ones."""

    failures: Mapping[str, int]  # trials that ended without a result where there should be one, by status
    num_rejected: int  # tune trials that diverged; for a search that is a result, not a failure
