"""Numbers for rows that belong together: those of one hyperparameter setting, and those of one proposal of a search."""

from __future__ import annotations

import pandas as pd

from harness.records import HYPERPARAMETER_PREFIX


def setting_numbers(rows: pd.DataFrame) -> pd.Series:
    """A number for each row, equal for equal hyperparameters.

    >>> setting_numbers(pd.DataFrame({"hp.lr": [0.1, 0.2, 0.1]})).tolist()
    [0, 1, 0]
    """
    names = [name for name in rows.columns if name.startswith(HYPERPARAMETER_PREFIX)]
    names = [name for name in names if rows[name].notna().any()]  # most columns belong to other regularizers
    return rows.groupby(names, dropna=False).ngroup() if names else pd.Series(0, index=rows.index)


def proposal_numbers(rows: pd.DataFrame) -> pd.Series:
    """A number for each row, equal for the same place in the search of the same campaign.

    `tune_index` alone is not enough: it starts at 0 in each campaign.

    >>> proposal_numbers(pd.DataFrame({"campaign_id": ["a", "a", "b"], "tune_index": [0, 1, 0]})).tolist()
    [0, 1, 2]
    """
    names = [name for name in ("campaign_id", "tune_index") if name in rows.columns]
    return rows.groupby(names, dropna=False).ngroup()
