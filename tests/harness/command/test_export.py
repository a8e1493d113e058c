"""`regarena export`: what it prints, and its refusals in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from exported_results import results, searched
from optuna.distributions import FloatDistribution
from result_rows import row, write

from analysis.exports.export import FORMATS
from harness.cli import main
from harness.command.exports import search_ranges
from harness.command.parameters import ExportFormat
from search_spaces.dropout import SPACE

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Exit code, output and errors of `regarena export`, called in this process in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["regarena", "export", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return called


def test_the_command_has_the_formats_of_the_analysis() -> None:
    assert list(ExportFormat) == list(FORMATS)


def test_it_says_what_was_written_and_where(call: Call) -> None:
    results(Path("r"))
    code, out, error = call("r", "--to", "tensorboard", "--out", "runs")
    assert (code, error) == (0, "")
    assert out == "13 runs written to runs.\n  1 skipped cell(s) have no run.\n"


def test_rows_that_conflict_need_a_rule(call: Call) -> None:
    for name, value in (("a", 0.5), ("b", 0.6)):
        write(Path(name), [row(test=value)])
    code, out, error = call("a", "b", "--to", "tensorboard", "--out", "c")
    assert (code, out) == (2, "")
    assert "--on-conflict" in error or "on_conflict" in error
    assert not Path("c").exists()
    assert call("a", "b", "--to", "tensorboard", "--out", "c", "--on-conflict", "first")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        ("nothing --to csv", 2, "No trial is stored in 'nothing'"),
        ("r --to excel", 2, "'excel' is not one of 'csv', 'latex'"),
        ("r", 2, "Missing option '--to'"),
        ("r --to optuna --out postgres://nobody", 1, "postgres://nobody cannot be written"),
        ("r --to optuna --out r/campaign.json", 1, "campaign.json cannot be written: file is not a database."),
        pytest.param(
            "r --to mlflow --out r/campaign.json",
            1,
            "campaign.json cannot be written: file is not a database.",
            marks=pytest.mark.slow,
        ),
        ("r --to csv --out r/campaign.json", 2, "is a file, but a folder is needed"),
        ("only-default --to optuna", 2, "Nothing was tuned in these results"),
    ],
)
def test_what_is_not_allowed_is_one_sentence(call: Call, arguments: str, exit_code: int, message: str) -> None:
    write(Path("r"), searched())
    Path("r/campaign.json").write_text("{}")
    write(Path("only-default"), [row(role="default", test=0.5)])
    code, out, error = call(*arguments.split())
    assert (code, out) == (exit_code, "")
    assert message in error
    assert "Traceback" not in error


def test_a_package_that_is_missing_is_one_sentence(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("r"), searched())
    monkeypatch.setitem(sys.modules, "mlflow", None)
    code, out, error = call("r", "--to", "mlflow")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "pip install 'regarena[export]' installs it." in error


def test_the_ranges_of_a_search_are_those_of_its_space_and_an_unknown_cell_has_none() -> None:
    ranges = search_ranges("digits-mlp", "dropout", "smoke")
    own = SPACE["drop_rate"]
    assert ranges["drop_rate"] == FloatDistribution(own.low, own.high)
    assert "learning_rate" in ranges
    for cell in (("gone", "dropout", "smoke"), ("digits-mlp", "gone", "smoke"), ("digits-mlp", "dropout", "gone")):
        assert search_ranges(*cell) == {}
