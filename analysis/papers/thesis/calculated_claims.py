"""Claims of Mianjy's thesis that are checked by a calculation: critical points, rotations, robust halfspaces."""

from __future__ import annotations

from analysis.papers.claims.claim import FAILS, HOLDS, TOO_FEW, Claim, Judgement, Results, verdict_of_bound
from analysis.papers.thesis.trials import calculated

PAPER = "dropout_theory"
THEOREM_7, EQUALIZERS, COROLLARY_4 = "thesis-theorem7", "thesis-equalizers", "thesis-corollary4"
_FEWEST = 5  # critical points of each kind that the search must find for the claim to hold
_ROUNDING = 1e-10


def _no_spurious_minima(results: Results) -> Judgement | None:
    row = calculated(results.trials, THEOREM_7)
    names = ("critical_points", "global_optima", "strict_saddles", "spurious")
    if row is None or not set(names) <= set(row.index):
        return None
    points, optima, saddles, spurious = (int(row[name]) for name in names)
    verdict = FAILS if spurious else HOLDS
    if verdict == HOLDS and min(optima, saddles) < _FEWEST:
        verdict = f"{TOO_FEW}: the search found {optima} optima and {saddles} saddles"
    return Judgement(
        verdict=verdict,
        value=float(spurious),
        limit=0.0,
        measured=f"of {points} critical points {optima} are global optima, {saddles} strict saddles, and {spurious} "
        "neither",
        num_trials=1,
        scale=str(row["scale"]),
    )


def _equalized(results: Results) -> Judgement | None:
    row = calculated(results.trials, EQUALIZERS)
    if row is None or "largest_error" not in row.index:
        return None
    value = float(row["largest_error"])
    return Judgement(
        verdict=HOLDS if value <= _ROUNDING else FAILS,
        value=value,
        limit=_ROUNDING,
        measured=f"largest relative deviation of a squared column norm, or of UU', for widths 1 to 16: {value:.2g}",
        num_trials=1,
        scale=str(row["scale"]),
    )


def _halfspaces_become_robust(results: Results) -> Judgement | None:
    row = calculated(results.trials, COROLLARY_4)
    names = ("robust_error", "robust_error_at_first", "standard_error", "bound", "num_steps")
    if row is None or not set(names) <= set(row.index):
        return None
    error, first, deviation, bound, steps = (float(row[name]) for name in names)
    verdict = verdict_of_bound(error + 2 * deviation, bound)
    if verdict == HOLDS and first <= bound:
        verdict = f"{TOO_FEW}: the error is below the bound before training"
    return Judgement(
        verdict=verdict,
        value=error + 2 * deviation,
        limit=bound,
        measured=f"robust error within {steps:.0f} steps {error:.4f} ({deviation:.1g} standard error), before training "
        f"{first:.3f}; the value is two standard errors above",
        num_trials=1,
        scale=str(row["scale"]),
    )


CALCULATED_CLAIMS: tuple[Claim, ...] = (
    Claim(
        paper=PAPER,
        name="Theorem 7",
        statement="With weak dropout and tied weights all critical points are global optima or strict saddles.",
        tasks=(THEOREM_7,),
        judge=_no_spurious_minima,
    ),
    Claim(
        paper=PAPER,
        name="Theorem 1",
        statement="Every network with tied weights has an equalized one of the same map, by a rotation of its units.",
        tasks=(EQUALIZERS,),
        judge=_equalized,
    ),
    Claim(
        paper=PAPER,
        name="Corollary 4",
        statement="Adversarial training of halfspaces finds, within the steps that are proved, an iterate whose robust "
        "error is at most 2 epsilon in the mean.",
        tasks=(COROLLARY_4,),
        judge=_halfspaces_become_robust,
    ),
)
