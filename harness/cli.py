"""The command `regarena`: parse, call, print. Heavy imports stand inside the commands that need them."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.command.exit import Commands, run_to_its_end
from harness.command.options import (
    CHECK_SECONDS,
    AsCsv,
    AsJson,
    ExportFormat,
    Folder,
    Folders,
    HookName,
    NetworkKind,
    NewKind,
    OnConflict,
    RunOptions,
    StatisticName,
    SuiteName,
    TableName,
    WhoseRows,
    a_location,
    names_in,
    rule,
    with_run_options,
)
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
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Time some steps of cells not timed yet.")] = False,
    timings: Annotated[
        list[str] | None, typer.Option(help="Another results folder, whose rows tell times.", callback=a_location)
    ] = None,
    cells: Annotated[bool, typer.Option("--cells", help="List each cell.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show what would run and why, how long it may take, and how small a p it can reach. Runs no trial."""
    from harness.command.plan_screen import show_plan
    from harness.command.plan_table import plan_table

    request = _requested(suite, options)
    frame, notes = plan_table(request, timings or (), calibrate)
    title = f"plan of {request.suite_name} ({request.budget.scale})"
    show_plan(frame, request.budget.seeds, as_json, as_csv, title, notes, by_cell=cells)


@app.command()
@with_run_options("tune", tune_trials=30, seeds=5)
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
    """Tune one regularizer on one task, and confirm the winner beside the baseline."""
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
    tell(f"{file} describes a small campaign; change it, then `regarena plan {file}` and `regarena run {file}`.")


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
        list[str] | None, typer.Option(help="Folders with timing rows. [default: results/*]", callback=a_location)
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
        float, typer.Option(help="End the check of an entry that takes longer.", min=0.001)
    ] = CHECK_SECONDS,
) -> None:
    """Check regularizers, tasks and other entries against the laws of their kind; exit code 1 if one is broken."""
    from harness.command.check import check as reports_of

    num_findings = 0
    for report in reports_of(*names, data_dir=data, seconds=seconds):
        for line in report.lines():
            tell(line, flush=True)
        num_findings += len(report.findings)
    if num_findings:
        raise RegarenaError(f"{num_findings} finding(s).")


@app.command()
def new(
    kind: Annotated[NewKind, typer.Argument(metavar="KIND", help="regularizer, task or dataset.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, which must be free.")],
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
    tell(f"{package.module} holds the {kind.value} {name}, an example that works, to change. What next:")
    for command in next_commands(package):
        say(f"  {command}")


@app.command()
def rank(folders: Folders, on_conflict: OnConflict = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Rank the regularizers on each task and overall."""
    from harness.command.screens import show_ranking

    show_ranking(_trials(folders, on_conflict), as_json, as_csv)


@app.command()
def stats(
    folders: Folders,
    table: StatisticName = None,
    on_conflict: OnConflict = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compare over all tasks: rank intervals, strengths, pairs, interquartile means, profiles, costs of tuning."""
    from analysis.tables.over_tasks import STATISTICS
    from harness.command.screens import show_statistics
    from tasks.table import unknown_name_message

    if table is None and (as_json or as_csv):
        raise BadInput(f"--json and --csv write one table; say which: --table and one of {', '.join(STATISTICS)}.")
    if table is not None and table not in STATISTICS:
        raise BadInput(unknown_name_message("statistic", table, list(STATISTICS)))
    trials = _trials(folders, on_conflict)
    curves = _curves(folders, on_conflict) if table is not None and STATISTICS[table].takes_curves else None
    show_statistics(trials, table, as_json, as_csv, curves)


@app.command()
def recommend(
    kind: Annotated[NetworkKind | None, typer.Option(help="What the network is built of.")] = None,
    images: Annotated[int | None, typer.Option(help="Number of training images.")] = None,
    label_noise: Annotated[
        float | None, typer.Option(help="Share of training images with a wrong label, such as 0.2.")
    ] = None,
    overhead: Annotated[
        float | None, typer.Option(help="Largest time of a step relative to that without a regularizer, such as 1.2.")
    ] = None,
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="A results folder with the evidence; may be repeated. [default: gallery/arena, else results/*]",
            callback=a_location,
        ),
    ] = None,
    on_conflict: OnConflict = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Recommend regularizers for a kind of network and amount of data: expected gain, cost, and the evidence."""
    import analysis
    from harness.command.screens import show_recommendation

    trials = _trials(from_ or _folders_with_evidence(), on_conflict)
    try:
        table = analysis.recommend(trials, kind.value if kind else None, images, label_noise, overhead)
    except ValueError as error:
        raise BadInput(str(error)) from error
    show_recommendation(table, as_json, as_csv)


def _folders_with_evidence() -> list[str]:
    """The published leaderboard if the present folder has it, else all results folders in `results`.

    Raises:
        BadInput: if there is neither.
    """
    published = Path("gallery/arena")
    found = [published] if (published / "trials").is_dir() else sorted(Path("results").glob("*/trials"))
    if not found:
        raise BadInput(
            f"Neither {published} nor results/ holds trials here; give a results folder with --from, such as the "
            f"{published} of a checkout."
        )
    return [str(folder if folder == published else folder.parent) for folder in found]


@app.command()
def timing(folders: Folders, on_conflict: OnConflict = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Compare the time of a training step with that of the same network without the regularizer."""
    from harness.command.screens import show_timing

    show_timing(_trials(folders, on_conflict), as_json, as_csv)


@app.command()
def compare(
    folders: Folders,
    paper: Annotated[str | None, typer.Option(help="Only this paper's values and claims.")] = None,
    claims: Annotated[bool, typer.Option("--claims", help="Only the claims, not the values.")] = False,
    on_conflict: OnConflict = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compare measured values with those that the papers report, and check what the papers claim."""
    import analysis
    from harness.command.screens import show_claims, show_comparison

    trials = _trials(folders, on_conflict)
    try:
        frame = analysis.compare_with_papers(trials, paper)
        curves = analysis.load_curves(folders, on_conflict=rule(on_conflict))
        claimed = analysis.claims_table(trials, curves, paper)
    except ValueError as error:
        raise BadInput(str(error)) from error
    notes = [] if claims else show_comparison(frame, as_json, as_csv)
    if claims or not (as_json or as_csv):  # one table is one document
        show_claims(claimed, as_json, as_csv, known_notes=notes)


@app.command()
def importance(
    folders: Folders,
    on_conflict: OnConflict = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show which hyperparameters decided how well each tuned or swept contestant did."""
    from harness.command.screens import show_importances

    show_importances(_trials(folders, on_conflict), as_json, as_csv)


@app.command()
def report(
    folders: Folders,
    out: Annotated[
        str | None, typer.Option(help="Where to write. [default: the first folder]", callback=a_location)
    ] = None,
    on_conflict: OnConflict = None,
) -> None:
    """Write tables, figures and one page that opens offline."""
    import analysis
    from harness.command.cards import facts

    _trials(folders, on_conflict)  # first, so that an error of reading is not reported as one of writing
    with saying(f"The report goes to {out or folders[0]}; --out takes another folder."):
        try:
            page = analysis.write_report(folders, out, on_conflict=rule(on_conflict), describe=facts)
        except ValueError as error:
            raise BadInput(_without_code(error)) from error
        say(f"Report: {page}")


@app.command()
def export(
    folders: Folders,
    to: Annotated[ExportFormat, typer.Option(help="Files of tables, or the tool that the trials go to.")],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="A folder, database file or URI to write to. [default: export/ in the first folder]",
            callback=a_location,
        ),
    ] = None,
    on_conflict: OnConflict = None,
) -> None:
    """Export tables to CSV, LaTeX or Markdown, or trials and curves to MLflow, TensorBoard or Optuna."""
    from harness.command.exports import export_folders

    with saying("The results folders are as they were; --out takes another place."):
        exported = export_folders(folders, to.value, out, rule(on_conflict))
    tell(exported)
    for note in exported.notes:
        tell(f"  {note}", following=" " * 4)


@app.command()
def status(
    folder: Folder,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again, until the run ends.")] = False,
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
    """Give trials that failed another try, while the run that works on the campaign goes on."""
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
    tell(f"{before.num_failed:,} failed trial(s) in {folder} get another try, timing trials excepted.")


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
    on_conflict: OnConflict = None,
) -> None:
    """Copy the rows of several results folders into one, each trial once."""
    from harness.results.merge import merge_folders

    with saying("The folders that are merged are as they were."):
        tell(merge_folders(folders, into, rule(on_conflict)))


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
    show_timing(trials, known_notes=show_ranking(trials))
    if outcome.num_rejected:
        tell(f"\n{outcome.num_rejected} tune trial(s) diverged; the searches count them as the worst value.")
    with saying(f"All rows are kept; `regarena report {request.results} --out DIR` writes the report elsewhere."):
        say(f"\nReport: {analysis.write_report(request.results, describe=facts)}")
    if outcome.failures:
        failures = ", ".join(f"{count} {status}" for status, count in outcome.failures.items())
        raise RegarenaError(
            f"{sum(outcome.failures.values())} trial(s) ended without a result ({failures}); the report and the "
            "rows list them. --retry-failed runs them again."
        )


def _trials(folders: list[str], on_conflict: WhoseRows | None):  # type: ignore[no-untyped-def]  # a DataFrame; pandas is not imported here
    import analysis

    try:
        return analysis.load_trials(folders, on_conflict=rule(on_conflict))
    except (ValueError, FileNotFoundError) as error:
        raise BadInput(_without_code(error)) from error


def _curves(folders: list[str], on_conflict: WhoseRows | None):  # type: ignore[no-untyped-def]  # a DataFrame; pandas is not imported here
    import analysis

    try:
        return analysis.load_curves(folders, on_conflict=rule(on_conflict))
    except ValueError as error:
        raise BadInput(_without_code(error)) from error


def _without_code(error: Exception) -> str:
    """The message of an error of the analysis, with advice for the command instead of that for Python code."""
    return str(error).replace(", or load the rest with on_damage='warn'", "; `regarena verify` looks at every file")


for _command in app.registered_commands:  # the whole first sentence: by default the overview cuts it after one line
    _text = (_command.callback and _command.callback.__doc__) or ""  # none under python -OO
    _command.short_help = re.split(r"(?<=\.)\s", _text, maxsplit=1)[0]


def main() -> None:
    """Run the command; a user's mistake ends in one sentence and an exit code, never in a stack trace."""
    run_to_its_end(app)


if __name__ == "__main__":
    main()
