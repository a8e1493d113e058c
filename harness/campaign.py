"""Run a campaign: lock the results folder, plan, run the missing trials, compact the files."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cells import Cell, cell_code_hash
from harness.control.account import Account
from harness.control.requests import Requests
from harness.errors import BadInput, Interrupted, ResultsError, saying
from harness.execution import Execution, placed
from harness.plan import Plan, make_plan
from harness.progress import Progress
from harness.provenance import software
from harness.records import TrialRecord, TrialSpec, utc_now
from harness.records.folders import TRIALS, Folder, open_folders
from harness.records.sources import KEY as FROM
from harness.records.sources import as_written, named_sources, opened_sources, with_sources
from harness.request import Outcome, Request
from harness.results.campaign_file import CAMPAIGN_FILE, read_campaign
from harness.results.differences import differences_from_sources
from harness.results.store import Store
from harness.results.trial_summary import TrialSummary
from harness.schedule import Schedule
from harness.terminal.text import tell
from harness.times.gpu_input_warning import gpu_input_warning
from harness.workers.compiled_code import keep_compiled_code_apart
from harness.workers.interrupts import interruptible
from harness.workers.processors import usable_cpus
from tasks.errors import DataError

KEPT = "What is finished is kept; the same command resumes."


def store_of(request: Request) -> Store:
    """The results folder of a request, with its sources: the folders of `--from`, or else those of the last request.

    Raises:
        BadInput: if a source holds no trials, or is the results folder itself.
    """
    store = Store(request.results)
    if not request.sources:
        return Store(request.results, _and_theirs(opened_sources(store.folder, named_sources(read_campaign(store)))))
    folders = open_folders(request.sources)
    for folder in folders:
        if folder.path == store.folder.path:
            raise BadInput(f"--from takes another folder than that of the results, got {folder.name}.")
        if not folder.parquet_files(TRIALS):
            is_missing = folder.is_local and not Path(folder.path).is_dir()
            where = f"; there is no such folder in {Path.cwd()}" if is_missing else ""
            raise BadInput(f"--from must be a results folder with rows below {TRIALS}/, got {folder.name}{where}.")
    return Store(request.results, _and_theirs(folders))


def _and_theirs(folders: Sequence[Folder]) -> list[Folder]:
    return with_sources(folders) if folders else []


def plan_campaign(request: Request, store: Store) -> Plan:
    """The plan of a request. Writes no files and runs no trials.

    Raises:
        BadInput: for unknown names, impossible values, or a folder that holds another suite.
    """
    keep_compiled_code_apart()  # before networks are built
    known = read_campaign(store)
    if known is not None and known["suite"] != request.suite_name:
        raise BadInput(
            f"{request.results} holds a campaign of the suite {known['suite']!r}, not of {request.suite_name!r}; "
            "choose another folder with --results."
        )
    campaign_id = known["campaign_id"] if known else secrets.token_hex(8)
    return make_plan(
        request.suite_name,
        request.suite,
        dataclasses.replace(request.budget, tune_width=_tune_width(request, store)),
        campaign_id,
        only=request.only,
        skip=request.skip,
        switches=request.switches,
        select=request.select,
    )


def _tune_width(request: Request, store: Store) -> int:
    """The width of the studies: the one that the campaign, or that of a source, began with, else the requested one.

    Raises:
        BadInput: if another width or halving is requested than the campaign has, or campaign.json holds no valid width.
    """
    wanted = request.budget.tune_width
    where, begun = _begun_searches(store)
    if not begun or not request.budget.is_tuned:
        return wanted
    if bool(begun[-1].get("halving", False)) != request.budget.halving:
        how = "without" if request.budget.halving else "with"
        raise BadInput(
            f"The searches of the campaign in {where} began {how} --halving, and would propose other trials "
            f"now; go on {how} it, or choose another folder with --results."
        )
    width = begun[-1].get("tune_width", 1)  # older versions wrote none
    if not isinstance(width, int) or isinstance(width, bool) or width < 1:
        raise BadInput(
            f"{where}/{CAMPAIGN_FILE} must hold whole numbers of at least 1 as 'tune_width', got {width!r}; "
            "correct it, or remove the file: the trials are kept, and the next run writes a new one."
        )
    if request.tune_width_is_asked and wanted != width:
        raise BadInput(
            f"The studies of the campaign in {where} have width {width}, and --tune-width {wanted} would "
            "propose other trials; leave it out, or choose another folder with --results."
        )
    return width


def _begun_searches(store: Store) -> tuple[str, list[Mapping[str, Any]]]:
    """A folder's name, and its earlier requests with tune trials: the campaign's, or those of the first such source.

    They count only where tune trials are stored: a run that could not join its cluster made no proposals.
    """
    for location in (store.location, *(source.name for source in store.sources)):
        folder = Store(location)
        known = read_campaign(folder)
        requests = known["requests"] if known else []
        begun = [each for each in requests if each.get("tune_trials") or each.get("tune_epochs")]
        if begun and folder.holds("tune"):
            return location, begun
    return store.location, []


def run_campaign(request: Request, announce: Callable[[str], None] = tell) -> Outcome:
    """Run all trials that are missing. The same request again resumes; a larger one extends.

    Args:
        request: what to run, and how.
        announce: is called with each sentence for the user, such as that data differ from the official release.

    Raises:
        BadInput, CampaignLocked, Interrupted, ResultsError: see harness.errors.
    """
    store = store_of(request)
    plan = plan_campaign(request, store)
    for sentence in plan.left_out:
        announce(sentence)
    with saying(KEPT), interruptible():
        request = dataclasses.replace(request, execution=_execution(request, plan, store))
        _check_data(plan, request, announce)
        for sentence in differences_from_sources(plan, store, request.execution):
            announce(sentence)
        store.prepare()
        with store.lock() as notice:
            if notice:
                announce(notice)
            return _run_missing(request, plan, store, announce)


@contextlib.contextmanager
def _writing(store: Store) -> Iterator[None]:
    """A context that turns an OSError, raised by access to the results folder, into a ResultsError."""
    try:
        yield
    except OSError as error:
        raise ResultsError(f"{store.location} cannot be written any more ({error}).") from error


def _run_missing(request: Request, plan: Plan, store: Store, announce: Callable[[str], None]) -> Outcome:
    """Run the missing trials; the caller holds the campaign's lock."""
    with _writing(store):
        stored = store.finished()
        for name in store.damaged:
            announce(f"{name} is damaged: it was renamed to *.damaged, and its trials run again.")
        if request.retry_failed:
            failed = Schedule(plan, stored, proposals=store.proposals).failed(stored).keys() - store.borrowed
            store.retry(failed)
            stored = {trial_id: done for trial_id, done in stored.items() if trial_id not in failed}
        store.drop_checkpoints([trial_id for trial_id, done in stored.items() if done.status != "pruned"])
        _note_request(store, plan, request)
        _write_skipped(store, plan, stored)
    outcome = _run(request, plan, store, stored, announce)
    with _writing(store):
        if not (request.only or request.skip):  # otherwise cells that were left out may still need theirs
            store.drop_checkpoints()  # all cells are complete, so what is left belongs to older code or settings
        store.compact()
    return outcome


def _run(
    request: Request, plan: Plan, store: Store, stored: dict[str, TrialSummary], announce: Callable[[str], None]
) -> Outcome:
    if notice := gpu_input_warning(plan, request):
        announce(notice)
    schedule = Schedule(plan, stored, proposals=store.proposals)
    timing = [spec for spec in plan.timing_specs() if spec.trial_id not in stored]
    known = schedule.known_trials()
    num_done = sum(trial_id in stored for trial_id in known)
    if num_done:
        borrowed = len(store.borrowed.intersection(known))
        where = f", {borrowed} of them in {' and '.join(each.name for each in store.sources)}" if borrowed else ""
        announce(f"{num_done} trials of this campaign are finished already{where}.")
    progress = Progress(plan, num_workers=1)
    progress.already(known, stored)
    progress.replanned(schedule)
    with progress, Account(store, plan.suite, progress.standing) as account, _stopped_by_request(account.requests):
        if request.serial:
            from harness import serial

            serial.run(schedule, timing, store, request.execution, progress, account.requests)
        else:
            from harness import tuner

            run = schedule, timing, store, request.execution, progress, request.cluster, account.requests
            tuner.run(*run, announce=announce)
    return Outcome(
        failures=progress.failures,
        num_rejected=progress.num_rejected,
    )


@contextlib.contextmanager
def _stopped_by_request(requests: Requests) -> Iterator[None]:
    """A context in which an interruption that `regarena stop` caused says so in its message."""
    try:
        yield
    except Interrupted as error:
        if requests.stop.is_set():
            raise Interrupted("Stopped by `regarena stop`.") from error
        raise


def _execution(request: Request, plan: Plan, store: Store) -> Execution:
    """The execution settings of this campaign's trials. With Ray the device is set later, when the cluster is joined.

    Raises:
        BadInput: with --serial, if a trial needs more CPUs than this process may use, or a GPU that is not there.
    """
    execution = dataclasses.replace(
        request.execution,
        cpus_per_trial=request.cluster.cpus_per_trial,
        most_at_once=1 if request.serial else request.cluster.max_workers,
        checkpoint_location=store.address,
        needs_cuda=tuple(dict.fromkeys(n for cell in plan.running_cells for n in plan.switches_of(cell).for_cuda)),
        preload=tuple(dict.fromkeys(cell.task_name for cell in plan.running_cells if not cell.definition)),
        preload_modules=tuple(dict.fromkeys(name for cell in plan.running_cells for name in cell.task.libraries)),
    )
    if not request.serial:
        return execution
    num_cpus = usable_cpus()
    if request.cluster.cpus_per_trial > num_cpus:
        wanted = request.cluster.cpus_per_trial
        raise BadInput(f"--cpus-per-trial must be at most what this process may use, {num_cpus}, got {wanted:g}.")
    return placed(execution, request.cluster.gpus_per_trial)


def _check_data(plan: Plan, request: Request, announce: Callable[[str], None]) -> None:
    """Check every task's data before anything runs: with missing or damaged data each trial would fail.

    A copy that differs from the official release is used; the user is told so once.

    Raises:
        BadInput: if data is missing or damaged.
    """
    notices: dict[str, None] = {}  # in order; tasks on the same data have the same notice
    for name, task in {cell.task_name: cell.task for cell in plan.running_cells}.items():
        folder = request.execution.data_folder_of(name)
        folder = folder.absolute() if folder else None
        try:
            task.check_data(folder, request.download)
            if task.needs_data:
                task.dataset_fingerprint(folder)  # reads all of it
                notices |= dict.fromkeys(filter(None, [task.data_notice(folder)]))
        except DataError as error:
            raise BadInput(str(error)) from error
    for notice in notices:
        announce(notice)


def _note_request(store: Store, plan: Plan, request: Request) -> None:
    """Append this request to campaign.json."""
    known = read_campaign(store) or {"campaign_id": plan.campaign_id, "suite": plan.suite, "requests": []}
    asked: dict[str, Any] = {
        "at": utc_now().isoformat(timespec="seconds"),
        **dataclasses.asdict(plan.budget),
        "only": list(request.only),
        "skip": list(request.skip),
        "selection": plan.selection.name,
        "switches": dict(plan.switches),
        "software": software(),
        **({"file": request.file_text} if request.file_text else {}),
        **({FROM: [as_written(store.folder, each) for each in store.sources]} if store.sources else {}),
    }
    known["requests"].append(asked)
    store.write_json(CAMPAIGN_FILE, known)


def _write_skipped(store: Store, plan: Plan, stored: dict[str, TrialSummary]) -> None:
    """Write a row for each skipped cell, so that the tables can say why it has no trials."""
    for cell in plan.cells:
        if cell.skip_reason is None:
            continue
        record = skipped_record(plan, cell)
        if record.trial_id not in stored:
            store.write(record)


def skipped_record(plan: Plan, cell: Cell) -> TrialRecord:
    """The row of a cell that is skipped."""
    spec = TrialSpec(
        task=cell.task_name,
        regularizer=cell.regularizer,
        hyperparameters={},
        seed=0,
        role="default",
        scale=cell.scale,
        code_hash=cell_code_hash(cell.task_name, cell.regularizer, cell.definition),
        definition=cell.definition,
        campaign_id=plan.campaign_id,
        suite=plan.suite,
    )
    now = utc_now()
    values = {
        "reason": cell.skip_reason,
        "dataset": cell.task.dataset,
        "architecture": cell.task.architecture,
        "metric": cell.task.metric,
        "higher_is_better": cell.task.higher_is_better,
        "attempts": 0,
        "started_at": now,
        "finished_at": now,
        **software(),
    }
    return TrialRecord(spec=spec, status="skipped", values=values)
