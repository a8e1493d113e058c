"""What the papers on the theory of dropout claim, each as a row: measured on the competing modules, with a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.current import current_rows
from analysis.notes import notes_of, with_notes
from analysis.theory_rows import Evidence, evidence_of

CLAIM_COLUMNS = (
    "paper", "claim", "statement", "verdict", "measured", "value", "limit", "num_trials", "tasks", "scale",
)  # fmt: skip
NOT_RUN = "not comparable: not run"
STRUCTURED, THESIS = "structured_dropout", "dropout_theory"

ROUNDING = 1e-5  # of sums of squares that networks in single precision leave behind
LARGEST_RMS = 1.5  # of deviations in units of their standard error, which is 1 where the law is the one claimed


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was measured for a claim: it holds where `value` is at most `limit`."""

    value: float
    limit: float
    measured: str

    @property
    def holds(self) -> bool:
        """Whether the measurement agrees with the claim."""
        return self.value <= self.limit


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a paper that rows can bear out or contradict.

    `training` says how much of it the claim is about: `any` part, or its `end`, which a shortened training can reach
    but not miss, or its `full` length, without which nothing can be said. `incomparable` is the reason why a
    measurement that differs says nothing against the paper.
    """

    paper: str
    name: str  # with its place in the paper
    statement: str
    tasks: tuple[str, ...]
    contestants: tuple[str, ...] = ("dropout",)
    measure: Callable[[Evidence], Finding]
    training: Literal["any", "end", "full"] = "any"
    incomparable: str = ""


def claims_table(trials: pd.DataFrame, curves: pd.DataFrame, paper: str | None = None) -> pd.DataFrame:
    """One row per claim; columns `CLAIM_COLUMNS`. The verdict is `holds`, `does not hold` or `not comparable: <why>`.

    `value` is the measurement and `limit` the largest value at which the claim counts as borne out; `measured` says in
    words what they are. A paper without claims has no rows.
    """
    chosen = [claim for claim in CLAIMS if paper in (None, claim.paper)]
    table = pd.DataFrame([_row(claim, evidence_of(trials, curves, claim.tasks, claim.contestants)) for claim in chosen])
    return with_notes(table.reindex(columns=list(CLAIM_COLUMNS)), notes_of(current_rows(trials)))


def _row(claim: Claim, evidence: Evidence | None) -> dict[str, object]:
    row: dict[str, object] = {
        "paper": claim.paper,
        "claim": claim.name,
        "statement": claim.statement,
        "tasks": ", ".join(claim.tasks),
        "verdict": NOT_RUN,
        "num_trials": 0,
    }
    if evidence is None:
        return row
    finding = claim.measure(evidence)
    row |= {"value": finding.value, "limit": finding.limit, "measured": finding.measured}
    return row | {
        "scale": evidence.scale,
        "num_trials": len(evidence.rows),
        "verdict": _verdict(claim, finding, evidence.scale),
    }


def _verdict(claim: Claim, finding: Finding, scale: str) -> str:
    if np.isnan(finding.value):
        return "not comparable: the rows lack what it needs"
    if claim.training == "full" and scale != "paper":
        return f"not comparable: scale {scale} ends training too early to tell"
    if finding.holds:
        return "holds"
    if claim.incomparable:
        return f"not comparable: {claim.incomparable}"
    if claim.training == "end" and scale != "paper":
        return f"not comparable: scale {scale} ends training too early to contradict it"
    return "does not hold"


def _law(law: str) -> Callable[[Evidence], Finding]:
    """Deviations of the stochastic objective from a law, in standard errors of its sampled mean."""

    def measure(evidence: Evidence) -> Finding:
        read = evidence.readings
        relative = read[f"{law}_deviation"]
        errors = relative * read[f"{law}_objective"] / read["sampling_error"]
        rms = float(np.sqrt(errors.pow(2).mean()))
        text = (
            f"root mean square deviation {rms:.3g} standard errors over {len(read)} readings, mean relative deviation "
            f"{relative.mean():+.2g}, largest {relative.abs().max():.2g}"
        )
        return Finding(value=rms, limit=LARGEST_RMS, measured=text)

    return measure


def _worst(column: Callable[[pd.DataFrame], pd.Series], limit: float, what: str) -> Callable[[Evidence], Finding]:
    """The largest mean over seeds of a last reading, over tasks, contestants and rates."""

    def measure(evidence: Evidence) -> Finding:
        last = evidence.last
        means = column(last).groupby([last["task"], last["regularizer"], last["drop_rate"]]).mean()
        text = (
            f"{what}: mean over seeds at most {means.max():.3g} over {len(means)} settings, smallest {means.min():.2g}"
        )
        return Finding(value=float(means.max()), limit=limit, measured=text)

    return measure


def _never_below(evidence: Evidence) -> Finding:
    below = -float(evidence.readings["excess_objective"].min())
    text = f"smallest of {len(evidence.readings)} readings of (F - F*) / F(0): {-below:.2g}"
    return Finding(value=below, limit=ROUNDING, measured=text)


def _same_training(evidence: Evidence) -> Finding:
    ends = evidence.last.groupby("regularizer")["stochastic_objective"].mean()
    difference = float(ends["dropconnect"] / ends["dropout"] - 1)
    text = f"objective of DropConnect at its end over dropout's, less 1: {difference:+.2g}"
    return Finding(value=abs(difference), limit=0.05, measured=text)


def _equal_rates(evidence: Evidence) -> Finding:
    """DropBlock at the setting whose measured rate is nearest to that of the fixed grid."""
    last = evidence.last
    grid = last[last["regularizer"] == "dropblock_sample"]
    overlapping = last[last["regularizer"] == "dropblock"].groupby("drop_rate").mean(numeric_only=True)
    nearest = overlapping.iloc[(overlapping["kept_fraction"] - grid["kept_fraction"].mean()).abs().argmin()]
    difference = float(nearest["stochastic_objective"] / grid["stochastic_objective"].mean() - 1)
    text = (
        f"overlapping blocks keep {nearest['kept_fraction']:.3f}, the grid {grid['kept_fraction'].mean():.3f}; the "
        f"objective at the end differs by {difference:+.2g}"
    )
    return Finding(value=abs(difference), limit=0.1, measured=text)


def _drops_more(evidence: Evidence) -> Finding:
    last = evidence.last
    grid = last[last["regularizer"] == "dropblock_sample"]
    same = last[(last["regularizer"] == "dropblock") & np.isclose(last["drop_rate"], grid["drop_rate"].mean())]
    more = float(same["kept_fraction"].mean() - grid["kept_fraction"].mean())
    text = f"at one setting overlapping blocks keep {same['kept_fraction'].mean():.3f} of the units, the grid "
    return Finding(value=more, limit=0.0, measured=text + f"{grid['kept_fraction'].mean():.3f}")


def _mean_curve(read: pd.DataFrame, metric: str) -> pd.Series:
    """The metric over epochs, averaged over seeds."""
    return read.dropna(subset=[metric]).groupby("epoch")[metric].mean()


def _largest_rise(curve: pd.Series) -> float:
    """The largest step upwards, over what the curve falls in all."""
    fall = float(curve.iloc[0] - curve.min())
    return float(curve.diff().max()) / fall if fall > 0 else np.inf


def _variance_falls(evidence: Evidence) -> Finding:
    groups = evidence.readings.groupby(["task", "lam"])
    rises = {key: _largest_rise(_mean_curve(read, "importance_variance")) for key, read in groups}
    worst = max(rises.values())
    return Finding(
        value=worst,
        limit=0.01,
        measured=f"largest rise of the mean variance between two readings: {worst:.2g} of its fall",
    )


def _faster_with_strength(evidence: Evidence) -> Finding:
    """Mean over the training of the variance, relative to the first: smaller for larger lambda, in each task."""
    worst = -np.inf
    parts: list[str] = []
    for task, read in evidence.readings.groupby("task"):
        shares = []
        for lam, of_lam in read.groupby("lam"):
            curve = _mean_curve(of_lam, "importance_variance")
            shares.append(float(curve.mean() / curve.iloc[0]))
            parts.append(f"{task}, lambda {lam:.2g}: {shares[-1]:.3f}")
        worst = max(worst, *map(float, np.diff(shares))) if len(shares) > 1 else np.nan
    return Finding(value=worst, limit=0.0, measured=f"mean variance over the first: {'; '.join(parts)}")


def _singular_values(evidence: Evidence, name: str) -> pd.DataFrame:
    """Rows: drop rates; columns: places; means over seeds of the last readings."""
    last = evidence.last
    columns = [column for column in last.columns if column.startswith(f"{name}/")]
    columns.sort(key=lambda column: int(column.rpartition("/")[2]))
    return last.groupby("drop_rate")[columns].mean()


def _predicted_spectrum(evidence: Evidence) -> Finding:
    measured, bound = (
        _singular_values(evidence, name).to_numpy() for name in ("singular_value", "bound_singular_value")
    )
    errors = np.abs(measured / bound - 1).max(axis=0)
    text = f"largest relative error {errors[:-1].max():.2g} but for the smallest value, whose error is {errors[-1]:.2g}"
    return Finding(value=float(errors[:-1].max()), limit=0.1, measured=text)


def _shrinks_with_rate(evidence: Evidence) -> Finding:
    sums = _singular_values(evidence, "singular_value").sum(axis="columns")
    rise = float(sums.diff().max()) if len(sums) > 1 else np.nan
    text = ", ".join(f"{rate:.1f}: {value:.3g}" for rate, value in zip(sums.index, sums, strict=True))
    return Finding(value=rise, limit=0.0, measured=f"sum of singular values by drop rate: {text}")


def _rank_falls_with_rate(evidence: Evidence) -> Finding:
    values = _singular_values(evidence, "singular_value")
    ranks = (values > 0.01 * float(values.to_numpy().max())).sum(axis="columns")
    text = ", ".join(f"{rate:.1f}: {rank}" for rate, rank in ranks.items())
    rises = float(ranks.diff().max()) if len(ranks) > 1 else np.nan
    stayed = len(ranks) > 1 and ranks.iloc[-1] == ranks.iloc[0]
    return Finding(
        value=1.0 if stayed else rises,
        limit=0.0,
        measured=f"singular values above 1 % of the largest, by drop rate: {text}",
    )


def _uneven_shrinkage(evidence: Evidence) -> Finding:
    """Spread of the shrinkage over the values that stay, over its mean; uniform shrinkage has 0."""
    values, targets = (
        _singular_values(evidence, name).to_numpy() for name in ("singular_value", "target_singular_value")
    )
    spreads = []
    rates = sorted({float(rate) for rate in evidence.last["drop_rate"]})
    for rate, kept, target in zip(rates, values, targets, strict=True):
        stays = kept > 0.1 * target.max()
        amounts = (target - kept)[stays]
        if rate > 0 and stays.sum() > 1:
            spreads.append(float((amounts.max() - amounts.min()) / amounts.mean()))
    largest = max(spreads, default=np.nan)
    text = f"shrinkage of the values that stay varies by up to {largest:.2g} of its mean (claimed: more than 0.05)"
    return Finding(value=-largest, limit=-0.05, measured=text)


def _gap_falls(evidence: Evidence) -> Finding:
    curve = _mean_curve(evidence.readings, "equalization_gap")
    rise = _largest_rise(curve)
    text = f"mean gap falls from {curve.iloc[0]:.3g} to {curve.iloc[-1]:.3g}; largest rise {rise:.2g} of the fall"
    return Finding(value=rise, limit=0.01, measured=text)


_WIDTHS = ("thesis-fig2-3-width-20", "thesis-fig2-3-width-80")
_DESIGNS = ("structured-fig2", "structured-fig2-orthogonal", "structured-fig2-correlated")


def _relative_distance(last: pd.DataFrame) -> pd.Series:
    return last["objective"] / last["minimum"] - 1


def _norm_error(last: pd.DataFrame) -> pd.Series:
    return (last["squared_norm"] / last["optimal_squared_norm"] - 1).abs()


def _unevenness_under_dropout(last: pd.DataFrame) -> pd.Series:
    return last["unevenness"].where(last["drop_rate"] > 0)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        paper=STRUCTURED,
        name="Lemma 1, figure 1 top",
        statement="Training with DropBlock minimises, in expectation, the squared error plus the block regularizer.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=_law("dropblock"),
    ),
    Claim(
        paper=STRUCTURED,
        name="Theorem 5",
        statement="The closed-form minimum is a lower bound: no iterate lies below it.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=_never_below,
    ),
    Claim(
        paper=STRUCTURED,
        name="Theorem 7 and Corollary 8, figure 1 bottom",
        statement="Training with DropBlock converges to the closed-form global minimum.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=_worst(_relative_distance, 0.02, "F / F* - 1 at the end"),
        training="end",
    ),
    Claim(
        paper=STRUCTURED,
        name="Theorem 7, singular values",
        statement="The singular values of the trained predictions are those of the closed-form minimiser.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=_worst(lambda last: last["spectrum_distance"], 0.05, "relative distance of the spectra"),
        training="end",
    ),
    Claim(
        paper=STRUCTURED,
        name="Theorem 4",
        statement="At the minimum all blocks carry products of equal norm.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=_worst(lambda last: last["unevenness"], 0.05, "spread of the blocks' norms over their mean"),
        training="end",
    ),
    Claim(
        paper=STRUCTURED,
        name="Theorem 13 and Corollary 14, orthogonal features",
        statement="DropConnect minimises, in expectation, dropout's objective (here on orthogonal features).",
        tasks=("structured-fig2-orthogonal",),
        contestants=("dropconnect",),
        measure=_law("dropout"),
    ),
    Claim(
        paper=STRUCTURED,
        name="Theorem 13 and Corollary 14, figure 2 top",
        statement="DropConnect minimises, in expectation, dropout's objective (here on the paper's Gaussian features).",
        tasks=("structured-fig2",),
        contestants=("dropconnect",),
        measure=_law("dropout"),
    ),
    Claim(
        paper=STRUCTURED,
        name="Theorem 13 and Corollary 14, correlated features",
        statement="DropConnect minimises, in expectation, dropout's objective (here on correlated features).",
        tasks=("structured-fig2-correlated",),
        contestants=("dropconnect",),
        measure=_law("dropout"),
    ),
    Claim(
        paper=STRUCTURED,
        name="Theorem 13, corrected",
        statement="DropConnect minimises, in expectation, the objective with the diagonal of XX' in place of XX'.",
        tasks=_DESIGNS,
        contestants=("dropconnect",),
        measure=_law("dropconnect"),
    ),
    Claim(
        paper=STRUCTURED,
        name="Figure 2 bottom",
        statement="Training with DropConnect and with dropout reaches the same objective, on Gaussian features.",
        tasks=("structured-fig2",),
        contestants=("dropconnect", "dropout"),
        measure=_same_training,
        training="end",
    ),
    Claim(
        paper=STRUCTURED,
        name="Figure 3, objective on MNIST",
        statement="With DropBlock before the last layer, a deep network comes close to the bound of Theorem 7.",
        tasks=("structured-fig3-mnist",),
        contestants=("dropblock_sample",),
        measure=_worst(lambda last: last["excess_objective"], 0.05, "(F - F*) / F(0) at the end"),
        training="end",
    ),
    Claim(
        paper=STRUCTURED,
        name="Figure 3, singular values on MNIST",
        statement="The singular values of its predictions are those predicted, but for the smallest one.",
        tasks=("structured-fig3-mnist",),
        contestants=("dropblock_sample",),
        measure=_predicted_spectrum,
        training="end",
    ),
    Claim(
        paper=STRUCTURED,
        name="Section 5.3, figure 4",
        statement="With overlapping blocks at an equal rate per unit, training ends where it does without overlaps.",
        tasks=("structured-fig4",),
        contestants=("dropblock", "dropblock_sample"),
        measure=_equal_rates,
        training="end",
    ),
    Claim(
        paper=STRUCTURED,
        name="Section 5.3, same setting",
        statement="At the same setting, overlapping blocks drop more units than blocks of a fixed grid.",
        tasks=("structured-fig4",),
        contestants=("dropblock", "dropblock_sample"),
        measure=_drops_more,
        incomparable="the paper gives seeds the rate of units, which DropBlock as published divides by the block",
    ),
    Claim(
        paper=THESIS,
        name="Theorem 2, figures 2-1 and 2-2",
        statement="Optima of dropout on a tied autoencoder are equalized: units of equal norm.",
        tasks=("thesis-fig2-1", "thesis-fig2-2"),
        measure=_worst(_unevenness_under_dropout, 0.2, "spread of the units' squared norms over their mean"),
        training="end",
    ),
    Claim(
        paper=THESIS,
        name="Theorem 3, figure 2-1",
        statement="The optima shrink towards the origin as lambda grows: ||u||^2 = 4 / (2 + lambda) for M = 2, r = 2.",
        tasks=("thesis-fig2-1", "thesis-fig2-2"),
        measure=_worst(_norm_error, 0.1, "relative error of the squared norm"),
        training="end",
    ),
    Claim(
        paper=THESIS,
        name="Theorem 7, figure 2-1",
        statement="No local minimum is spurious: training from every start comes to a global optimum.",
        tasks=("thesis-fig2-1",),
        measure=_worst(lambda last: last["excess_objective"], 0.02, "(F - F*) / F(0) at the end"),
        training="end",
    ),
    Claim(
        paper=THESIS,
        name="Theorem 6, figure 2-3 left",
        statement="Dropout on shallow linear networks converges to the global optimum, for each lambda and width.",
        tasks=_WIDTHS,
        measure=_worst(lambda last: last["excess_objective"], 0.03, "(F - F*) / F(0) at the end"),
        training="end",
    ),
    Claim(
        paper=THESIS,
        name="Figure 2-3 right, monotone",
        statement="The variance of the importance scores of hidden units falls monotonically (to 1 % of its fall).",
        tasks=_WIDTHS,
        measure=_variance_falls,
        incomparable="the thesis gives no initial weights, and the way down depends on them",
    ),
    Claim(
        paper=THESIS,
        name="Figure 2-3 right, faster",
        statement="The larger lambda, the faster the hidden units become equal.",
        tasks=_WIDTHS,
        measure=_faster_with_strength,
    ),
    Claim(
        paper=THESIS,
        name="Theorem 9",
        statement="The objective of deep dropout never lies below that of its convex envelope.",
        tasks=("thesis-fig3-2", "thesis-fig3-3"),
        measure=_never_below,
    ),
    Claim(
        paper=THESIS,
        name="Figure 3-2, shrinkage",
        statement="The higher the drop rate, the more the spectrum of a deep linear network shrinks.",
        tasks=("thesis-fig3-2",),
        measure=_shrinks_with_rate,
        training="end",
    ),
    Claim(
        paper=THESIS,
        name="Figure 3-2, thresholding",
        statement="The higher the drop rate, the smaller the rank of the trained map.",
        tasks=("thesis-fig3-2",),
        measure=_rank_falls_with_rate,
        training="end",
    ),
    Claim(
        paper=THESIS,
        name="Figure 3-2, not uniform",
        statement="Unlike under the nuclear norm, singular values that stay shrink by different amounts.",
        tasks=("thesis-fig3-2",),
        measure=_uneven_shrinkage,
        training="full",
    ),
    Claim(
        paper=THESIS,
        name="Figure 3-3",
        statement="Dropout consistently decreases the equalization gap of a deep linear network with one output.",
        tasks=("thesis-fig3-3",),
        measure=_gap_falls,
    ),
    Claim(
        paper=THESIS,
        name="Theorem 10 and Corollary 1",
        statement="With one output, training comes to the map C_yx C^-1 / (1 + nu).",
        tasks=("thesis-fig3-3",),
        measure=_worst(lambda last: last["excess_objective"], 0.02, "(F - F*) / F(0) at the end"),
        training="end",
    ),
)
CLAIMED_PAPERS = tuple(dict.fromkeys(claim.paper for claim in CLAIMS))
