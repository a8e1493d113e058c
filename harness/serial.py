"""The campaign in this process, one trial after the other: for debugging, tests, and machines without Ray.

Each trial still runs in a child process, so that the same failures become the same rows; `harness.trial.run_trial`
is the way to run a trial's body under a debugger.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.control.files import noted
from harness.control.requests import Requests
from harness.errors import ResultsError
from harness.execution import Execution
from harness.progress import Progress
from harness.records import Pack, TrialSpec
from harness.results.store import Store
from harness.results.trial_summary import TrialSummary
from harness.schedule import Schedule
from harness.workers.interrupts import interruptible
from harness.workers.isolation import run_pack_isolated


def run(
    schedule: Schedule,
    timing: Sequence[TrialSpec],
    store: Store,
    execution: Execution,
    progress: Progress,
    requests: Requests,
) -> None:
    """Run all that is left, then the timing trials.

    Raises:
        Interrupted: on Ctrl-C or SIGTERM; a resumed run continues the running trial from its checkpoint, if any.
        ResultsError: when a row cannot be written.
    """
    with interruptible():
        while True:
            schedule = requests.taken_up(schedule, store, progress)
            pack = schedule.next()
            if pack is None:
                break
            ended = _run(pack, store, schedule.limited(execution, pack), progress)
            for spec, finished in zip(pack, ended, strict=False):
                schedule.record(spec, finished)
            progress.replanned(schedule, pack[0].cell)
            if stopped := schedule.take_stopped():
                store.drop_checkpoints(stopped)
            if not ended:
                schedule.split(pack)
        for spec in timing:
            _run((spec,), store, schedule.limited(execution, (spec,)).alone(), progress)


def _run(pack: Pack, store: Store, execution: Execution, progress: Progress) -> list[TrialSummary]:
    """Run a pack and write its rows; returns how its trials ended, or nothing if they are to run one by one."""
    progress.given_out(pack)
    with noted(store, pack, execution.gpu_fraction > 0):
        records = run_pack_isolated(pack, execution)
    try:
        for record in records:
            store.write(record)
    except OSError as error:
        raise ResultsError(f"A row could not be written to {store.location}: {error}.") from error
    ended = [TrialSummary.of(record) for record in records]
    progress.ended(pack, ended)
    return ended
