"""A figure of the theory from the command to its claims and its picture: a sweep without any tuning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli import main

pytestmark = pytest.mark.slow


def test_a_sweep_without_tuning_runs_to_its_claims_and_its_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def regarena(*arguments: str) -> str:
        """What the command prints, called in this process."""
        monkeypatch.setattr("sys.argv", ["regarena", *arguments])
        with pytest.raises(SystemExit, match="0"):
            main()
        return capsys.readouterr().out

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
