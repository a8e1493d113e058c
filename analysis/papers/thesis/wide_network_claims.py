"""Claims of chapter 5 of Mianjy's thesis, and of Mianjy and Arora 2020, on dropout in wide networks.

A trend is judged by one least-squares slope per seed, over the means at the widths or drop rates, tested against 0 over
seeds (`analysis.papers.thesis.differences`). A claim that a scaled metric is the same at all widths holds if the 95 %
interval of its ratio for a tenfold width, from the slopes of logarithms, is within the limits. Neither is judged if a
seed failed. Bounds of at least 1 on errors are vacuous, whatever was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import stats

from analysis.papers.claims.claim import (
    FAILS,
    HOLDS,
    TOO_FEW,
    Claim,
    Judge,
    Judgement,
    Results,
    verdict_of_bound,
)
from analysis.papers.claims.contests import ONE_SEED, UNDECIDED
from analysis.papers.thesis.differences import judge_differences
from analysis.papers.thesis.trials import calculated, without_values
from analysis.papers.thesis.wide_networks import (
    FIG_5_1,
    LAZY_TASKS,
    SUBNETWORK_TASKS,
    WIDTHS,
    readings_of,
    rows_of_lazy,
    rows_of_subnetworks,
    table_of,
)
from analysis.rows.current import succeeded
from analysis.tables.statistics import LEVEL, Difference, difference_of_means

PAPER = "dropout_theory"
COMPARABLE = 1.0  # point of accuracy
COMPARABLE_FROM = 10_000  # units
SPARSE_RATE = 0.8  # drop rate of figure 5-3
FAILURE_PROBABILITY = 0.05  # at which the bound on the active width is read
_RATE_GRID = tuple(f"thesis-fig5-2-width-{width}" for width in WIDTHS)
_PROJECTIONS = "max_norm.projections"


def _slopes(table: pd.DataFrame, along: str) -> dict[int, float]:
    """For each seed: the least-squares slope of the mean at each width (by its decimal logarithm) or drop rate."""
    means = _whole(table, along).T.groupby(level=along).mean().T
    if means.shape[1] < 2:
        return {}
    places = np.asarray(means.columns, dtype=float)
    places = np.log10(places) if along == "width" else places
    centred = places - places.mean()
    slopes = means.to_numpy() @ centred / (centred @ centred)
    return {int(seed): float(slope) for seed, slope in zip(means.index, slopes, strict=True)}


def _whole(table: pd.DataFrame, along: str) -> pd.DataFrame:
    """Keep the complete part of the table: every seed with every drop rate at every width that was run.

    If `along` is the width, drop rates that lack a width are dropped; otherwise, widths that lack a drop rate. Seeds
    with a missing value are dropped as well. In an unfinished campaign, the means at two points would otherwise be over
    different trials.
    """
    other = "rate" if along == "width" else "width"
    columns = table.columns.to_frame(index=False)
    complete = columns.groupby(other)[along].nunique() == columns[along].nunique()
    return table.loc[:, table.columns.get_level_values(other).isin(complete.index[complete])].dropna()


def _words(table: pd.DataFrame, along: str) -> str:
    means = 100 * _whole(table, along).T.groupby(level=along).mean().T.mean()
    return ", ".join(f"{place:g}: {value:.2f}" for place, value in means.items())


def _trend(metric: str, what: str, along: str, *, falls: bool, rate: float | None = None) -> Judge:
    """Judge whether a metric rises (or `falls`) with the width or drop rate, as a mean over the other of the two."""

    def judge(results: Results) -> Judgement | None:
        rows = rows_of_subnetworks(results.trials)
        rows = rows[np.isclose(rows["rate"], rate)] if rate is not None else rows
        if failed := without_values(rows):
            return failed
        table = table_of(rows, metric)
        slopes = {} if table.empty else _slopes(table, along)
        if not slopes:
            return None
        signed = {seed: (-100 if falls else 100) * slope for seed, slope in slopes.items()}
        difference = difference_of_means(signed, dict.fromkeys(signed, 0.0))
        direction = "fall" if falls else "rise"
        step = "tenfold width" if along == "width" else "drop rate from 0 to 1"
        words = f"{what} in points by {along}: {_words(table, along)}; {direction} for a {step} (claimed: above 0)"
        return judge_differences({"slope": difference}, rows, training="end", words=words)

    return judge


def _comparable(results: Results) -> Judgement | None:
    rows = rows_of_subnetworks(results.trials)
    rows = rows[np.isclose(rows["rate"], SPARSE_RATE) & (rows["width"] >= COMPARABLE_FROM)]
    if failed := without_values(rows):
        return failed
    table = table_of(rows, "subnetwork_gap", ["width"])
    if table.empty:
        return None
    points = 100 * table
    room = {
        f"width {int(width)}": difference_of_means(
            dict.fromkeys(_by_seed(points[width]), COMPARABLE), _by_seed(points[width])
        )
        for width in points.columns
    }
    words = f"1 point of accuracy less the gap in points at drop rate {SPARSE_RATE} (claimed: above 0)"
    return judge_differences(room, rows, training="end", words=words)


def _stays(metric: str, what: str, low: float, high: float) -> Judge:
    """Judge whether a metric is the same at all widths: its ratio for a tenfold width is in [low, high]."""

    def judge(results: Results) -> Judgement | None:
        rows = rows_of_lazy(results.trials)
        if failed := without_values(rows):
            return failed
        table = table_of(rows, metric)
        if table.empty or not (table > 0).all(axis=None):
            return None
        slopes = _slopes(table.map(math.log), "width")
        if not slopes:
            return None
        found = difference_of_means(slopes, dict.fromkeys(slopes, 0.0))
        interval = f" ({math.exp(found.low):.2f} to {math.exp(found.high):.2f})"
        means = ", ".join(
            f"{width}: {value:.3g}"
            for width, value in _whole(table, "width").T.groupby(level="width").mean().T.mean().items()
        )
        return Judgement(
            verdict=_verdict_within(found, math.log(low), math.log(high)),
            value=abs(found.mean),
            limit=min(math.log(high), -math.log(low)),
            measured=f"{what} by width: {means}; ratio for a tenfold width {math.exp(found.mean):.2f}"
            f"{'' if math.isnan(found.low) else interval} (claimed: within {low:g} to {high:g}); the value is its "
            "logarithm",
            num_trials=len(rows),
            scale=str(rows["scale"].iloc[0]),
        )

    return judge


def _verdict_within(interval: Difference, low: float, high: float) -> str:
    if math.isnan(interval.low):
        return ONE_SEED
    if low <= interval.low and interval.high <= high:
        return HOLDS
    return FAILS if interval.high < low or interval.low > high else UNDECIDED


def _by_seed(values: pd.Series) -> dict[int, float]:
    """A column of `table_of` by seed."""
    return {int(seed): float(value) for seed, value in zip(values.index, values, strict=True)}


def _no_projections(results: Results) -> Judgement | None:
    rows = succeeded(rows_of_lazy(results.trials))
    points = results.curves
    if rows.empty or points.empty:
        return None
    counts = points[points["trial_id"].isin(rows["trial_id"]) & (points["metric"] == _PROJECTIONS)]
    if set(rows["trial_id"]) - set(counts["trial_id"]):
        return None
    largest = float(table_of(rows, "largest_row_norm").to_numpy(dtype=float).max(initial=0.0))
    total = float(counts["value"].sum())
    limits = pd.to_numeric(rows["hp.limit"])
    text = f"{total:.0f} projections in {len(rows)} trainings under the limits c = {limits.min():.1f} to "
    text += f"{limits.max():.1f}; largest norm of a row at the end {largest:.1f}"
    return Judgement(
        verdict=HOLDS if total == 0 else FAILS,
        value=total,
        limit=0.0,
        measured=text,
        num_trials=len(rows),
        scale=str(rows["scale"].iloc[0]),
    )


def _active_width(results: Results) -> Judgement | None:
    """Judge by exact binomial tests whether at most the share delta of trainings has a mask above the bound.

    The probability 1 - delta is that all T masks of a training are within the bound, so that one mask decides about its
    training. The masks are those of the readings, which are some of the T: the share of trainings may be larger.
    """
    rows = succeeded(rows_of_lazy(results.trials))
    rows = rows[rows["rate"] > 0]
    if rows.empty or results.curves.empty:
        return None
    read = readings_of(rows, results.curves)
    if not {"active_width", "active_width_bound"} <= set(read.columns):
        return None
    read = read[read["epoch"] > 0]  # before the first step there is no mask
    if read.empty:
        return None
    is_above = (read["active_width"] > read["active_width_bound"]).groupby(read["trial_id"]).any()
    above, num = int(is_above.sum()), len(is_above)
    most = float(stats.binomtest(above, num, alternative="less").proportion_ci(1 - LEVEL).high)  # Clopper and Pearson
    closest = float((read["active_width"] / read["active_width_bound"]).max())
    if stats.binomtest(above, num, FAILURE_PROBABILITY, alternative="greater").pvalue < LEVEL:
        verdict = FAILS
    elif most <= FAILURE_PROBABILITY:
        verdict = HOLDS
    else:
        verdict = f"{TOO_FEW}: {num} trainings leave room for a share of {most:.0%}"
    return Judgement(
        verdict=verdict,
        value=above / num,
        limit=FAILURE_PROBABILITY,
        measured=f"{above} of {num} trainings have a mask with more units than q m + sqrt(2 m ln(T / 0.05)), of the "
        f"{len(read)} that were read; the widest has {closest:.2f} of the bound",
        num_trials=len(rows),
        scale=str(rows["scale"].iloc[0]),
    )


def _bounded(error: str, bound: str) -> Judge:
    """Judge whether the mean error over training is at most its bound; a bound of at least 1 is vacuous."""

    def judge(results: Results) -> Judgement | None:
        rows = succeeded(rows_of_lazy(results.trials))
        if rows.empty or results.curves.empty:
            return None
        read = readings_of(rows, results.curves)
        if not {error, bound, "least_width"} <= set(read.columns):
            return None
        means = read.groupby(["width", "rate"])[[error, bound, "least_width"]].mean()
        tightest = means.iloc[int((means[error] - means[bound]).to_numpy().argmax())]
        return Judgement(
            verdict=verdict_of_bound(float(tightest[error]), float(tightest[bound])),
            value=float(tightest[error]),
            limit=float(tightest[bound]),
            measured=f"mean error over the training {tightest[error]:.3f}, bound {tightest[bound]:.3g}, for "
            f"the width and rate nearest to the bound; the theorem requires {tightest['least_width']:.1e} units, the "
            f"widest network has {max(WIDTHS)}",
            num_trials=len(rows),
            scale=str(rows["scale"].iloc[0]),
        )

    return judge


def _line_bounds_the_loss(results: Results) -> Judgement | None:
    numbers = calculated(results.trials, FIG_5_1)
    if numbers is None or "largest_violation" not in numbers:
        return None
    value = float(numbers["largest_violation"])
    return Judgement(
        verdict=HOLDS if value <= 0 else FAILS,
        value=value,
        limit=0.0,
        measured=f"largest violation of log2(1 + e^-z) <= 1 - z / ln 2 for z from -4 to 0: {value:.2g}",
        num_trials=1,
        scale=str(numbers["scale"]),
    )


def _claim(name: str, statement: str, tasks: Mapping[str, int] | tuple[str, ...], judge: Judge) -> Claim:
    return Claim(paper=PAPER, name=name, statement=statement, tasks=tuple(tasks), judge=judge)


def _of_lazy(name: str, statement: str, judge: Callable[[Results], Judgement | None]) -> Claim:
    return _claim(name, statement, LAZY_TASKS, judge)


WIDE_NETWORK_CLAIMS: tuple[Claim, ...] = (
    _claim(
        "Figure 5-1",
        "For z <= 0 the logistic loss is at most 1 - z / ln 2 (eq. 5.13, to base 2, as the theorems need it).",
        (FIG_5_1,),
        _line_bounds_the_loss,
    ),
    _claim(
        "Figure 5-2, drop rates",
        "The higher the drop rate, the larger the gap between the network and the sub-networks that dropout visits "
        "(figure 1 of Mianjy and Arora 2020).",
        _RATE_GRID,
        _trend("subnetwork_gap_current", "gap", "rate", falls=False),
    ),
    _claim(
        "Figure 5-2, widths",
        "The wider the network, the smaller that gap.",
        _RATE_GRID,
        _trend("subnetwork_gap_current", "gap", "width", falls=True),
    ),
    _claim(
        "Figure 5-3, drop rates",
        "The higher the drop rate, the larger the gap between the network and fixed random sub-networks (figure 2 of "
        "Mianjy and Arora 2020).",
        _RATE_GRID,
        _trend("subnetwork_gap", "gap", "rate", falls=False),
    ),
    _claim(
        "Figure 5-3, widths",
        "At drop rate 0.8 fixed random sub-networks become more competitive as the width grows.",
        _RATE_GRID,
        _trend("subnetwork_gap", "gap", "width", falls=True, rate=SPARSE_RATE),
    ),
    _claim(
        "Figure 5-3, spread",
        "At drop rate 0.8 fixed random sub-networks become more alike in accuracy as the width grows.",
        _RATE_GRID,
        _trend("subnetwork_accuracy_fixed_std", "standard deviation", "width", falls=True, rate=SPARSE_RATE),
    ),
    _claim(
        "Figure 5-3, a fifth of the width",
        "From 10,000 units on sub-networks of a fifth of the width are comparable to the network (within a point).",
        tuple(task for task, width in SUBNETWORK_TASKS.items() if width == COMPARABLE_FROM),
        _comparable,
    ),
    _of_lazy(
        "Section 5.3, max-norm",
        "With the c of Theorem 14 the projections of the algorithm are inactive.",
        _no_projections,
    ),
    _of_lazy(
        "Lemma 13, moves",
        "Weights stay within a distance of order 1 / sqrt(m) from the first ones: sqrt(m) max ||w_r - w_r,1|| is the "
        "same at all widths.",
        _stays("largest_move_times_sqrt_width", "sqrt(m) times the largest move", 0.8, 1.25),
    ),
    _of_lazy(
        "Lemma 16, activation patterns",
        "Of m units of order sqrt(m) change their activation on a point: sqrt(m) times the share is the same at all "
        "widths.",
        _stays("flipped_share_times_sqrt_width", "sqrt(m) times the share of changed activations", 0.6, 1.6),
    ),
    _of_lazy(
        "Section 5.3, active width",
        "A mask keeps at most q m + sqrt(2 m ln(T / delta)) units, in all steps with probability 1 - delta.",
        _active_width,
    ),
    _of_lazy(
        "Theorem 14",
        "The error of the network, in the mean over the training, is at most 4 lambda^2 / (eta T).",
        _bounded("error", "error_bound"),
    ),
    _of_lazy(
        "Theorem 15",
        "The error of the sub-networks that dropout visits, in the mean over the training, is at most of that order.",
        _bounded("subnetwork_error", "subnetwork_bound"),
    ),
)
