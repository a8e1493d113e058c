"""The table of all claims: what each paper says, what was measured, and the verdict."""

from __future__ import annotations

import pandas as pd

from analysis.papers.claims.claim import NOT_RUN, Claim, Results
from analysis.papers.table import PAPERS
from analysis.rows.current import current_rows
from analysis.rows.notes import notes_of, with_notes
from harness.records import HYPERPARAMETER_PREFIX, METRIC_PREFIX

CLAIM_COLUMNS = (
    "paper", "claim", "statement", "verdict", "measured", "value", "limit", "num_trials", "tasks", "scale",
)  # fmt: skip
CLAIMS: tuple[Claim, ...] = tuple(claim for paper in PAPERS for claim in paper.claims)
THEORY_PAPERS = tuple(paper.name for paper in PAPERS if paper.is_theory)
CLAIMED_THEORY_TASKS = frozenset(task for claim in CLAIMS if claim.paper in THEORY_PAPERS for task in claim.tasks)
CLAIMED_PAPERS = tuple(paper.name for paper in PAPERS)


def claims_table(trials: pd.DataFrame, curves: pd.DataFrame, paper: str | None = None) -> pd.DataFrame:
    """Judge what the papers claim in words: one row per claim.

    How noise is accounted for is described in the modules of `analysis.papers.claims`: `contests` for accuracies,
    `costs` for times, `curves` for the course of training, `theory` for the theory.

    The columns:

    - `paper`, `claim`, `statement`: the paper, the place in it, and the claim in one sentence
    - `verdict`: "holds", "does not hold", "too few seeds: <why>" (or "too few trials: <why>") if the measurement does
      not differ significantly from chance, "vacuous: <why>" for a bound of at least 1 on an error, which no error
      exceeds, or "not comparable: <why>", for example "not comparable: not run"
    - `measured`: what was measured, in words
    - `value`, `limit`: the measurement as a number, and the largest value that agrees with the claim; NaN if not run
    - `num_trials`: number of trials used
    - `tasks`, `scale`: on which tasks, and at which scale the claim was judged

    Args:
        trials: from `load_trials`.
        curves: from `load_curves`.
        paper: only claims of this paper; a paper without claims has no rows.
    """
    results = Results(trials=current_rows(trials), curves=curves)
    rows = [claim_row(claim, results) for claim in CLAIMS if paper in (None, claim.paper)]
    return with_notes(pd.DataFrame(rows, columns=list(CLAIM_COLUMNS)), notes_of(results.trials))


def claim_row(claim: Claim, results: Results) -> dict[str, object]:
    """The row of one claim as a mapping; `value`, `limit`, `measured` and `scale` are absent if nothing was run."""
    row: dict[str, object] = {
        "paper": claim.paper,
        "claim": claim.name,
        "statement": claim.statement,
        "tasks": ", ".join(claim.tasks),
        "verdict": NOT_RUN,
        "num_trials": 0,
    }
    if not results.tasks.intersection(claim.tasks):
        return row
    try:
        judgement = claim.judge(results)
    except KeyError as error:
        reading = str(error.args[0]) if error.args else ""
        if reading in results.trials.columns or not reading.startswith((METRIC_PREFIX, HYPERPARAMETER_PREFIX)):
            raise
        return row | {"verdict": f"not comparable: the rows lack what it needs ({reading})"}
    return row if judgement is None else row | vars(judgement)
