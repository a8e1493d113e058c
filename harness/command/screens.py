"""Printing of the analysis' tables: one table for each group of rows, with its notes below."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from harness.command.printing import Records, print_notes, print_table, say_entries, show_frame
from harness.command.remarks import listed, remarks, split_sentences
from harness.records import OVERALL
from harness.terminal.text import say, tell

MOST_ROWS = 20  # of each statistic, when all are shown
MOST_REASONS = 3  # in one message
FOLDED = ("setting", "verdict")  # columns that move into the title if all rows have the same value


def show_ranking(trials: Any, as_json: bool = False, as_csv: bool = False) -> list[str]:
    """The ranking of each task and overall, what was skipped and why, and how small a p the tasks can reach.

    Returns the notes that stand below all tables, so that a table shown after these need not repeat them.
    """
    import analysis
    from analysis.shown import tables as shown

    table = analysis.ranking_table(trials)
    if show_frame(table, as_json, as_csv):
        return []
    if table.empty and len(trials) and (trials["role"] == "timing").all():
        print_notes(["Only timing trials here; see `regarena timing`."])
    num_tasks = table.loc[table["task"] != OVERALL, "task"].nunique()
    for (scale, task), rows in table.groupby(["scale", "task"], sort=False):
        records = rows.to_dict("records")
        if task != OVERALL:
            _show_task(f"{task} ({scale})", records)
        elif num_tasks > 1:  # with one task it would repeat that task's table
            print_table(f"overall ({scale})", shown.OVERALL, records)
    notes = analysis.notes_of(table)
    print_notes(notes)
    if num_tasks > 1:
        smallest = analysis.smallest_reachable_p(num_tasks)
        print_notes([f"With {num_tasks} tasks the smallest p that a sign test over tasks can reach is {smallest:.3g}."])
    return notes


def _show_task(name: str, records: Records) -> None:
    """Print the ranking of one task, and below it remarks and the contestants without a rank."""
    from analysis.shown import tables as shown

    absent = [record for record in records if record["status"] == "missing" and math.isnan(record["rank"])]
    ranked = [record for record in records if record["status"] != "skipped" and record not in absent]
    better = "higher" if records[0]["higher_is_better"] else "lower"
    metric = next((record["metric"] for record in records if record["metric"]), "value")
    print_table(f"{name}: {metric}, {better} is better", shown.RANKING, ranked)
    remark = next(column for column in shown.RANKING if column.wide)
    with_trials = [record for record in records if record not in absent]
    print_notes(
        remarks(with_trials, lambda record: [remark.make(record)] if remark.make(record) else [], ["regularizer"])
    )
    if absent:
        print_notes([f"No trial here, hence no rank: {listed([str(record['regularizer']) for record in absent])}."])


def show_statistics(
    trials: Any, name: str | None = None, as_json: bool = False, as_csv: bool = False, curves: Any = None
) -> None:
    """The statistics over all tasks: the first rows of each table that is not long, or all rows of the one named."""
    import analysis
    from analysis.tables.over_tasks import STATISTICS, statistics_of

    notes: dict[str, None] = {}
    empty: dict[str, list[str]] = {}  # why a table has no rows -> the tables
    names = [each for each, statistic in STATISTICS.items() if not statistic.is_long] if name is None else [name]
    for each, table in statistics_of(trials, names, curves):
        statistic = STATISTICS[each]
        if show_frame(table, as_json, as_csv):
            return
        for scale, rows in statistic.views(table):
            records = rows.to_dict("records")
            shown = records if name else records[:MOST_ROWS]
            where = f" ({scale})" if scale else ""
            print_table(f"{each}: {statistic.title}{where}", statistic.columns, shown)
            if len(shown) < len(records):
                print_notes([f"{len(records) - len(shown)} more rows: --table {each} shows all."])
            print_notes([statistic.source])
        if table.empty:
            empty.setdefault(statistic.absent, []).append(each)
        notes |= dict.fromkeys(analysis.notes_of(table))
    long = [f"--table {each}" for each, statistic in STATISTICS.items() if statistic.is_long and name is None]
    print_notes(f"{', '.join(tables)}: {reason}" for reason, tables in empty.items())
    print_notes([*notes, *([f"Longer tables, shown one at a time: {', '.join(long)}."] if long else [])])


def show_timing(
    trials: Any, as_json: bool = False, as_csv: bool = False, known_notes: Collection[str] | None = None
) -> None:
    """Step times against the unregularized twin, one table per task and hardware; below them notes not yet known.

    Below other tables, which told `known_notes`, nothing is said if nothing was timed.
    """
    import analysis
    from analysis.shown import tables as shown

    table = analysis.timing_table(trials)
    if show_frame(table, as_json, as_csv):
        return
    for (task, scale, hardware), rows in table.groupby(["task", "scale", "hardware_key"], sort=False):
        title = f"time of a training step on {task} ({scale}), {hardware}"
        print_table(title, shown.TIMING, rows.to_dict("records"), without=("task", "hardware_key"))
    notes = [note for note in analysis.notes_of(table) if note not in (known_notes or ())]
    print_notes(notes or (["Nothing was timed here."] if table.empty and known_notes is None else []))


def show_recommendation(table: Any, as_json: bool = False, as_csv: bool = False) -> None:
    """What to expect of each contestant on tasks like the one described, and on what evidence."""
    import analysis
    from analysis.tables.recommendation import RECOMMENDATION

    if show_frame(table, as_json, as_csv):
        return
    if len(table):
        records = table.to_dict("records")
        print_table("what to expect, against the tuned baseline", RECOMMENDATION, records)
        print_notes([f"Evidence: {', '.join(dict.fromkeys(', '.join(table['tasks']).split(', ')))}."])
        print_notes(["Verdicts are corrected for the number of contestants, intervals are not."])
        if not (table["verdict"] == "better").any():
            print_notes(["No contestant is significantly better than the tuned baseline there."])
    print_notes(analysis.notes_of(table))


def show_importances(trials: Any, as_json: bool = False, as_csv: bool = False) -> None:
    """Print the importance of hyperparameters, one table per tuned or swept cell."""
    import analysis
    from analysis.shown import tables as shown

    table = analysis.importance_table(trials)
    if show_frame(table, as_json, as_csv):
        return
    for (scale, task, regularizer), rows in table.groupby(["scale", "task", "regularizer"], sort=False):
        title = f"importances of {regularizer} on {task} ({scale})"
        print_table(title, shown.IMPORTANCES, rows.to_dict("records"))
    notes = analysis.notes_of(table)
    print_notes(notes or ([] if len(table) else ["Nothing was tuned or swept here."]))
    if len(table):
        print_notes(column.legend for column in shown.IMPORTANCES if column.name == "importance")


def show_comparison(frame: Any, as_json: bool = False, as_csv: bool = False) -> list[str]:
    """Print reported beside measured values; as text only the measured ones, and the number of the others.

    Returns the notes that were printed below all tables.
    """
    import analysis
    from analysis.papers.claims.claim import NOT_RUN
    from analysis.shown import tables as shown

    if show_frame(frame, as_json, as_csv):
        return []
    is_measured = frame["ours"].notna() | frame["our_ratio"].notna()
    measured, others = frame[is_measured], frame[~is_measured]
    tables = measured.groupby(["paper", "experiment", "metric", "scale"], sort=False)
    for (paper, experiment, metric, scale), rows in tables:
        where, records = f"{paper}, {experiment} ({scale} scale)", rows.to_dict("records")
        if rows["our_ratio"].notna().any():
            without = ("paper", "experiment", "reported", "scale")
            print_table(f"{where}: times over that of none", shown.TIMES, records, without)
            continue
        same = {name: records[0][name] for name in FOLDED if len({record[name] for record in records}) == 1}
        if not str(same.get("verdict")).startswith("not comparable"):
            same.pop("verdict", None)
        title = [f"{where}: {str(metric).replace('_', ' ')}, {records[0]['unit']}", *filter(None, same.values())]
        print_table("; ".join(title), shown.COMPARISON, records, ("paper", "experiment", "metric", *same))
        print_notes(remarks(records, _below_a_comparison, ("method", "task", "setting")))
    notes = analysis.notes_of(frame)
    print_notes(notes)
    failed = Counter(str(verdict).partition(": ")[2] for verdict in others["verdict"] if verdict != NOT_RUN)
    if failed:
        named = "; ".join(f"{reason}: {count}" for reason, count in failed.most_common(MOST_REASONS))
        tell(f"\n{failed.total()} reported values have trials here, but no value ({named}); --csv lists them all.")
    tell(f"\n{len(others) - failed.total()} reported values have no trial here; --csv lists them all.")
    return notes


def _below_a_comparison(record: Mapping[Any, Any]) -> list[str]:
    """Why a value has a verdict other than agrees and differs, and the notes on it."""
    _, _, reason = str(record["verdict"]).partition(": ")
    return [*([_sentence(reason)] if reason else []), *split_sentences(record["note"])]


def _sentence(reason: str) -> str:
    """A reason with a capital letter and a full stop; names in it keep their letters."""
    return f"{reason[0].upper()}{reason[1:]}."


def show_claims(table: Any, as_json: bool = False, as_csv: bool = False, known_notes: Collection[str] = ()) -> None:
    """Print the papers' claims: for each the verdict, the claim and what was measured; then notes not yet known."""
    import analysis
    from analysis.papers.claims.claim import NOT_RUN

    if show_frame(table, as_json, as_csv):
        return
    measured = table[table["verdict"] != NOT_RUN]
    for paper, rows in measured.groupby("paper", sort=False):
        say(f"\nclaims of {paper}", bold=True)
        say_entries([entry for record in rows.to_dict("records") for entry in _claim(record)])
    print_notes(note for note in analysis.notes_of(table) if note not in known_notes)
    if len(measured) < len(table):
        print_notes([f"{len(table) - len(measured)} claim(s) have no trial here; --claims --csv lists them."])


def _claim(record: Mapping[Any, Any]) -> list[tuple[str, str]]:
    verdict, _, reason = str(record["verdict"]).partition(": ")
    because = f"{_sentence(reason)} " if reason else ""
    evidence = f"{record['measured']} ({record['num_trials']:.0f} trials, {record['scale']} scale)"
    return [(verdict, f"{record['claim']}: {record['statement']}"), ("", f"{because}Measured: {evidence}")]
