"""Verdicts per task and over all tasks: the best contestant, and those that are not significantly worse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.rows.notes import listed
from analysis.shown.formats import digits, place, probability, signed
from analysis.tables.overall import FEWEST, friedman_by_scale, significance_of
from analysis.tables.score_cost import timed_costs
from analysis.tables.statistics import LEVEL, holm, paired_p_value
from harness.records import OVERALL

VERDICT_COLUMNS = (
    "scale", "task", "best", "mean", "interval_low", "interval_high", "num_seeds", "metric", "higher_is_better",
    "gain", "outcome", "p_holm", "winners", "alike", "is_tested", "cheapest", "cost", "sentence",
)  # fmt: skip
_Scores = Mapping[str, Mapping[int, float]]  # by contestant and seed


def verdicts(ranking: pd.DataFrame, scores: pd.DataFrame, costs: pd.DataFrame, baseline: str = "none") -> pd.DataFrame:
    """One row per task of a `ranking_table`: its best contestant, and from which others it differs significantly.

    The best contestant has rank 1 among those with the commonest budget. Each of the others is compared with it by the
    paired t-test over common seeds, with Holm's correction over the task. The best one was chosen by the same seeds, so
    that the test is too liberal (Hsu 1996, "Multiple Comparisons", chapter 4): a contestant without a significant
    difference to the best may be as good, and one with a significant difference is not certain to be worse.

    The columns:

    - `scale`, `task`
    - `best`: the contestant with rank 1; of several, the first by name (the others are in `alike`)
    - `mean`, `interval_low`, `interval_high`, `num_seeds`, `metric`, `higher_is_better`: of the best one
    - `gain`: how much better its mean is than that of the baseline, in the unit of the metric; NaN without both
    - `outcome`, `p_holm`: of the best one against the baseline, as in the ranking
    - `winners`: text, the contestants that are significantly better than the baseline
    - `alike`: text, the contestants without a significant difference to the best, tested or not
    - `is_tested`: whether any contestant has two or more seeds in common with the best
    - `cheapest`, `cost`: of the best one and those in `alike`, the one with the shortest training, and its time
      relative to the baseline's (`timed_costs`); "" and NaN if neither the task nor another one with the same network
      was timed. If any of them is significantly better than the baseline, it is the cheapest of those that are: wide
      intervals are alike to any
    - `sentence`: the verdict in words

    Args:
        ranking: from `ranking_table`.
        scores: from `scores_table`.
        costs: from `score_against_cost`.
        baseline: the name of the unregularized contestant.
    """
    of_task = {key: _by_seed(rows) for key, rows in scores.groupby(["scale", "task"], sort=False)}
    timed = timed_costs(costs)
    cost_of = {
        (str(scale), str(task), str(name)): float(cost)
        for scale, task, name, cost in timed[["scale", "task", "regularizer", "cost"]].itertuples(index=False)
    }
    rows = []
    for key, table in ranking[ranking["task"] != OVERALL].groupby(["scale", "task"], sort=False):
        ranked = _ranked(table)
        if len(ranked):
            why_untested = _why_untested(table, baseline)
            verdict = _verdict(ranked, of_task.get(key, {}), cost_of, baseline, why_untested)
            rows.append(verdict | {"sentence": f"{verdict['sentence']}{_apart(table)}"})
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))


def leaders_by_task(ranking: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """The best contestants of each (scale, task) of a `ranking_table`: several if they are tied, none without a value.

    Contestants with another budget than most are ranked apart, so that the best one among them is not a leader.
    """
    of_tasks = ranking[ranking["task"] != OVERALL]
    return {
        (str(scale), str(task)): _leaders(_ranked(table))
        for (scale, task), table in of_tasks.groupby(["scale", "task"], sort=False)
    }


def overall_sentences(ranking: pd.DataFrame, baseline: str = "none") -> dict[str, list[str]]:
    """For each scale with two or more common tasks: the best mean rank, the test of its lead, and the record in words.

    Args:
        ranking: from `ranking_table`.
        baseline: as in `verdicts`.
    """
    tested = significance_of(ranking).set_index("scale")["sentence"]
    sentences: dict[str, list[str]] = {}
    for scale, result in friedman_by_scale(ranking).items():
        means = result.mean_ranks
        if result.num_tasks < 2 or len(means) < 2:
            continue
        leaders = [str(name) for name, mean in means.items() if math.isclose(mean, means.iloc[0])]
        verb = "has" if len(leaders) == 1 else "share"
        said = [
            f"Over the {result.num_tasks} tasks that {len(means)} contestants have in common, {listed(leaders)} {verb} "
            f"the best mean rank ({place(means.iloc[0])}; 1 is best)."
        ]
        if math.isnan(result.p_value):
            said.append(str(tested[scale]) if result.num_tasks < FEWEST or len(means) < FEWEST else _ALL_TIED)
        elif not result.is_significant:
            said.append(
                f"The mean ranks do not differ significantly (Friedman's test, {_p(result.p_value)}), so "
                "this order may be chance."
            )
        else:
            said.append(_behind(leaders[0], result.different_pairs))
        said += _record(ranking[(ranking["scale"] == scale) & (ranking["task"] == OVERALL)], leaders[0], baseline)
        sentences[scale] = said
    return sentences


_ALL_TIED = "All contestants are tied on all tasks, so Friedman's test cannot be computed."


def _behind(leader: str, pairs: list[tuple[str, str]]) -> str:
    behind = [worse for better, worse in pairs if better == leader]
    test = "Nemenyi's test, 5 %"
    if behind:
        return f"It is significantly better than {listed(behind)} ({test}); from the others it is not separated."
    return f"The mean ranks differ significantly, but {leader} is not separated from any single contestant ({test})."


def _record(overall: pd.DataFrame, leader: str, baseline: str) -> list[str]:
    rows = overall[overall["regularizer"] == leader].to_dict("records")
    if leader == baseline or not rows or not rows[0]["num_tasks"]:
        return []
    row = rows[0]
    num_tested = row["num_tasks"] - row["untested"]
    if not num_tested:
        return [f"{leader} was not tested against {baseline} on any of these tasks."]
    of = f"{row['num_tasks']} tasks" if not row["untested"] else f"the {num_tested} tasks on which it was tested"
    return [f"Against {baseline}, {leader} wins significantly on {row['wins']} of {of} and loses on {row['losses']}."]


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of one task that are ranked against each other: those with the commonest budget and a value."""
    return table[table["is_main_budget"].astype(bool) & table["rank"].notna() & table["mean"].notna()]


def _apart(table: pd.DataFrame) -> str:
    """A sentence on the contestants of one task whose budgets differ from that of most."""
    apart = table[~table["is_main_budget"].astype(bool) & table["num_seeds"].gt(0)]
    names = sorted(map(str, apart["regularizer"]))
    return f" Ranked apart, with another budget than most: {listed(names)}." if names else ""


def _leaders(ranked: pd.DataFrame) -> list[str]:
    return sorted(map(str, ranked.loc[ranked["rank"].eq(ranked["rank"].min()), "regularizer"]))


def _by_seed(rows: pd.DataFrame) -> _Scores:
    return {
        str(name): dict(zip(cell["seed"].tolist(), cell["score"].tolist(), strict=True))
        for name, cell in rows.groupby("regularizer", sort=True)
    }


def _verdict(
    ranked: pd.DataFrame,
    scores: _Scores,
    cost_of: Mapping[tuple[str, str, str], float],
    baseline: str,
    why_untested: str,
) -> dict[str, Any]:
    records = ranked.sort_values(["rank", "regularizer"]).to_dict("records")
    best = records[0]
    name, others = str(best["regularizer"]), [str(row["regularizer"]) for row in records[1:]]
    raw = [_p_value(scores, name, other) for other in others]
    corrected = holm(raw)
    alike = [
        other for other, p in zip(others, corrected, strict=True) if not p < LEVEL
    ]  # including contestants with too few seeds for a test
    wins = [str(row["regularizer"]) for row in records if row["outcome"] == "win"]
    asked = [each for each in [name, *alike] if each in wins] or [name, *alike]
    costs = {each: cost_of.get((str(best["scale"]), str(best["task"]), each), math.nan) for each in asked}
    known = {each: cost for each, cost in costs.items() if not math.isnan(cost)}
    cheapest = min(known, key=lambda each: (known[each], each), default="")
    base = next((row["mean"] for row in records if row["regularizer"] == baseline), math.nan)
    sign = 1 if best["higher_is_better"] else -1
    verdict = {
        **{column: best.get(column) for column in VERDICT_COLUMNS},
        "best": name,
        "gain": sign * (best["mean"] - base) if math.isfinite(best["mean"]) and math.isfinite(base) else math.nan,
        "winners": ", ".join(wins),
        "alike": ", ".join(alike),
        "is_tested": any(not math.isnan(p) for p in raw),
        "cheapest": cheapest,
        "cost": known.get(cheapest, math.nan),
    }
    against = _against_baseline(records, name, baseline, why_untested)
    equals = [each for each in _leaders(ranked) if each != name]
    return verdict | {"sentence": " ".join(_sentences(verdict, equals, alike, against, baseline, len(others)))}


def _p_value(scores: _Scores, first: str, second: str) -> float:
    one, other = scores.get(first, {}), scores.get(second, {})
    seeds = [seed for seed in one if seed in other]
    return paired_p_value([one[seed] for seed in seeds], [other[seed] for seed in seeds])


def _sentences(
    verdict: Mapping[str, Any], equals: list[str], alike: list[str], against: list[str], baseline: str, num_others: int
) -> list[str]:
    name, metric = verdict["best"], str(verdict["metric"]).replace("_", " ")
    said = f"{name} has the best mean {metric}, {digits(verdict['mean'])}"
    if not math.isnan(verdict["interval_low"]):
        said += f" (95 % interval {digits(verdict['interval_low'])} … {digits(verdict['interval_high'])})"
    tied = f", equal to that of {listed(equals)}" if equals else ""
    sentences = [f"{said}{tied}{'' if baseline in equals else _against(verdict, baseline)}."]
    if not num_others:
        return [*sentences, "There is no other contestant to compare it with."]
    if not verdict["is_tested"]:
        return [*sentences, "Nothing can be tested, because contestants have fewer than two seeds in common."]
    sentences += against
    if alike:
        sentences.append(f"The seeds do not separate it from {listed(alike)}.")
        if verdict["cheapest"]:
            time = f", with {digits(verdict['cost'])} times the training time of {baseline}"
            gain = " with a significant gain" * (verdict["cheapest"] in verdict["winners"].split(", "))
            sentences.append(
                f"The cheapest of these{gain} is {verdict['cheapest']}{time * (verdict['cheapest'] != baseline)}."
            )
    else:
        sentences.append("The seeds separate it from all others.")
    return sentences


def _against_baseline(records: list[dict[Any, Any]], best: str, baseline: str, why_untested: str) -> list[str]:
    """Which contestants are significantly better than the baseline, and which were not tested against it."""
    outcomes = {str(row["regularizer"]): row["outcome"] for row in records if row["regularizer"] != baseline}
    untested = [name for name, outcome in outcomes.items() if outcome == "untested"]
    if len(untested) == len(outcomes):
        return [f"No contestant was tested against {baseline}, because {why_untested}."]
    winners = [name for name, outcome in outcomes.items() if outcome == "win"]
    better = [name for name in winners if name != best]
    said = []
    if better:
        said.append(f"{'Also s' if best in winners else 'S'}ignificantly better than {baseline}: {listed(better)}.")
    elif not winners:
        said.append(f"No {'tested ' * bool(untested)}contestant is significantly better than {baseline}.")
    return [*said, f"Not tested against {baseline}: {listed(untested)}."] if untested else said


def _why_untested(table: pd.DataFrame, baseline: str) -> str:
    """Why no contestant with the main budget was tested against the baseline, from the rows of one task."""
    row = next(iter(table[table["regularizer"] == baseline].to_dict("records")), None)
    if row is None or row["status"] == "missing":
        return f"{baseline} did not run on this task"
    if not row["num_seeds"]:
        return f"{baseline} has no value on this task"
    if not row["is_main_budget"]:
        return f"{baseline} has another budget ({row['budget']})"
    return f"the others have fewer than two seeds in common with {baseline}"


def _against(verdict: Mapping[str, Any], baseline: str) -> str:
    if verdict["best"] == baseline or math.isnan(verdict["gain"]):
        return ""
    words = {
        "win": f"significant, {_p(verdict['p_holm'])}",
        "tie": f"not significant, {_p(verdict['p_holm'])}",
    }.get(str(verdict["outcome"]), "not tested")
    return f", better than {baseline} by {signed(verdict['gain']).lstrip('+')} ({words})"


def _p(value: float) -> str:
    shown = probability(value)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"
