"""What Mianjy's thesis proves and draws about dropout (chapters 2 and 3)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.claims.claim import Claim
from analysis.claims.theory import Finding, largest_rise, mean_curve, never_below, singular_values, theory_claim, worst
from analysis.theory_rows import Evidence

PAPER = "dropout_theory"
_WIDTHS = ("thesis-fig2-3-width-20", "thesis-fig2-3-width-80")


def _norm_error(last: pd.DataFrame) -> pd.Series:
    return (last["squared_norm"] / last["optimal_squared_norm"] - 1).abs()


def _unevenness_under_dropout(last: pd.DataFrame) -> pd.Series:
    return last["unevenness"].where(last["drop_rate"] > 0)


def _variance_falls(evidence: Evidence) -> Finding:
    groups = evidence.readings.groupby(["task", "lam"])
    rises = {key: largest_rise(mean_curve(read, "importance_variance")) for key, read in groups}
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
            curve = mean_curve(of_lam, "importance_variance")
            shares.append(float(curve.mean() / curve.iloc[0]))
            parts.append(f"{task}, lambda {lam:.2g}: {shares[-1]:.3f}")
        worst = max(worst, *map(float, np.diff(shares))) if len(shares) > 1 else np.nan
    return Finding(value=worst, limit=0.0, measured=f"mean variance over the first: {'; '.join(parts)}")


def _shrinks_with_rate(evidence: Evidence) -> Finding:
    sums = singular_values(evidence, "singular_value").sum(axis="columns")
    rise = float(sums.diff().max()) if len(sums) > 1 else np.nan
    text = ", ".join(f"{rate:.1f}: {value:.3g}" for rate, value in zip(sums.index, sums, strict=True))
    return Finding(value=rise, limit=0.0, measured=f"sum of singular values by drop rate: {text}")


def _rank_falls_with_rate(evidence: Evidence) -> Finding:
    values = singular_values(evidence, "singular_value")
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
        singular_values(evidence, name).to_numpy() for name in ("singular_value", "target_singular_value")
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
    curve = mean_curve(evidence.readings, "equalization_gap")
    rise = largest_rise(curve)
    text = f"mean gap falls from {curve.iloc[0]:.3g} to {curve.iloc[-1]:.3g}; largest rise {rise:.2g} of the fall"
    return Finding(value=rise, limit=0.01, measured=text)


CLAIMS: tuple[Claim, ...] = (
    theory_claim(
        paper=PAPER,
        name="Theorem 2, figures 2-1 and 2-2",
        statement="Optima of dropout on a tied autoencoder are equalized: units of equal norm.",
        tasks=("thesis-fig2-1", "thesis-fig2-2"),
        measure=worst(_unevenness_under_dropout, 0.2, "spread of the units' squared norms over their mean"),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 3, figure 2-1",
        statement="The optima shrink towards the origin as lambda grows: ||u||^2 = 4 / (2 + lambda) for M = 2, r = 2.",
        tasks=("thesis-fig2-1", "thesis-fig2-2"),
        measure=worst(_norm_error, 0.1, "relative error of the squared norm"),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 7, figure 2-1",
        statement="No local minimum is spurious: training from every start comes to a global optimum.",
        tasks=("thesis-fig2-1",),
        measure=worst(lambda last: last["excess_objective"], 0.02, "(F - F*) / F(0) at the end"),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 6, figure 2-3 left",
        statement="Dropout on shallow linear networks converges to the global optimum, for each lambda and width.",
        tasks=_WIDTHS,
        measure=worst(lambda last: last["excess_objective"], 0.03, "(F - F*) / F(0) at the end"),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Figure 2-3 right, monotone",
        statement="The variance of the importance scores of hidden units falls monotonically (to 1 % of its fall).",
        tasks=_WIDTHS,
        measure=_variance_falls,
        incomparable="the thesis gives no initial weights, and the way down depends on them",
    ),
    theory_claim(
        paper=PAPER,
        name="Figure 2-3 right, faster",
        statement="The larger lambda, the faster the hidden units become equal.",
        tasks=_WIDTHS,
        measure=_faster_with_strength,
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 9",
        statement="The objective of deep dropout never lies below that of its convex envelope.",
        tasks=("thesis-fig3-2", "thesis-fig3-3"),
        measure=never_below,
    ),
    theory_claim(
        paper=PAPER,
        name="Figure 3-2, shrinkage",
        statement="The higher the drop rate, the more the spectrum of a deep linear network shrinks.",
        tasks=("thesis-fig3-2",),
        measure=_shrinks_with_rate,
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Figure 3-2, thresholding",
        statement="The higher the drop rate, the smaller the rank of the trained map.",
        tasks=("thesis-fig3-2",),
        measure=_rank_falls_with_rate,
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Figure 3-2, not uniform",
        statement="Unlike under the nuclear norm, singular values that stay shrink by different amounts.",
        tasks=("thesis-fig3-2",),
        measure=_uneven_shrinkage,
        training="full",
    ),
    theory_claim(
        paper=PAPER,
        name="Figure 3-3",
        statement="Dropout consistently decreases the equalization gap of a deep linear network with one output.",
        tasks=("thesis-fig3-3",),
        measure=_gap_falls,
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 10 and Corollary 1",
        statement="With one output, training comes to the map C_yx C^-1 / (1 + nu).",
        tasks=("thesis-fig3-3",),
        measure=worst(lambda last: last["excess_objective"], 0.02, "(F - F*) / F(0) at the end"),
        training="end",
    ),
)
