"""What the command shows of each of the analysis' tables: which columns, by which names, with which notes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.command.printing import Records, print_notes, print_table, show_frame, text_of

RANKING = {
    "regularizer": "regularizer",
    "rank": "rank",
    "mean": "mean",
    "interval": "95 % interval",
    "num_seeds": "seeds",
    "num_failed": "failed",
    "outcome": "vs none",
    "p_holm": "p (Holm)",
    "default_mean": "untuned",
    "selection_optimism": "optimism",
}
OVERALL = {
    "regularizer": "regularizer",
    "rank": "rank",
    "mean_rank": "mean rank",
    "num_tasks": "tasks",
    "wins": "wins",
    "ties": "ties",
    "losses": "losses",
    "imputed": "imputed",
}
COMPARISON = {
    "method": "method",
    "task": "task",
    "setting": "setting",
    "reported": "reported",
    "interval": "ours (95 %)",
    "difference": "difference",
    "verdict": "verdict",
}
FOLDED = ("setting", "verdict")  # stand in the title where they are the same in all rows
TIMES = {
    "method": "method",
    "task": "task",
    "reported_ratio": "reported / none",
    "our_ratio": "ours / none",
    "num_seeds": "trials",
    "hardware_key": "our hardware",
}
PLAN = {
    "task": "task",
    "regularizer": "regularizer",
    "trials": "trials",
    "done": "done",
    "failed": "failed",
    "missing": "missing",
    "seconds_per_trial": "s/trial",
    "hours": "hours",
    "gpu_hours": "GPU-hours",
    "estimated_from": "estimated from",
    "why": "why",
}
IMPORTANCE = {
    "hyperparameter": "hyperparameter",
    "importance": "importance",
    "num_values": "values",
    "num_trials": "trials",
}
TIMING = {
    "regularizer": "regularizer",
    "ratio": "x twin",
    "seconds_per_step": "ms/step",
    "twin_seconds_per_step": "twin ms/step",
    "minutes_per_100_epochs": "min/100 epochs",
    "n": "n",
}


def show_plan(frame: Any, num_seeds: int, as_json: bool, as_csv: bool, title: str, notes: Sequence[str] = ()) -> None:
    """The plan's cells; on a terminal with what it costs in all, and what its tests can tell."""
    import analysis

    if as_json or as_csv:
        show_frame(frame, as_json, as_csv, title)
        return
    running = frame[frame["trials"] > 0]
    cells = list(zip(running["task"], running["regularizer"], strict=True))
    columns = {name: heading for name, heading in PLAN.items() if name in frame}
    records = [_without_zero({**row, **_brief(row)}) for row in frame.to_dict("records")]
    print_table(title, columns, records)
    print_notes([*notes, *analysis.power_notes(cells, num_seeds)])


def _brief(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Times of a plan are estimates: three digits say enough."""
    return {
        name: f"{row[name]:.3g}"
        for name in ("seconds_per_trial", "hours", "gpu_hours")
        if isinstance(row.get(name), float) and row[name] == row[name]
    }


def show_claims(table: Any, as_json: bool = False, as_csv: bool = False) -> None:
    """What the papers claim: for each claim the verdict, then the sentence and what was measured."""
    import analysis
    from analysis.papers.claims.claim import NOT_RUN

    if as_json or as_csv:
        show_frame(table, as_json, as_csv, title="")
        return
    measured = table[table["verdict"] != NOT_RUN]
    for paper, rows in measured.groupby("paper", sort=False):
        print_table(f"claims of {paper}", {"verdict": "", "text": ""}, [_claim(r) for r in rows.to_dict("records")])
    print_notes(analysis.notes_of(table))
    if len(measured) < len(table):
        print_notes([f"{len(table) - len(measured)} claim(s) have no trial here; --claims --csv lists them."])


def _claim(record: Mapping[Any, Any]) -> dict[str, str]:
    verdict, _, reason = str(record["verdict"]).partition(": ")
    because = f"{reason.capitalize()}. " if reason else ""
    evidence = f"{record['measured']} ({record['num_trials']:.0f} trials, {record['scale']} scale)"
    return {"verdict": verdict, "text": f"{record['claim']}: {record['statement']}\n{because}Measured: {evidence}"}


def show_ranking(trials: Any, as_json: bool = False, as_csv: bool = False) -> None:
    """The ranking of each task and overall, what was skipped and why, and how far the evidence goes."""
    import analysis

    table = analysis.ranking_table(trials)
    if as_json or as_csv:
        show_frame(table, as_json, as_csv, title="")
        return
    if table.empty and len(trials) and (trials["role"] == "timing").all():
        print_notes(["Only timing trials here; see `regarena timing`."])
    num_tasks = table.loc[table["task"] != "overall", "task"].nunique()
    for (scale, task), rows in table.groupby(["scale", "task"], sort=False):
        records = rows.to_dict("records")
        if task == "overall" and num_tasks < 2:
            continue  # it would say the same again
        if task == "overall":
            print_table(f"overall ({scale})", OVERALL, [_without_zero(record) for record in records])
            continue
        ranked = [_ranked(record) for record in records if record["status"] not in ("skipped", "missing")]
        better = "higher" if records[0]["higher_is_better"] else "lower"
        metric = next((record["metric"] for record in records if record["metric"]), "value")
        print_table(f"{task} ({scale}): {metric}, {better} is better", RANKING, ranked)
        print_notes(f"{r['regularizer']}: skipped. {r['reason']}" for r in records if r["status"] == "skipped")
        if missing := [record["regularizer"] for record in records if record["status"] == "missing"]:
            print_notes([f"No trial here, hence the worst rank overall: {', '.join(missing)}."])
    print_notes(analysis.notes_of(table))
    if num_tasks > 1:
        smallest = analysis.smallest_reachable_p(num_tasks)
        print_notes(
            [f"With {num_tasks} task(s) the smallest p that a paired test over tasks can reach is {smallest:.3g}."]
        )


def show_timing(trials: Any, as_json: bool = False, as_csv: bool = False) -> None:
    """Step times against the unregularized twin, one table per task and hardware."""
    import analysis

    table = analysis.timing_table(trials)
    if as_json or as_csv:
        show_frame(table, as_json, as_csv, title="")
        return
    for (task, scale, hardware), rows in table.groupby(["task", "scale", "hardware_key"], sort=False):
        records = [
            {**row, **{name: row[name] * 1e3 for name in ("seconds_per_step", "twin_seconds_per_step")}}
            for row in rows.to_dict("records")
        ]
        print_table(f"time of a training step on {task} ({scale}), {hardware}", TIMING, records)
    print_notes(analysis.notes_of(table))


def show_importances(trials: Any, as_json: bool = False, as_csv: bool = False) -> None:
    """Which hyperparameters decided, one table per tuned or swept cell."""
    import analysis

    table = analysis.importance_table(trials)
    if as_json or as_csv:
        show_frame(table, as_json, as_csv, title="")
        return
    for (scale, task, regularizer), rows in table.groupby(["scale", "task", "regularizer"], sort=False):
        rounded: Any = rows.assign(importance=rows["importance"].map("{:.2f}".format))
        print_table(f"importances of {regularizer} on {task} ({scale})", IMPORTANCE, rounded.to_dict("records"))
    notes = analysis.notes_of(table)
    print_notes(notes or ([] if len(table) else ["Nothing was tuned or swept here."]))
    if len(table):
        print_notes(["The share of the variance of the validation value that each explains alone (fANOVA)."])


def show_comparison(frame: Any, as_json: bool = False, as_csv: bool = False) -> None:
    """Reported beside measured values, table by table; on a terminal only what was measured, and how many were not."""
    import analysis

    if as_json or as_csv:
        show_frame(frame, as_json, as_csv, title="")
        return
    measured = frame[frame["ours"].notna() | frame["our_ratio"].notna()]
    tables = measured.groupby(["paper", "experiment", "metric", "scale"], sort=False)
    for (paper, experiment, metric, scale), rows in tables:
        where = f"{paper}, {experiment} ({scale} scale)"
        if rows["our_ratio"].notna().any():
            print_table(f"{where}: times over that of none", TIMES, rows.to_dict("records"))
            continue
        records = [_beside(record) for record in rows.to_dict("records")]
        same = {name: records[0][name] for name in FOLDED if len({record[name] for record in records}) == 1}
        if not str(same.get("verdict")).startswith("not comparable"):
            same.pop("verdict", None)
        title = [f"{where}: {str(metric).replace('_', ' ')}, {rows['unit'].iloc[0]}", *filter(None, same.values())]
        shown = {name: heading for name, heading in COMPARISON.items() if name not in same}
        for name, is_shown in (("difference", rows["difference"].notna().any()), ("setting", rows["setting"].all())):
            if not is_shown:  # no difference is told at smaller scales, and settings matter in sweeps
                shown.pop(name, None)
        print_table("; ".join(title), shown, records)
        print_notes(_whose(rows.to_dict("records")))
    print_notes(analysis.notes_of(frame))
    print(f"\n{len(frame) - len(measured)} reported values have no trial here; --csv lists them all.")


def _whose(records: Records) -> list[str]:
    """Each sentence of the notes once, after those of the rows that it is about, unless that are all."""
    sentences = dict.fromkeys(sentence for record in records for sentence in _sentences(record))
    return [f"{_named(records, sentence)}{sentence}" for sentence in sentences]


def _sentences(record: Mapping[Any, Any]) -> list[str]:
    return re.split(r"(?<=\.) (?=[A-Z])", record["note"]) if record["note"] else []


def _named(records: Records, sentence: str) -> str:
    """By the first column that tells these rows from the others."""
    meant = [sentence in _sentences(record) for record in records]
    if all(meant):
        return ""
    for column in ("method", "task", "setting"):
        names = list(zip((str(record[column]) for record in records), meant, strict=True))
        inside, outside = (
            dict.fromkeys(name for name, is_meant in names if is_meant == side) for side in (True, False)
        )
        if not set(inside) & set(outside):
            return f"all but {', '.join(outside)}: " if len(outside) < len(inside) else f"{', '.join(inside)}: "
    rows = [f"{r['method']} on {r['task']} {r['setting']}".strip() for r, m in zip(records, meant, strict=True) if m]
    return f"{', '.join(rows)}: "


def _beside(record: Mapping[Any, Any]) -> dict[str, Any]:
    """Ours as mean, and half the length of its interval where there is one; the difference with its sign."""
    half, difference = (record["interval_high"] - record["interval_low"]) / 2, record["difference"]
    return {
        **record,
        "interval": f"{record['ours']:.2f}" + (f" ± {half:.2f}" if half == half else ""),
        "difference": f"{difference:+.2f}" if difference == difference else "",
        "reported": f"{record['reported']:.2f}",
    }


def _interval(record: Mapping[Any, Any]) -> str:
    low, high = record["interval_low"], record["interval_high"]
    return f"{text_of(low)} .. {text_of(high)}" if low == low and high == high else ""


def _ranked(record: Mapping[Any, Any]) -> dict[str, Any]:
    return _without_zero({**record, "interval": _interval(record), "rank": _rank(record)})


def _rank(record: Mapping[Any, Any]) -> str:
    return text_of(record["rank"]) + ("*" if record.get("imputed") else "")


def _without_zero(record: Mapping[Any, Any]) -> dict[str, Any]:
    """Counts of failures stay empty where there are none."""
    quiet = {"num_failed", "imputed"}
    return {name: ("" if name in quiet and not value else value) for name, value in record.items()}
