"""The commands that show, write or export what the rows of results folders say."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.command.causes import without_code
from harness.command.parameters import (
    PUBLISHED,
    AsCsv,
    AsJson,
    ExportFormat,
    Folders,
    NetworkKind,
    OnConflict,
    OnlyTasks,
    StatisticName,
    WhoseRows,
    a_location,
    results_here,
    rule,
)
from harness.errors import BadInput, saying
from harness.terminal.text import say, tell


def rank(
    folders: Folders,
    task: OnlyTasks = None,
    on_conflict: OnConflict = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Rank the regularizers on each task and overall."""
    from harness.command.screens import show_ranking

    show_ranking(_trials(folders, on_conflict, task), as_json, as_csv)


def stats(
    folders: Folders,
    table: StatisticName = None,
    task: OnlyTasks = None,
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
    trials = _trials(folders, on_conflict, task)
    curves = _curves(folders, on_conflict) if table is not None and STATISTICS[table].takes_curves else None
    show_statistics(trials, table, as_json, as_csv, curves)


def recommend(
    kind: Annotated[NetworkKind | None, typer.Option(help="What the network is built of.")] = None,
    images: Annotated[int | None, typer.Option(help="Number of training images.")] = None,
    label_noise: Annotated[
        float | None, typer.Option(help="Share of training images with a wrong label, such as 0.2.")
    ] = None,
    overhead: Annotated[
        float | None,
        typer.Option(help="Longest allowed training step, relative to one without a regularizer, such as 1.2."),
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
    """The published leaderboard if the current folder has it, else all results folders in `results`.

    Raises:
        BadInput: if there is neither.
    """
    found = results_here()
    if not found:
        raise BadInput(
            f"Neither {PUBLISHED} nor results/ holds trials here; give a results folder with --from, such as the "
            f"{PUBLISHED} of a checkout."
        )
    return [str(folder) for folder in ([PUBLISHED] if PUBLISHED in found else found)]


def timing(
    folders: Folders,
    task: OnlyTasks = None,
    on_conflict: OnConflict = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compare the time of a training step with that of the same network without the regularizer."""
    from harness.command.screens import show_timing

    show_timing(_trials(folders, on_conflict, task), as_json, as_csv)


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
        raise BadInput(without_code(error)) from error
    notes = [] if claims else show_comparison(frame, as_json, as_csv)
    if claims or not (as_json or as_csv):  # one table is one document
        show_claims(claimed, as_json, as_csv, known_notes=notes)


def importance(
    folders: Folders,
    task: OnlyTasks = None,
    on_conflict: OnConflict = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show which hyperparameters decided how well each tuned or swept contestant did."""
    from harness.command.screens import show_importances

    show_importances(_trials(folders, on_conflict, task), as_json, as_csv)


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
            raise BadInput(without_code(error)) from error
        say(f"Report: {page}")


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


def _trials(folders: list[str], on_conflict: WhoseRows | None, tasks: list[str] | None = None):  # type: ignore[no-untyped-def]  # a DataFrame; pandas is not imported here
    """The trials of the folders, or those of these tasks."""
    import analysis
    from harness.unknown_names import check_stored_tasks

    try:
        trials = analysis.load_trials(folders, on_conflict=rule(on_conflict))
    except (ValueError, FileNotFoundError) as error:
        raise BadInput(without_code(error)) from error
    if not tasks:
        return trials
    check_stored_tasks(tasks, trials["task"].unique().tolist())
    return trials[trials["task"].isin(tasks)]


def _curves(folders: list[str], on_conflict: WhoseRows | None):  # type: ignore[no-untyped-def]  # a DataFrame; pandas is not imported here
    import analysis

    try:
        return analysis.load_curves(folders, on_conflict=rule(on_conflict))
    except ValueError as error:
        raise BadInput(without_code(error)) from error
