"""One claim judged by rows of one's choice: the other claims of its paper would take a hundred times as long."""

from __future__ import annotations

import pandas as pd

from analysis.papers.claims.claim import Results
from analysis.papers.claims_table import CLAIM_COLUMNS, CLAIMS, claim_row
from analysis.rows.current import current_rows


def judged(trials: pd.DataFrame, curves: pd.DataFrame, name: str, paper: str | None = None) -> pd.Series:
    """The row of the claim in the `claims_table` of these trials; a paper where several have a claim of that name."""
    (claim,) = (claim for claim in CLAIMS if claim.name == name and paper in (None, claim.paper))
    return pd.Series(claim_row(claim, Results(trials=current_rows(trials), curves=curves))).reindex(CLAIM_COLUMNS)
