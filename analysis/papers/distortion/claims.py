"""Claims of Tang et al. 2020 on feature map distortion (arXiv:2002.11022): tables 1 to 3, figures 1 and 2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain, starmap

import pandas as pd

from analysis.papers.claims.claim import Claim, Judge
from analysis.papers.claims.contests import Pair, best_of, judge_gain, judge_order, judge_trend
from analysis.papers.distortion.source import SOURCE
from analysis.papers.entries import Entry, Measure, accuracy_points, gap_points, top5_points, train_points
from analysis.papers.reported import reported_rows
from analysis.rows.symbols import has_setting

PAPER = "feature_map_distortion"
UNITS, BLOCKS, NONE = "feature_map_distortion", "block_feature_map_distortion", "none"
CIFARS = ("CIFAR-10", "CIFAR-100")
SWEEP_TASK = "cifar100-resnet56"
# The step length as in the released code, or divided by the batch size, so that there is almost no distortion.
MODES = {"official": "as in the released code", "paper": "as eq. 22 is printed"}

_TABLE_3_MEASURES: dict[str, tuple[str, Measure]] = {
    "top1_accuracy": ("top-1", accuracy_points),
    "top5_accuracy": ("top-5", top5_points),
}


def _column(experiment: str, dataset: str, metric: str = "test_accuracy") -> dict[str, Entry]:
    rows = reported_rows(PAPER, experiment, dataset)
    return {
        row["method"]: Entry(
            label=row["method"], task=row["task"], regularizer=row["method"], settings=(row["setting"],)
        )
        for row in rows[rows["metric"] == metric].to_dict("records")
    }


def _reported_gain(experiment: str, dataset: str, first: str, second: str, metric: str = "test_accuracy") -> float:
    rows = reported_rows(PAPER, experiment, dataset)
    values = rows[rows["metric"] == metric].set_index("method")["reported"]
    return round(float(values[first] - values[second]), 2)


def _claim(name: str, statement: str, task: str, judge: Judge) -> Claim:
    return Claim(paper=PAPER, name=name, statement=statement, tasks=(task,), judge=judge)


def _cifar_tables() -> list[Claim]:
    claims = []
    for experiment, ours, rival in (("table1", UNITS, "adaptive_dropout_rc"), ("table2", BLOCKS, "dropblock")):
        for dataset in CIFARS:
            entries = _column(experiment, dataset)
            gain = _reported_gain(experiment, dataset, ours, rival)
            where, task = f"Table {experiment[-1]}, {dataset}", entries[ours].task
            claims += [
                _claim(
                    where,
                    f"{ours} is the most accurate of the {len(entries)} methods.",
                    task,
                    judge_order(best_of(entries[ours], entries.values())),
                ),
                _claim(
                    f"{where}, gain",
                    f"{ours} gains {gain:.2f} points over {rival}.",
                    task,
                    judge_gain(Pair(entries[ours], entries[rival]), gain),
                ),
            ]
    return claims


def _imagenet_table() -> list[Claim]:
    claims = []
    for metric, (words, measure) in _TABLE_3_MEASURES.items():
        entries = _column("table3", "ILSVRC-2012", metric)
        task = entries[BLOCKS].task
        claims.append(
            _claim(
                f"Table 3, {words}",
                f"{BLOCKS} has the highest {words} accuracy of the {len(entries)} methods.",
                task,
                judge_order(best_of(entries[BLOCKS], entries.values()), measure),
            )
        )
        for ours, rival in ((UNITS, "dropout"), (BLOCKS, "dropblock")):
            gain = _reported_gain("table3", "ILSVRC-2012", ours, rival, metric)
            claims.append(
                _claim(
                    f"Table 3, {words}, over {rival}",
                    f"{ours} gains {gain:.2f} points of {words} accuracy over {rival}.",
                    task,
                    judge_gain(Pair(entries[ours], entries[rival]), gain, measure),
                )
            )
        released = replace(entries[BLOCKS], settings=(SOURCE.released_settings["table3", BLOCKS],), exact=True)
        gain = _reported_gain("table3", "ILSVRC-2012", BLOCKS, "dropblock", metric)
        claims.append(
            _claim(
                f"Table 3, {words}, over dropblock, released settings",
                f"{BLOCKS} as in the released code gains {gain:.2f} points of {words} accuracy over dropblock.",
                task,
                judge_gain(Pair(released, entries["dropblock"]), gain, measure),
            )
        )
    return claims


def _overfitting() -> list[Claim]:
    entries = _column("table2", "CIFAR-100")
    plain, ours = entries[NONE], entries[BLOCKS]
    return [
        _claim(
            "Figure 1, training",
            f"At the end of training the network without regularization fits its training data better than {BLOCKS}.",
            SWEEP_TASK,
            judge_order([Pair(plain, ours)], train_points),
        ),
        _claim(
            "Figure 1, test",
            f"At the end of training the network without regularization is less accurate on test data than {BLOCKS}.",
            SWEEP_TASK,
            judge_order([Pair(ours, plain)]),
        ),
    ]


Along = Callable[[pd.DataFrame], list[tuple[float, Entry]]]


def _along(method: str, symbol: str, column: str, mode: str | None = None) -> Along:
    """The points of a sweep (in one mode) that were run, since the paper does not give the values of its curves."""
    of_mode = "" if mode is None else f";mode={mode}"

    def points(trials: pd.DataFrame) -> list[tuple[float, Entry]]:
        cell = trials[
            (trials["task"] == SWEEP_TASK) & (trials["regularizer"] == method) & (trials["role"] == "default")
        ]
        cell = cell[has_setting(cell, of_mode)]
        places = sorted(cell[column].dropna().unique()) if column in cell.columns else []
        return [
            (
                float(place),
                Entry(
                    label=f"{method} at {symbol}={place:g}{of_mode.replace(';', ', ')}",
                    task=SWEEP_TASK,
                    regularizer=method,
                    settings=(f"{symbol}={place:.10g}{of_mode}",),
                    exact=True,
                ),
            )
            for place in places
        ]

    return points


DROPBLOCK_ALONG_RATE = _along("dropblock", "p", "hp.drop_rate")
ALONG_RATE = {mode: _along(BLOCKS, "p", "hp.distortion_rate", mode) for mode in MODES}
ALONG_STEP_SIZE = {mode: _along(BLOCKS, "gamma", "hp.step_size", mode) for mode in MODES}


def _over_equal_rates(mode: str) -> Callable[[pd.DataFrame], list[Pair]]:
    """The pair of the means of both methods over the rates at which both were run."""

    def pairs(trials: pd.DataFrame) -> list[Pair]:
        ours, theirs = (
            {round(rate, 6): entry for rate, entry in along(trials)}
            for along in (ALONG_RATE[mode], DROPBLOCK_ALONG_RATE)
        )
        rates = sorted(set(ours) & set(theirs))
        return [Pair(_mean([ours[rate] for rate in rates]), _mean([theirs[rate] for rate in rates]))] if rates else []

    return pairs


def _mean(entries: list[Entry]) -> Entry:
    """One entry with the settings of all entries, so that it is their mean."""
    first = entries[0]
    label = f"{first.regularizer} over {len(entries)} rate(s)"
    return replace(first, label=label, settings=tuple(setting for entry in entries for setting in entry.settings))


def _sweeps(mode: str, words: str) -> list[Claim]:
    return [
        _claim(
            f"Figure 2a, {words}",
            "Averaged over p, distortion is more accurate than DropBlock (the paper: better with p in a larger range).",
            SWEEP_TASK,
            judge_order(_over_equal_rates(mode)),
        ),
        _claim(
            f"Figure 2b, {words}",
            "The larger p, the smaller the gap between training and test accuracy.",
            SWEEP_TASK,
            judge_trend(ALONG_RATE[mode], -1, "points of gap per unit of p", gap_points),
        ),
        _claim(
            f"Figure 2c, {words}",
            "The larger the step length gamma, the smaller the gap between training and test accuracy.",
            SWEEP_TASK,
            judge_trend(ALONG_STEP_SIZE[mode], -1, "points of gap per unit of gamma", gap_points),
        ),
    ]


CLAIMS: tuple[Claim, ...] = (
    *_cifar_tables(),
    *_imagenet_table(),
    *_overfitting(),
    *chain.from_iterable(starmap(_sweeps, MODES.items())),
)
