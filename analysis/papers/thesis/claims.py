"""Claims of chapters 2 and 3 of Mianjy's thesis on dropout, and the table of the claims of all its chapters."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis.papers.claims.claim import Claim
from analysis.papers.claims.evidence import Evidence
from analysis.papers.claims.theory import theory_claim
from analysis.papers.claims.theory_measures import (
    ROUNDING,
    Finding,
    excess,
    largest_rise,
    mean_curve,
    never_below,
    numbered,
    reads,
    singular_values,
    worst,
)
from analysis.papers.thesis.adversarial_claims import ADVERSARIAL_CLAIMS
from analysis.papers.thesis.calculated_claims import CALCULATED_CLAIMS
from analysis.papers.thesis.co_adaptation_claims import CO_ADAPTATION_CLAIMS
from analysis.papers.thesis.completion_claims import COMPLETION_CLAIMS
from analysis.papers.thesis.wide_network_claims import WIDE_NETWORK_CLAIMS
from analysis.tables.statistics import LEVEL

PAPER = "dropout_theory"
_WIDTHS = ("thesis-fig2-3-width-20", "thesis-fig2-3-width-80")
_GAP_LEFT = 0.05  # largest remaining fraction of a gap that is claimed to vanish
_VARIANCE_LEFT = 0.1  # largest remaining fraction of a variance that is claimed to vanish; gradients are noisy
_LESS_UNEVEN = 0.7  # of the relative spread before training; without a decrease nothing was equalized
_EVEN = 0.2  # spread over the mean; the optimal map of figure 2-3, split along its singular vectors, has 0.6 to 2.2


def _norm_error(last: pd.DataFrame) -> pd.Series:
    return (last["squared_norm"] / last["optimal_squared_norm"] - 1).abs()


def _unevenness_under_dropout(last: pd.DataFrame) -> pd.Series:
    return last["unevenness"].where(last["drop_rate"] > 0)


@reads("unevenness")
def _equal_scores(evidence: Evidence) -> Finding:
    first = evidence.readings.groupby("trial_id").head(1)
    ends, starts = (read.groupby(["task", "drop_rate"])["unevenness"].mean() for read in (evidence.last, first))
    text = (
        f"spread of the importance scores over their mean: mean over seeds at most {ends.max():.3g} over {len(ends)} "
        f"settings, smallest {ends.min():.2g}; before training at most {starts.max():.3g}"
    )
    value = float(ends.max())
    if value <= _EVEN and (ends > _LESS_UNEVEN * starts).any():
        value = np.nan  # the scores were as equal before training
    return Finding(value=value, limit=_EVEN, measured=text)


@reads("importance_variance")
def _variance_falls(evidence: Evidence) -> Finding:
    groups = evidence.readings.groupby(["task", "lam"])
    rises = [largest_rise(mean_curve(read, "importance_variance")) for _, read in groups]
    text = f"largest rise of the mean variance between two readings: {max(rises):.2g} of its fall"
    return Finding(value=max(rises), limit=0.01, measured=text)


@reads("importance_variance", "unevenness")
def _variance_vanishes(evidence: Evidence) -> Finding:
    """Of the scores, and of the scores over their mean: scores that all shrink by one factor are not more equal."""
    groups = evidence.readings.groupby(["task", "lam"])
    curves = [mean_curve(read, "importance_variance") for _, read in groups]
    left = max(float(curve.iloc[-1] / curve.iloc[0]) for curve in curves)
    spreads = [mean_curve(read, "unevenness") for _, read in groups]
    relative = max(float(curve.iloc[-1] / curve.iloc[0]) ** 2 for curve in spreads)
    text = f"at the end the mean variance is at most {left:.2g} of the first, over {len(curves)} settings"
    text += f"; relative to the squared mean score {relative:.2g}"
    return Finding(value=max(left, relative), limit=_VARIANCE_LEFT, measured=text)


@reads("importance_variance")
def _faster_with_strength(evidence: Evidence) -> Finding:
    """The mean of the variance over training, relative to its first value, has to decrease with lambda in each task."""
    steps: list[float] = []
    parts: list[str] = []
    for task, read in evidence.readings.groupby("task"):
        shares = []
        for lam, of_lam in read.groupby("lam"):
            curve = mean_curve(of_lam, "importance_variance")
            shares.append(float(curve.mean() / curve.iloc[0]))
            parts.append(f"{task}, lambda {lam:.2g}: {shares[-1]:.3f}")
        steps.append(float(np.diff(shares).max()) if len(shares) > 1 else np.nan)
    return Finding(
        value=float(np.max(steps)),  # NaN if a task has a single lambda
        limit=-ROUNDING,
        measured=f"mean variance over the first: {'; '.join(parts)}",
    )


@reads("singular_value")
def _shrinks_with_rate(evidence: Evidence) -> Finding:
    sums = singular_values(evidence, "singular_value").sum(axis="columns")
    text = ", ".join(f"{rate:.1f}: {value:.3g}" for rate, value in sums.items())
    return Finding(
        value=largest_rise(sums, least_fall=0.05),
        limit=0.0,
        measured=f"sum of singular values by drop rate (claimed: no increase, a decrease by more than 5 %): {text}",
    )


@reads("singular_value")
def _rank_falls_with_rate(evidence: Evidence) -> Finding:
    values = singular_values(evidence, "singular_value")
    ranks = (values > 0.01 * float(values.to_numpy().max())).sum(axis="columns")
    text = ", ".join(f"{rate:.1f}: {rank}" for rate, rank in ranks.items())
    return Finding(
        value=largest_rise(ranks),
        limit=0.0,
        measured=f"singular values above 1 % of the largest, by drop rate: {text}",
    )


@reads("singular_value", "target_singular_value")
def _uneven_shrinkage(evidence: Evidence) -> Finding:
    """Range of the shrinkage over the remaining singular values, relative to its mean; 0 for uniform shrinkage."""
    values, targets = (
        singular_values(evidence, name).to_numpy() for name in ("singular_value", "target_singular_value")
    )
    spreads, p_values = [], []
    rates = sorted({float(rate) for rate in evidence.last["drop_rate"]})
    for rate, kept, target in zip(rates, values, targets, strict=True):
        stays = kept > 0.1 * target.max()
        amounts = (target - kept)[stays]
        if rate > 0 and stays.sum() > 1:
            spreads.append(float((amounts.max() - amounts.min()) / amounts.mean()))
            p_values.append(_places_differ(evidence.last[evidence.last["drop_rate"] == rate], stays))
    largest = max(spreads, default=np.nan)
    text = f"shrinkage of the remaining values varies by up to {largest:.2g} of its mean (claimed: more than 0.05)"
    sure = bool(np.nanmin([*p_values, 1.0]) * len(p_values) < LEVEL)  # Bonferroni's correction over the rates
    why = "over seeds it does not differ significantly from equal shrinkage" if largest > 0.05 and not sure else ""
    return Finding(value=-largest, limit=-0.05, measured=text, too_few=why)


def _places_differ(last: pd.DataFrame, stays: np.ndarray) -> float:
    """The p of equal shrinkage of all singular values, by analysis of variance over the seeds; NaN with one seed."""
    kept, target = (last[numbered(last, name)].to_numpy() for name in ("singular_value", "target_singular_value"))
    amounts = (target - kept)[:, stays]
    if len(amounts) < 2:
        return np.nan
    if np.ptp(amounts, axis=0).max() <= 1e-9 * np.abs(amounts).max():
        return 0.0 if np.ptp(amounts[0]) > 1e-6 * np.abs(amounts).max() else 1.0  # no variance over seeds
    return float(stats.f_oneway(*amounts.T).pvalue)


def _gap_curves(evidence: Evidence) -> dict[str, pd.Series]:
    """Mean over seeds of the total gap and of the gap of each order."""
    names = {"total": "equalization_gap"}
    names |= {
        f"order {column.rpartition('/')[2]}": column for column in numbered(evidence.readings, "equalization_gap")
    }
    return {label: mean_curve(evidence.readings, column) for label, column in names.items()}


@reads("equalization_gap")
def _gaps_fall(evidence: Evidence) -> Finding:
    rises = {label: largest_rise(curve) for label, curve in _gap_curves(evidence).items()}
    worst = max(rises, key=rises.__getitem__)
    text = f"largest rise of a mean gap between two readings, of its fall: {rises[worst]:.2g} ({worst}); in total "
    return Finding(value=rises[worst], limit=0.01, measured=f"{text}{rises['total']:.2g}")


@reads("equalization_gap")
def _gaps_vanish(evidence: Evidence) -> Finding:
    curves = _gap_curves(evidence)
    left = {label: float(curve.iloc[-1] / curve.iloc[0]) for label, curve in curves.items()}
    worst = max(left, key=left.__getitem__)
    text = f"at the end a mean gap is at most {left[worst]:.2g} of the first ({worst}); last gaps: "
    gaps = ", ".join(f"{label} {curve.iloc[-1]:.2g}" for label, curve in curves.items())
    # Gaps are relative to their bounds, so the last total gap has to be small as well.
    return Finding(value=max(left[worst], float(curves["total"].iloc[-1])), limit=_GAP_LEFT, measured=text + gaps)


CLAIMS: tuple[Claim, ...] = (
    theory_claim(
        paper=PAPER,
        name="Theorem 2, figures 2-1 and 2-2",
        statement="Optima of dropout on a tied autoencoder are equalized: units of equal norm.",
        tasks=("thesis-fig2-1", "thesis-fig2-2"),
        measure=worst(
            _unevenness_under_dropout,
            _EVEN,
            "spread of the units' squared norms over their mean",
            ("unevenness",),
            of="trials",
        ),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 3, figure 2-1",
        statement="The optima shrink towards the origin as lambda grows: ||u||^2 = 4 / (2 + lambda) for M = 2, r = 2.",
        tasks=("thesis-fig2-1", "thesis-fig2-2"),
        measure=worst(
            _norm_error,
            0.1,
            "relative error of the squared norm",
            ("squared_norm", "optimal_squared_norm"),
            of="trials",
        ),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Figure 2-1, caption",
        statement=(
            "All local minima are global: training from every start comes to a global optimum. (Theorem 7 does not say "
            "so: its condition fails here for every lambda, as M has rank 1 and there are two units.)"
        ),
        tasks=("thesis-fig2-1",),
        measure=excess(0.02, of="trials"),
        training="end",
        complete="trials",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 6, figure 2-3 left",
        statement="Dropout on shallow linear networks converges to the global optimum, for each lambda and width.",
        tasks=_WIDTHS,
        measure=excess(0.03),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 5, figure 2-3",
        statement="Optima of dropout are jointly equalized: hidden units have importance scores of one size.",
        tasks=_WIDTHS,
        measure=_equal_scores,
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Figure 2-3 right, equalized",
        statement="The variance of the importance scores of hidden units goes to zero (to 10 % of where it starts).",
        tasks=_WIDTHS,
        measure=_variance_vanishes,
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
        complete="readings",
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
        name="Figure 3-3, monotone",
        statement=(
            "Dropout consistently decreases the gap between each sub-regularizer of a deep linear network with one "
            "output and its bound, and the gap in total."
        ),
        tasks=("thesis-fig3-3",),
        measure=_gaps_fall,
    ),
    theory_claim(
        paper=PAPER,
        name="Figure 3-3, equalized",
        statement=(
            "Dropout converges to the set of equalized networks: each gap goes to zero (to 5 % of where it starts), "
            "and the regularizer to its bound (to 5 %)."
        ),
        tasks=("thesis-fig3-3",),
        measure=_gaps_vanish,
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 10 and Corollary 1",
        statement="With one output, training comes to the map C_yx C^-1 / (1 + nu).",
        tasks=("thesis-fig3-3",),
        measure=excess(0.02),
        training="end",
    ),
    *CALCULATED_CLAIMS,
    *WIDE_NETWORK_CLAIMS,
    *COMPLETION_CLAIMS,
    *CO_ADAPTATION_CLAIMS,
    *ADVERSARIAL_CLAIMS,
)
