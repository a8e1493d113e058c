"""Tables 6-I and 6-II of Mianjy's thesis: which of our trials and metrics correspond to their entries."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.papers.source import Counterpart
from analysis.papers.thesis.trials import by_seed, default_trials
from harness.records import METRIC_PREFIX

TABLE_6_I, TABLE_6_II = "thesis-table6-1", "thesis-table6-2"
PLAIN, REFLECTED = "adversarial_training", "reflected_adversarial_training"
# The table's name of a way of training: our contestant and its attack.
TRAININGS: Mapping[str, tuple[str, str]] = {
    "Standard": ("none", ""),
    "PGD-inf": (PLAIN, "pgd"),
    "R-PGD-inf": (REFLECTED, "pgd"),
    "PGD-2": (PLAIN, "pgd_l2"),
    "R-PGD-2": (REFLECTED, "pgd_l2"),
}
# The table's name of an attack: the end of our metric's name.
ATTACKS: Mapping[str, str] = {
    "FGSM": "fgsm",
    "R-FGSM": "reflected_fgsm",
    "PGD-inf": "pgd",
    "R-PGD-inf": "reflected_pgd",
    "BIM": "bim",
    "R-BIM": "reflected_bim",
    "PGD-2": "pgd_l2",
    "R-PGD-2": "reflected_pgd_l2",
}


def counterpart(row: Mapping[str, str]) -> Counterpart | None:
    """Our counterpart of a reported value of chapter 6; None for those of other chapters."""
    if row["experiment"] == "table6-1":
        contestant, attack = TRAININGS[row["method"].removeprefix("train=")]
        name = row["setting"].split(";")[0].removeprefix("attack=")
        return Counterpart(
            task=TABLE_6_I,
            regularizer=contestant,
            setting=f"attack={attack}" if attack else "",
            metric=f"robust_error/{ATTACKS[name]}",
        )
    if row["experiment"] == "table6-2":
        setting = dict(part.split("=") for part in row["setting"].split(";"))
        levels = int(setting["nu_train"].removesuffix("/255"))
        is_robust = row["metric"] == "robust_accuracy"
        return Counterpart(
            task=TABLE_6_II,
            regularizer=REFLECTED if "R-PGD" in row["method"] else PLAIN,
            setting=f"radius={levels / 255};num_steps={setting['steps']}",
            metric="robust_error/pgd" if is_robust else "clean_error",
            convert=lambda error: 100 * (1 - error),
        )
    return None


def rows_of(trials: pd.DataFrame, training: str) -> pd.DataFrame:
    """The default trials of one row of table 6-I, failed ones included, at the scale closest to the thesis's."""
    contestant, attack = TRAININGS[training]
    rows = default_trials(trials, [TABLE_6_I])
    rows = rows[rows["regularizer"] == contestant]
    return rows[rows["hp.attack"] == attack] if attack and "hp.attack" in rows.columns else rows


def errors_by_seed(rows: pd.DataFrame, attack: str, worst: float = 1.0) -> dict[int, float]:
    """The error of each seed under one attack of the table; that of a failed seed is the worst."""
    return by_seed(rows, f"{METRIC_PREFIX}robust_error/{ATTACKS[attack]}", worst)
