"""What Pal et al. 2020 prove and draw about structured dropout."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.claims.claim import Claim
from analysis.claims.theory import Finding, law, never_below, singular_values, theory_claim, worst
from analysis.theory_rows import Evidence

PAPER = "structured_dropout"
_DESIGNS = ("structured-fig2", "structured-fig2-orthogonal", "structured-fig2-correlated")


def _relative_distance(last: pd.DataFrame) -> pd.Series:
    return last["objective"] / last["minimum"] - 1


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


def _predicted_spectrum(evidence: Evidence) -> Finding:
    measured, bound = (
        singular_values(evidence, name).to_numpy() for name in ("singular_value", "bound_singular_value")
    )
    errors = np.abs(measured / bound - 1).max(axis=0)
    text = f"largest relative error {errors[:-1].max():.2g} but for the smallest value, whose error is {errors[-1]:.2g}"
    return Finding(value=float(errors[:-1].max()), limit=0.1, measured=text)


def _figure_3(images: str, task: str) -> tuple[Claim, Claim]:
    """What figure 3 of Pal et al. claims on one set of images."""
    return (
        theory_claim(
            paper=PAPER,
            name=f"Figure 3, objective on {images}",
            statement="With DropBlock before the last layer, a deep network comes close to the bound of Theorem 7.",
            tasks=(task,),
            contestants=("dropblock_sample",),
            measure=worst(lambda last: last["excess_objective"], 0.05, "(F - F*) / F(0) at the end"),
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
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 5",
        statement="The closed-form minimum is a lower bound: no iterate lies below it.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=never_below,
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 7 and Corollary 8, figure 1 bottom",
        statement="Training with DropBlock converges to the closed-form global minimum.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=worst(_relative_distance, 0.02, "F / F* - 1 at the end"),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 7, singular values",
        statement="The singular values of the trained predictions are those of the closed-form minimiser.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=worst(lambda last: last["spectrum_distance"], 0.05, "relative distance of the spectra"),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 4",
        statement="At the minimum all blocks carry products of equal norm.",
        tasks=("structured-fig1",),
        contestants=("dropblock_sample",),
        measure=worst(lambda last: last["unevenness"], 0.05, "spread of the blocks' norms over their mean"),
        training="end",
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 13 and Corollary 14, orthogonal features",
        statement="DropConnect minimises, in expectation, dropout's objective (here on orthogonal features).",
        tasks=("structured-fig2-orthogonal",),
        contestants=("dropconnect",),
        measure=law("dropout"),
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 13 and Corollary 14, figure 2 top",
        statement="DropConnect minimises, in expectation, dropout's objective (here on the paper's Gaussian features).",
        tasks=("structured-fig2",),
        contestants=("dropconnect",),
        measure=law("dropout"),
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 13 and Corollary 14, correlated features",
        statement="DropConnect minimises, in expectation, dropout's objective (here on correlated features).",
        tasks=("structured-fig2-correlated",),
        contestants=("dropconnect",),
        measure=law("dropout"),
    ),
    theory_claim(
        paper=PAPER,
        name="Theorem 13, corrected",
        statement="DropConnect minimises, in expectation, the objective with the diagonal of XX' in place of XX'.",
        tasks=_DESIGNS,
        contestants=("dropconnect",),
        measure=law("dropconnect"),
    ),
    theory_claim(
        paper=PAPER,
        name="Figure 2 bottom",
        statement="Training with DropConnect and with dropout reaches the same objective, on Gaussian features.",
        tasks=("structured-fig2",),
        contestants=("dropconnect", "dropout"),
        measure=_same_training,
        training="end",
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
