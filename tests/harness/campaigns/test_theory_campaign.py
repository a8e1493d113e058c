"""A figure of the theory from the command to its claims and its picture: a sweep without any tuning."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def regarena(*arguments: str) -> str:
    command = [sys.executable, "-m", "harness.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


def test_a_sweep_without_tuning_runs_to_its_claims_and_its_figure(tmp_path: Path) -> None:
    results = str(tmp_path / "results")
    regarena("run", "thesis-fig2-2", "--scale", "smoke", "--serial", "--seeds", "1", "--results", results)
    claims = json.loads(regarena("compare", results, "--claims", "--json"))
    assert {row["paper"] for row in claims} >= {"structured_dropout", "dropout_theory"}
    assert all(row["verdict"] == "not comparable: not run" for row in claims)  # its claims need figure 2-1 as well
    assert (tmp_path / "results/figures/thesis-fig2-2.png").stat().st_size > 10_000
    again = regarena("run", "thesis-fig2-2", "--scale", "smoke", "--serial", "--seeds", "1", "--results", results)
    assert "3 trials of this campaign are finished already" in again
    plan = json.loads(
        regarena("plan", "thesis-fig2-2", "--scale", "smoke", "--seeds", "2", "--results", results, "--json")
    )
    assert [(row["done"], row["missing"]) for row in plan] == [(3, 3)]
