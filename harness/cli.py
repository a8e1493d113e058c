"""The command `regarena`: parse, call, print. Heavy imports stand inside the commands that need them."""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.command.exit import Commands, run_to_its_end
from harness.command.options import RunOptions, with_run_options
from harness.command.parameters import (
    CHECK_SECONDS,
    AsCsv,
    AsJson,
    CopiedTasks,
    Folder,
    Folders,
    HookName,
    NewKind,
    OnConflict,
    SuiteName,
    TableName,
    a_location,
    names_in,
    rule,
)
from harness.command.result_commands import compare, export, importance, rank, recommend, report, stats, timing
from harness.errors import BadInput, RegarenaError, saying
from harness.terminal.text import say, tell

if TYPE_CHECKING:
    from harness.request import Request


def show_version(is_asked: bool) -> None:
    """Print the version and end, if that is what was asked for."""
    if not is_asked:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        say(f"regarena {version('regarena')}")
    except PackageNotFoundError:
        say("regarena, not installed")
    raise typer.Exit


app = typer.Typer(
    name="regarena",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def regarena(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """The arena in which neural-network regularizers compete: tuned alike, confirmed on fresh seeds, ranked."""


@app.command()
@with_run_options("run")
def run(suite: SuiteName, options: RunOptions) -> None:
    """Run a suite: tune, freeze, confirm, rank. The same command again resumes; larger budgets extend."""
    _run(_requested(suite, options))


@app.command()
@with_run_options("plan")
def plan(
    suite: SuiteName,
    options: RunOptions,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Time some training steps here, for cells without known times.")
    ] = False,
    timings: Annotated[
        list[str] | None,
        typer.Option(help="Another results folder to estimate times from; may be repeated.", callback=a_location),
    ] = None,
    cells: Annotated[bool, typer.Option("--cells", help="List each cell.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show what would run and why, how long it may take, and how small a p value its tests can reach. Runs no trial."""
    from harness.command.plan_screen import show_plan
    from harness.command.plan_table import plan_table

    request = _requested(suite, options)
    frame, notes = plan_table(request, timings or (), calibrate)
    title = f"plan of {request.suite_name} ({request.budget.scale})"
    show_plan(frame, request.budget.seeds, as_json, as_csv, title, notes, by_cell=cells)


@app.command()
@with_run_options("tune")
def tune(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help="A name from `regarena list tasks`, or FILE.toml:NAME of a task that the file defines.",
            autocompletion=names_in("tasks"),
        ),
    ],
    regularizer: Annotated[
        str,
        typer.Option(
            help="The regularizer to tune; the baseline `none` is tuned too.", autocompletion=names_in("regularizers")
        ),
    ],
    options: RunOptions,
) -> None:
    """Tune one regularizer and the baseline on one task, and confirm the winners on fresh seeds."""
    from harness.command.campaign_toml import asked_to_tune
    from harness.contestants import BASELINE, Contestant

    names = tuple(dict.fromkeys([BASELINE, Contestant(regularizer).name]))
    only = dataclasses.replace(options, only=",".join(names))  # as campaign.json records it
    _run(asked_to_tune(task, names, only).request())


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The file to write; it must not exist.")],
    architecture: Annotated[
        list[str] | None,
        typer.Option(
            help="A network of your own tasks: torchvision:NAME, timm:NAME, MODULE:FUNCTION. May be repeated."
        ),
    ] = None,
    images: Annotated[
        str | None, typer.Option(help="Folder of your own images, for these tasks.", metavar="DIR", callback=a_location)
    ] = None,
) -> None:
    """Write a commented file that describes a campaign, for `regarena run FILE.toml`."""
    from harness.command.campaign_template import write_template

    write_template(file, architecture or (), images)
    quoted = shlex.quote(str(file))
    tell(f"{file} describes a small campaign; change it, then `regarena plan {quoted}` and `regarena run {quoted}`.")


@app.command(name="list")
def list_(table: TableName, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the available tasks, suites, regularizers, architectures or datasets."""
    from harness.command.printing import show_records
    from harness.command.registries import TABLES

    names = TABLES[table.value]
    for notice in names.notices(names):
        tell(f"regarena: {notice}", sys.stderr)
    show_records([{"name": name, "what": names.summary(name)} for name in names], as_json, as_csv)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A regularizer, task, suite, architecture or data set; or columns.",
            autocompletion=names_in(*TableName),
        ),
    ],
    results: Annotated[
        list[str] | None,
        typer.Option(help="Folders with timing rows. [default: results/*, gallery/arena]", callback=a_location),
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show one entry's card: what it is, its source, settings, ranges, an example; or the columns of the files."""
    from harness.command.cards import card, say_card
    from harness.command.columns import NAME, columns_card, described_columns
    from harness.command.printing import show_records

    if name == NAME and (as_json or as_csv):
        show_records(described_columns(), as_json, as_csv)
    elif as_json or as_csv:
        raise BadInput(f"A card is text: --json and --csv go with `regarena show {NAME}` and the listings.")
    else:
        say_card(columns_card() if name == NAME else card(name, results))


@app.command()
def check(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Entries, installed packages, or Python files.")
    ],
    data: Annotated[
        Path | None, typer.Option(help="Folder of data sets, for tasks and data sets that read it.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="End the check of an entry that takes more seconds than this.", min=0.001)
    ] = CHECK_SECONDS,
) -> None:
    """Check regularizers, tasks and other entries against the laws of their kind; exit code 1 if one is broken."""
    from harness.command.check import check as reports_of

    num_findings = 0
    for checked in reports_of(*names, data_dir=data, seconds=seconds):
        for line in checked.lines():
            tell(line, flush=True)
        num_findings += len(checked.findings)
    if num_findings:
        raise RegarenaError(f"{num_findings} finding(s).")


@app.command()
def new(
    kind: Annotated[NewKind, typer.Argument(metavar="KIND", help="regularizer, task or dataset.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the entry; no other entry may have it.")],
    into: Annotated[
        str | None, typer.Option(help="The folder to write, new or empty. [default: NAME]", callback=a_location)
    ] = None,
    hook: Annotated[
        HookName | None,
        typer.Option(
            help="What the example of a regularizer changes: batches, loss or layers. [default: transform_batch]"
        ),
    ] = None,
) -> None:
    """Write a package with a regularizer, task or data set of your own: a complete example to change."""
    from harness.command.new import next_commands, write_package

    package = write_package(kind, name, into, hook)
    tell(f"{package.module} holds the {kind.value} {name}, a working example to change. Next commands:")
    for command in next_commands(package):
        say(f"  {command}")


for _command in (rank, stats, recommend, timing, compare, importance, report, export):
    app.command()(_command)


@app.command()
def status(
    folder: Folder,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until the run ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the state of a campaign: what runs where, what failed, what is left. Only reads files."""
    from harness.command.status_screen import show_status

    if watch and as_json:
        raise BadInput("--watch refreshes a window and --json prints one document; give only one of them.")
    show_status(folder, watch, as_json)


@app.command()
def stop(folder: Folder) -> None:
    """End the run that works on a campaign, from any terminal; what is finished is kept."""
    from harness.control.status import ask, await_end

    before = ask(folder, "stop")
    after = await_end(folder)
    tell(
        f"The run on {folder} has ended: {after.num_done:,} trials are done, {after.num_done - before.num_done:,} of "
        "them since the request. The same `regarena run` resumes."
    )


@app.command()
def retry(folder: Folder) -> None:
    """Let the run that works on the campaign try its failed trials again."""
    from harness.control.status import ask, last_run, read_status

    before = read_status(folder, with_failures=False)
    if not before.is_running:
        raise BadInput(
            f"No run works on {folder}: {last_run(before)} With --retry-failed the next run tries failed trials again."
        )
    if not before.num_failed:
        tell(f"No trial of the run on {folder} failed.")
        return
    ask(folder, "retry")
    tell(f"{before.num_failed:,} trial(s) of the run on {folder} failed; all but timing trials get another try.")


@app.command()
def verify(folders: Folders) -> None:
    """Check every file and row; exit code 1 if anything is wrong."""
    from harness.results.verify import verify_folder

    findings = [f"{folder}: {finding}" for folder in folders for finding in verify_folder(folder)]
    for finding in findings:
        tell(finding)
    if findings:
        raise RegarenaError(f"{len(findings)} finding(s).")
    tell(f"No problems found in {', '.join(folders)}.")


@app.command()
def merge(
    folders: Folders,
    into: Annotated[str, typer.Option(help="A new or existing results folder.", callback=a_location)],
    task: CopiedTasks = None,
    on_conflict: OnConflict = None,
) -> None:
    """Copy the rows of several results folders into one, each trial once, and join their campaigns."""
    from harness.results.merge import merge_folders

    with saying("The folders that are merged are as they were."):
        tell(merge_folders(folders, into, rule(on_conflict), task or ()))


@app.command()
def doctor() -> None:
    """Check this machine: packages, memory, disk, GPUs, and whether a trial and a local Ray work."""
    from harness.command.doctor import examine

    problems = 0
    for name, is_well, finding in examine():
        tell(f"{'ok  ' if is_well else 'FAIL'}  {name}: {finding}", following=" " * 6, flush=True)
        problems += not is_well
    if problems:
        raise RegarenaError(f"{problems} check(s) failed.")


def _requested(suite: str, options: RunOptions) -> Request:
    """The request that a suite's name (or a campaign's file) and the options make."""
    from harness.command.campaign_toml import asked_for

    return asked_for(suite, options).request()


def _run(request: Request) -> None:
    """Run a campaign, then show its tables and write its report."""
    import analysis
    from harness.campaign import run_campaign
    from harness.command.cards import facts
    from harness.command.screens import show_ranking, show_timing

    outcome = run_campaign(request)
    trials = analysis.load_trials(request.results)
    asked = [name for name in request.only if name in trials["task"].to_numpy()]
    shown = trials[trials["task"].isin(asked)] if asked else trials
    show_timing(shown, known_notes=show_ranking(shown))
    if shown["task"].nunique() < trials["task"].nunique():
        tell(f"\nOnly the tasks of --only are shown; `regarena rank {shlex.quote(request.results)}` shows all.")
    if outcome.num_rejected:
        tell(f"\n{outcome.num_rejected} tune trial(s) diverged; the searches count them as the worst value.")
    with saying(
        f"All rows are kept; `regarena report {shlex.quote(request.results)} --out DIR` writes the report elsewhere."
    ):
        say(f"\nReport: {analysis.write_report(request.results, describe=facts)}")
    if outcome.failures:
        failures = ", ".join(f"{count} {status}" for status, count in outcome.failures.items())
        raise RegarenaError(
            f"{sum(outcome.failures.values())} trial(s) ended without a result ({failures}); the report and the "
            "rows list them. --retry-failed runs them again."
        )


for _registered in app.registered_commands:  # the whole first sentence: by default the overview cuts it after one line
    _text = (_registered.callback and _registered.callback.__doc__) or ""  # none under python -OO
    _registered.short_help = re.split(r"(?<=\.)\s", _text, maxsplit=1)[0]


def main() -> None:
    """Run the command; a user's mistake ends in one sentence and an exit code, never in a stack trace."""
    run_to_its_end(app)


if __name__ == "__main__":
    main()
