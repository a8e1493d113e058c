"""Claims of Lu et al. 2021 on LocalDrop (arXiv:2103.00719): tables 1 to 7, figures 1 and 2."""

from __future__ import annotations

import itertools
import math

import pandas as pd

from analysis.papers.claims.claim import Claim, Judge
from analysis.papers.claims.contests import Pair, best_of, judge_equal, judge_order, judge_trend
from analysis.papers.claims.costs import judge_cost, judge_cost_order
from analysis.papers.claims.curves import judge_common_trend, judge_stable
from analysis.papers.entries import Entry
from analysis.papers.localdrop.source import WIDTH_TASKS
from analysis.papers.reported import reported_rows
from analysis.papers.tasks import AUGMENTED, DATASETS

PAPER = "localdrop"
OURS, RC, NONE = "localdrop", "adaptive_dropout_rc", "none"
CIFARS = ("CIFAR-10", "CIFAR-100")
ALL_DATASETS = (*CIFARS, "ILSVRC-2012")
ZHAI = "cifar10-zhai"
FCN = "cifar10-fcn"

_LAMBDAS = ("0.01", "0.03", "0.1", "0.3", "1")
_ROWS_OF_TABLE_3 = ("h=500;m=30", "h=1000;m=20", "h=1500;m=10", "h=2000;m=1", "h=2000;m=10")
_HS_OF_TABLE_4 = (0, 200, 500, 700, 1000, 1200, 1500, 1700, 2000, 2048)
_MS_OF_TABLE_4 = (1, 10, 20, 30)
_BLOCKS = (1, 3, 5, 7, 9, 11)
_CONV_OFF = 3  # h_conv from which no 3x3 kernel is shrunk
_LAST_DIGIT = {"table4": 0.01, "table6": 0.1}  # precision of the printed errors, in % points


def _column(experiment: str, dataset: str, architecture: str, variant: str = "") -> dict[str, Entry]:
    """The entries of a column of a table, by method; `variant` is the end of their tasks' names."""
    rows = reported_rows(PAPER, experiment, dataset)
    rows = rows[rows["architecture"] == architecture]
    return {
        row["method"]: Entry(
            label=row["method"], task=row["task"] + variant, regularizer=row["method"], settings=(row["setting"],)
        )
        for row in rows.to_dict("records")
    }


def _variants(experiment: str, dataset: str) -> tuple[tuple[str, str], ...]:
    """The variants of a column as (end of the tasks' names, words): as printed, and with augmentation if in doubt."""
    is_twofold = experiment == "table2" and dataset in CIFARS
    return (("", ""), (AUGMENTED, ", augmented")) if is_twofold else (("", ""),)


def _point(setting: str, task: str = ZHAI, label: str = "") -> Entry:
    return Entry(
        label=label or setting.replace(";", ", "), task=task, regularizer=OURS, settings=(setting,), exact=True
    )


def _claim(name: str, statement: str, task: str | tuple[str, ...], judge: Judge) -> Claim:
    tasks = (task,) if isinstance(task, str) else task
    return Claim(paper=PAPER, name=name, statement=statement, tasks=tasks, judge=judge)


def _best_of_columns() -> list[Claim]:
    columns = [("table1", dataset, "ZhaiCNN") for dataset in CIFARS]
    networks = ("ResNet-50", "DenseNet", "PreActResNet", "DPN-92")
    columns += [("table2", dataset, network) for network in networks for dataset in ALL_DATASETS]
    claims = []
    for experiment, dataset, network in columns:
        for variant, words in _variants(experiment, dataset):
            entries = _column(experiment, dataset, network, variant)
            where = dataset if experiment == "table1" else f"{network}, {dataset}{words}"
            claims.append(
                _claim(
                    f"Table {experiment[-1]}, {where}",
                    f"LocalDrop has the lowest error of the {len(entries)} methods.",
                    entries[OURS].task,
                    judge_order(best_of(entries[OURS], entries.values())),
                )
            )
    return claims


def _parts_between() -> list[Claim]:
    parts = [("table1", dataset, "ZhaiCNN", part) for dataset in CIFARS for part in ("fc_only", "no_dropout")]
    parts += [("table2", dataset, "ResNet-50", "no_dropblock") for dataset in ALL_DATASETS]
    claims = []
    for experiment, dataset, network, part in parts:
        for variant, words in _variants(experiment, dataset):
            entries = _column(experiment, dataset, network, variant)
            between = entries[f"{OURS}_{part}"]
            claims.append(
                _claim(
                    f"Table {experiment[-1]}, {between.label}, {dataset}{words}",
                    f"The error of {between.label} lies between those of LocalDrop and of no regularization.",
                    between.task,
                    judge_order([Pair(entries[OURS], between), Pair(between, entries[NONE])]),
                )
            )
    return claims


def _lambdas() -> list[Claim]:
    claims = []
    for row in _ROWS_OF_TABLE_3:
        points = {lam: _point(f"lambda={lam};{row}", label=f"lambda {lam}") for lam in _LAMBDAS}
        claims.append(
            _claim(
                f"Table 3, {row.replace(';', ', ')}",
                "Of the five values of lambda, 0.1 gives the lowest error.",
                ZHAI,
                judge_order(best_of(points["0.1"], points.values())),
            )
        )
    return claims


def _at(h: int, m: int) -> Entry:
    return _point(f"lambda=0.1;h={h};m={m}", label=f"h={h}, m={m}")


def _mean_over_h(m: int) -> Entry:
    settings = tuple(f"lambda=0.1;h={h};m={m}" for h in _HS_OF_TABLE_4[:-1])
    return Entry(label=f"m={m}", task=ZHAI, regularizer=OURS, settings=settings, exact=True)


def _kernels_still_shrunk(rows: pd.DataFrame) -> str:
    """Why h = 2048 does not switch the second stage off: conv kernels have a separate h. Empty if it is off."""
    off = rows[(rows["regularizer"] == OURS) & (rows["hp.h_dense_fraction"] == 1.0)]
    h_conv = off["hp.h_conv"].dropna() if "hp.h_conv" in off.columns else pd.Series(dtype=float)
    if (h_conv < _CONV_OFF).any():
        return f"conv kernels are still shrunk (h_conv {h_conv.min():.0f} of {_CONV_OFF})"
    return ""


def _h_and_m() -> list[Claim]:
    all_points = [_at(h, m) for m in _MS_OF_TABLE_4 for h in _HS_OF_TABLE_4]
    means = {m: _mean_over_h(m) for m in _MS_OF_TABLE_4}
    declining = itertools.pairwise(_MS_OF_TABLE_4[1:])
    off = [Pair(_at(2048, first), _at(2048, m)) for first, m in itertools.pairwise(_MS_OF_TABLE_4)]
    return [
        _claim(
            "Table 4, best",
            "Of all 40 combinations, h = 2000 and m = 10 give the lowest error.",
            ZHAI,
            judge_order(best_of(_at(2000, 10), all_points)),
        ),
        _claim(
            "Table 4, m = 1",
            "Shrinking after every epoch gives a larger error than every 10, 20 or 30 (mean over h < 2048).",
            ZHAI,
            judge_order([Pair(means[m], means[1]) for m in _MS_OF_TABLE_4[1:]]),
        ),
        _claim(
            "Table 4, m > 10",
            "Beyond 10 epochs from one shrinkage to the next, the error grows (mean over h < 2048).",
            ZHAI,
            judge_order([Pair(means[small], means[large]) for small, large in declining]),
        ),
        _claim(
            "Table 4, h = 2048",
            "With h = 2048 the second stage is off: the error is the same for every m.",
            ZHAI,
            judge_equal(off, _LAST_DIGIT["table4"], _kernels_still_shrunk),
        ),
    ]


def _blocks() -> list[Claim]:
    claims = []
    for dataset in ALL_DATASETS:
        task = f"{DATASETS[dataset]}-resnet50"
        points = {b: _point(f"lambda=0.1;h=2;m=10;block={b}", task, f"block {b}") for b in _BLOCKS}
        large, small = (9, 5) if dataset == "ILSVRC-2012" else (5, 9)
        dropout = _column("table2", dataset, "ResNet-50")["dropout"]
        claims += [
            _claim(
                f"Table 6, {dataset}",
                "Of the block sizes 1 to 11, 7 gives the lowest error.",
                task,
                judge_order(best_of(points[7], points.values())),
            ),
            _claim(
                f"Table 6, 5 and 9, {dataset}",
                f"Block size {large} gives a lower error than {small} (9 is better than 5 on ILSVRC-2012 alone).",
                task,
                judge_order([Pair(points[large], points[small])]),
            ),
            _claim(
                f"Table 6, block 1, {dataset}",
                "With block size 1, LocalDrop's error is that of dropout (equal to the digit in the paper).",
                task,
                judge_equal([Pair(points[1], dropout)], _LAST_DIGIT["table6"]),
            ),
        ]
    task = "cifar10-resnet50"
    kernels = {h: _point(f"lambda=0.1;h={h};m=10;block=7", task, f"h={h}") for h in (1, 2, 3)}
    return [
        *claims,
        _claim(
            "Section 5.3, h of kernels",
            "For 3 x 3 kernels, h = 2 gives a lower error than 1, and than 3, which is off.",
            task,
            judge_order(best_of(kernels[2], kernels.values())),
        ),
    ]


def _costs() -> list[Claim]:
    claims = []
    for experiment, rival in (("table5", RC), ("table7", "dropblock")):
        rows = reported_rows(PAPER, experiment)
        for dataset, column in rows.groupby("dataset", sort=False):
            minutes = column.set_index("method")["reported"]
            task, where = column["task"].iloc[0], f"Table {experiment[-1]}, {dataset}"
            claims.append(
                _claim(
                    f"{where}, order",
                    f"Time grows from none by dropout and {rival} to LocalDrop.",
                    task,
                    judge_cost_order(task, (NONE, "dropout", rival, OURS)),
                )
            )
            for against in (NONE, rival):
                ratio = minutes[OURS] / minutes[against]
                claims.append(
                    _claim(
                        f"{where}, over {against}",
                        f"LocalDrop takes about {ratio:.2f} times as long as {against}.",
                        task,
                        judge_cost(task, OURS, against, ratio),
                    )
                )
    return claims


def _widths() -> list[Claim]:
    tasks = tuple(WIDTH_TASKS)

    def line(method: str) -> list[tuple[float, Entry]]:
        return [
            (
                math.log2(width),
                Entry(
                    label=f"{method} of width {width}",
                    task=task,
                    regularizer=method,
                    settings=("lambda=0.1;m=10;h=2000",) if method == OURS else ("",),
                ),
            )
            for task, width in WIDTH_TASKS.items()
        ]

    lines = {method: line(method) for method in (NONE, RC, OURS)}
    per = "% points of accuracy per doubling"
    lowest = [
        Pair(ours, other)
        for method in (NONE, RC)
        for (_, ours), (_, other) in zip(lines[OURS], lines[method], strict=True)
    ]
    return [
        _claim(
            "Figure 1a, none",
            "Without regularization the error grows with the number of hidden units.",
            tasks,
            judge_trend(lines[NONE], -1, per),
        ),
        _claim(
            "Figure 1a, RC",
            "With adaptive_dropout_rc the error falls with the number of hidden units.",
            tasks,
            judge_trend(lines[RC], 1, per),
        ),
        _claim(
            "Figure 1a, LocalDrop",
            "With LocalDrop the error falls with the number of hidden units.",
            tasks,
            judge_trend(lines[OURS], 1, per),
        ),
        _claim(
            "Figure 1a, lowest",
            "At every width LocalDrop has a lower error than none and adaptive_dropout_rc.",
            tasks,
            judge_order(lowest),
        ),
    ]


def _is_probed(contestant: str) -> bool:
    """LocalDrop or a part of it, with the probe that logs the bound."""
    parts = contestant.split("+")
    return "rademacher_probe" in parts and any(part.startswith(OURS) for part in parts)


def _training() -> list[Claim]:
    stable = [
        _claim(
            f"Figure 1{letter}, {method}",
            f"The test error of {method} on {dataset} is stable from epoch 700 to 800 (moves by at most 0.5 points).",
            task,
            judge_stable(task, method, since=7 / 8, limit=0.5),
        )
        for letter, dataset, task in (("b", "CIFAR-10", ZHAI), ("c", "CIFAR-100", "cifar100-zhai"))
        for method in (RC, OURS)
    ]
    bound = _claim(
        "Figure 2",
        "The bound of theorem 1 follows the trend of the test error during training (rank correlation above 0.5).",
        FCN,
        judge_common_trend(FCN, _is_probed, "rademacher_probe.log10_bound", least=0.5),
    )
    return [*stable, bound]


CLAIMS: tuple[Claim, ...] = (
    *_best_of_columns(),
    *_parts_between(),
    *_lambdas(),
    *_h_and_m(),
    *_blocks(),
    *_costs(),
    *_widths(),
    *_training(),
)
