"""Claims of Pal et al. 2020 on structured dropout: theorems and figures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.papers.claims.claim import Claim
from analysis.papers.claims.evidence import Evidence
from analysis.papers.claims.theory import theory_claim
from analysis.papers.claims.theory_measures import Finding, excess, law, never_below, reads, singular_values, worst

PAPER = "structured_dropout"
_SAME = 0.05  # at equal weights the two objectives differ by up to 4.4 % on the paper's features (its figure 2, top)
_SAME_RATE = 0.01  # of kept fractions: twice the standard error of one reading, sqrt(0.25 / (1000 samples x 10 blocks))
_DESIGNS = ("structured-fig2", "structured-fig2-orthogonal", "structured-fig2-correlated")


def _relative_distance(last: pd.DataFrame) -> pd.Series:
    return last["objective"] / last["minimum"] - 1


@reads("stochastic_objective")
def _same_training(evidence: Evidence) -> Finding:
    means = evidence.readings.pivot_table(index="epoch", columns="regularizer", values="stochastic_objective").dropna()
    differences = means["dropconnect"] / means["dropout"] - 1
    largest = float(differences.abs().max())
    text = (
        f"objective of DropConnect relative to dropout's, less 1: at most {largest:.2g} in absolute value over "
        f"{len(differences)} readings, {differences.iloc[-1]:+.2g} at the end"
    )
    return Finding(value=largest, limit=_SAME, measured=text)


@reads("kept_fraction", "stochastic_objective")
def _equal_rates(evidence: Evidence) -> Finding:
    """Compare the fixed grid with overlapping blocks at the setting whose measured rate is nearest to the grid's."""
    last = evidence.last
    grid = last[last["regularizer"] == "dropblock_sample"]
    overlapping = last[last["regularizer"] == "dropblock"].groupby("drop_rate").mean(numeric_only=True)
    apart = (overlapping["kept_fraction"] - grid["kept_fraction"].mean()).abs()
    nearest = overlapping.iloc[apart.argmin()]
    difference = float(nearest["stochastic_objective"] / grid["stochastic_objective"].mean() - 1)
    text = (
        f"overlapping blocks keep {nearest['kept_fraction']:.3f}, the grid {grid['kept_fraction'].mean():.3f}; the "
        f"objective at the end differs by {difference:+.2g}"
    )
    return Finding(value=abs(difference) if apart.min() < _SAME_RATE else np.nan, limit=0.1, measured=text)


@reads("kept_fraction")
def _drops_more(evidence: Evidence) -> Finding:
    last = evidence.last
    grid = last[last["regularizer"] == "dropblock_sample"]
    same = last[(last["regularizer"] == "dropblock") & np.isclose(last["drop_rate"], grid["drop_rate"].mean())]
    more = float(same["kept_fraction"].mean() - grid["kept_fraction"].mean())
    text = f"at one setting overlapping blocks keep {same['kept_fraction'].mean():.3f} of the units, the grid "
    return Finding(value=more, limit=-_SAME_RATE, measured=text + f"{grid['kept_fraction'].mean():.3f}")


@reads("singular_value", "bound_singular_value")
def _predicted_spectrum(evidence: Evidence) -> Finding:
    measured, bound = (
        singular_values(evidence, name).to_numpy() for name in ("singular_value", "bound_singular_value")
    )
    errors = np.abs(measured / bound - 1).max(axis=0)
    text = f"largest relative error {errors[:-1].max():.2g} but for the smallest value, whose error is {errors[-1]:.2g}"
    return Finding(value=float(errors[:-1].max()), limit=0.1, measured=text)


def _figure_3(images: str, task: str) -> tuple[Claim, Claim]:
    """The claims of figure 3 of Pal et al. on one data set."""
    return (
        theory_claim(
            paper=PAPER,
            name=f"Figure 3, objective on {images}",
            statement="With DropBlock before the last layer, a deep network comes close to the bound of Theorem 7.",
            tasks=(task,),
            contestants=("dropblock_sample",),
            measure=excess(0.05),
            training="end",
        ),
        theory_claim(
            paper=PAPER,
            name=f"Figure 3, singular values on {images}",
            statement="The singular values of its predictions are those predicted, but for the smallest one.",
            tasks=(task,),
            contestants=("dropblock_sample",),
            measure=_predicted_spectrum,
            training="end",
        ),
    )


CLAIMS: tuple[Claim, ...] = (
    theory_claim(
        paper=PAPER,
        name="Lemma 1, figure 1 top",
        statement="Training with DropBlock minimises, in expectation, the squared error plus the block regularizer.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=law("dropblock"),
        complete="readings",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 5",
        statement="The closed-form minimum is a lower bound: no iterate lies below it.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=never_below,
        complete="readings",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 7 and Corollary 8, figure 1 bottom",
        statement="Training with DropBlock converges to the closed-form global minimum.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=worst(_relative_distance, 0.02, "F / F* - 1 at the end", ("objective", "minimum")),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 7, singular values",
        statement="The singular values of the trained predictions are those of the closed-form minimiser.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=worst(
            lambda last: last["spectrum_distance"], 0.05, "relative distance of the spectra", ("spectrum_distance",)
        ),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 4",
        statement="At the minimum all blocks carry products of equal norm.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=worst(
            lambda last: last["unevenness"], 0.05, "spread of the blocks' norms over their mean", ("unevenness",)
        ),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 13 and Corollary 14, orthogonal features",
        statement="DropConnect minimises, in expectation, dropout's objective (here on orthogonal features).",
        tasks=("structured-fig2-orthogonal",),
        contestants=("dropconnect",),
        measure=law("dropout"),
        complete="readings",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 13 and Corollary 14, figure 2 top",
        statement="DropConnect minimises, in expectation, dropout's objective (here on the paper's Gaussian features).",
        tasks=("structured-fig2",),
        contestants=("dropconnect",),
        measure=law("dropout"),
        complete="readings",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 13 and Corollary 14, correlated features",
        statement="DropConnect minimises, in expectation, dropout's objective (here on correlated features).",
        tasks=("structured-fig2-correlated",),
        contestants=("dropconnect",),
        measure=law("dropout"),
        complete="readings",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 13, corrected",
        statement="DropConnect minimises, in expectation, the objective with the diagonal of XX' in place of XX'.",
        tasks=_DESIGNS,
        contestants=("dropconnect",),
        measure=law("dropconnect"),
        complete="readings",
    ),
    theory_claim(
        paper=PAPER,
        name="Figure 2 bottom",
        statement=(
            "Training with DropConnect and with dropout has the same expected objective at each iteration, on Gaussian "
            "features (to 5 %)."
        ),
        tasks=("structured-fig2",),
        contestants=("dropconnect", "dropout"),
        measure=_same_training,
    ),
    *_figure_3("MNIST", "structured-fig3-mnist"),
    *_figure_3("CIFAR-10", "structured-fig3-cifar10"),
    theory_claim(
        paper=PAPER,
        name="Section 5.3, figure 4",
        statement="With overlapping blocks at an equal rate per unit, training ends where it does without overlaps.",
        tasks=("structured-fig4",),
        contestants=("dropblock", "dropblock_sample"),
        measure=_equal_rates,
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Section 5.3, same setting",
        statement="At the same setting, overlapping blocks drop more units than blocks of a fixed grid.",
        tasks=("structured-fig4",),
        contestants=("dropblock", "dropblock_sample"),
        measure=_drops_more,
        incomparable="the paper gives seeds the rate of units, which DropBlock as published divides by the block",
    ),
)
