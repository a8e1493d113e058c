"""Theorem 7, the equalizing rotations and Corollary 4 as calculations, and the verdicts that follow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from result_rows import one_file, row

from analysis.papers.claims.claim import FAILS, HOLDS, Results
from analysis.papers.thesis.calculated_claims import CALCULATED_CLAIMS, COROLLARY_4, EQUALIZERS, THEOREM_7
from tasks.experiments.thesis.chapter2_calculations import THESIS_EQUALIZERS, THESIS_THEOREM_7
from tasks.experiments.thesis.halfspaces import THESIS_COROLLARY_4

JUDGES = {claim.name: claim.judge for claim in CALCULATED_CLAIMS}


def verdict(name: str, folder: Path, task: str, metric: str, readings: dict[str, float]) -> str:
    others = {key: value for key, value in readings.items() if key != metric}
    value = readings[metric]
    rows = [row(task, "none", "default", 0, value, value, metric=metric, higher=False, metrics=others)]
    judgement = JUDGES[name](Results(trials=one_file(folder, rows), curves=pd.DataFrame()))
    assert judgement is not None
    return judgement.verdict


def test_no_critical_point_is_spurious(tmp_path: Path) -> None:
    readings = dict(THESIS_THEOREM_7.readings("smoke"))
    assert readings["spurious"] == 0
    assert min(readings["global_optima"], readings["strict_saddles"]) >= 10
    assert readings["critical_points"] == readings["global_optima"] + readings["strict_saddles"]
    assert verdict("Theorem 7", tmp_path / "a", THEOREM_7, "spurious", readings) == HOLDS
    assert verdict("Theorem 7", tmp_path / "b", THEOREM_7, "spurious", {**readings, "spurious": 1.0}) == FAILS
    few = {**readings, "strict_saddles": 0.0}
    assert verdict("Theorem 7", tmp_path / "c", THEOREM_7, "spurious", few).startswith("too few")


def test_both_rotations_equalize(tmp_path: Path) -> None:
    readings = dict(THESIS_EQUALIZERS.readings("smoke"))
    assert len(readings) == 1 + 2 * 5
    assert readings["largest_error"] < 1e-12
    assert verdict("Theorem 1", tmp_path, EQUALIZERS, "largest_error", readings) == HOLDS
    assert pytest.approx(0, abs=1e-12) == readings["unevenness/universal/16"]


def test_halfspaces_become_robust_within_the_steps_that_are_proved(tmp_path: Path) -> None:
    readings = dict(replace(THESIS_COROLLARY_4, epsilon=0.4, num_runs=5).readings("smoke"))
    assert readings["num_steps"] == pytest.approx(128 * (1.1 / (0.4 * 0.4)) ** 2)
    assert readings["robust_error"] <= readings["bound"] == 0.8
    assert readings["robust_error"] < 0.05 < readings["robust_error_at_first"]
    kept = {**readings, "bound": 0.4, "robust_error_at_first": 0.6}
    assert verdict("Corollary 4", tmp_path / "a", COROLLARY_4, "robust_error", kept) == HOLDS
    assert verdict("Corollary 4", tmp_path / "b", COROLLARY_4, "robust_error", {**kept, "robust_error": 0.5}) == FAILS
    trivial = {**kept, "robust_error_at_first": 0.3}
    assert verdict("Corollary 4", tmp_path / "c", COROLLARY_4, "robust_error", trivial).startswith("too few")
