"""Hundreds of bad command lines, made from what the commands themselves say that they take.

Each ends with exit code 2 and one sentence, prints no table, makes no file and runs no campaign.
"""

import dataclasses
import sys
from typing import Any

import pytest
import typer

from harness.cli import app
from harness.command.exit import run_to_its_end
from harness.command.options import RunOptions

COMMAND: Any = typer.main.get_command(app)  # built once: that takes longer than most of what is done with it
COMMANDS = COMMAND.commands
WELL = {  # a command line of each command that is allowed as it stands
    "run": ["quickstart", "--serial"],
    "plan": ["quickstart"],
    "tune": ["digits-mlp", "--regularizer", "dropout", "--serial"],
    "init": ["new.toml"],
    "list": ["tasks"],
    "show": ["dropout"],
    "rank": ["results"],
    "timing": ["results"],
    "compare": ["results"],
    "importance": ["results"],
    "report": ["results"],
    "status": ["results"],
    "stop": ["results"],
    "retry": ["results"],
    "verify": ["results"],
    "merge": ["results", "--into", "both"],
    "check": ["dropout"],
    "doctor": [],
}
LOCATIONS = ["", " ", "\t", "s3://", "gs://", "s3:///folder", "s3://bucket//folder", "s3://bucket/a//b", "a\0b"]
NAMES = ["", " ", ",", " , ,", "nobody", "none,nobody", "dropuot", "none+dropout", "dropout+dropout", "+"]
NUMBERS = {
    "int": ["", "x", "1.5", "nan", "--", "0x10", "-1", "1,2", "½"],
    "float": ["", "x", "nan", "inf", "-inf", "--", "-1", "1,5", "0x10"],
}
BY_FLAG = {
    "--trial-memory": ["1e300", "1048577", "0", "0.0001"],
    "--trial-seconds": ["-1"],
    "--gpus-per-trial": ["all", "Auto", "0.5,1"],
    "--tune-trials": [str(2**40)],
    "--seeds": [str(2**40)],
    "--seed": [str(2**40)],
    "--workers": ["0"],
    "--cpus-per-trial": ["0"],
    "--scale": ["", "huge", "SMOKE", "smoke,short"],
    "--precision": ["", "fp8", "FP32"],
    "--only": NAMES,
    "--skip": NAMES,
    "--address": ["", " "],
    "--data": [*LOCATIONS, "nowhere"],
    "--results": [*LOCATIONS, "nowhere://x", "s3://buc ket/x"],
}
CAMPAIGNS = ("run", "plan", "tune")


def value_options(name):
    """(flag, kind) of each option of a command that takes a value."""
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option" and not getattr(parameter, "is_flag", False):
            yield parameter.opts[0], kinds(name).get(parameter.name, "")


def flags(name):
    return [p.opts[0] for p in COMMANDS[name].params if getattr(p, "is_flag", False) and p.opts[0] != "--help"]


def kinds(name):
    """Parameter -> the text of its type, of the options of a campaign."""
    return {each.name: str(each.type) for each in dataclasses.fields(RunOptions)} if name in CAMPAIGNS else {}


def bad_for_typer():
    """Lines that are no command's: unknown options, missing values, too much or too little."""
    yield from (["frob"], ["--frob"], ["--version=3"], ["RUN"], ["run quickstart"])
    for name, well in WELL.items():
        yield [name, *well, "--no-such-option"]
        yield [name, *well, "-x"]
        yield [name, *well, "--json", "--csv"] if "--json" in flags(name) else [name, *well, "--json"]
        yield from ([name, *well, f"{flag}=yes"] for flag in flags(name))
        yield from ([name, *well, flag] for flag, _ in value_options(name))
        if well:
            yield [name]
        if "DIR..." not in [parameter.metavar for parameter in COMMANDS[name].params]:
            yield [name, *well, "extra"]


def bad_values():
    """Values of the options of campaigns that are not of their kind, or out of bounds."""
    for name in CAMPAIGNS:
        for flag, kind in value_options(name):
            values = [number for of, numbers in NUMBERS.items() if of in kind for number in numbers]
            values += BY_FLAG.get(flag, [])
            yield from ([name, *WELL[name], f"{flag}={value}"] for value in values)


def bad_together():
    """Options that do not go together, and what is only found when the campaign is planned."""
    for name in CAMPAIGNS:
        yield [name, *WELL[name], "--serial", "--workers", "2"]
    for name in ("run", "tune"):
        yield from ([name, *WELL[name], "--address", address] for address in ("localhost:1", "auto"))
        yield from ([name, *WELL[name], flag] for flag in ("--download", "--allow-no-token"))
        yield [name, *WELL[name], "--cpus-per-trial", "4096"]
        yield [name, *WELL[name], "--compile", "--cuda-graphs"]


def bad_places():
    """What cannot be the name of a results folder, or is none."""
    for name in ("rank", "timing", "compare", "importance", "report", "verify", "status", "stop", "retry"):
        yield from ([name, location] for location in [*LOCATIONS, "nowhere", "nowhere://x", "s3://b c/x"])
        yield [name, "nowhere", ""]
    for flag, name in (("--into", "merge"), ("--out", "report"), ("--results", "show"), ("--timings", "plan")):
        yield from ([name, *WELL[name], flag, location] for location in LOCATIONS)


def bad_names():
    """Names that nothing carries."""
    yield from (["list", text] for text in ("", " ", "nothing", "Task", "tasks,suites"))
    for text in ("", " ", "dropuot", "dropout+", "dropout,none", "../dropout", "a\0b", "*", "ÿ", "x" * 10_000):
        yield ["show", text]
        yield ["run", text, "--serial"]
        yield ["plan", text]
        yield ["tune", text, "--regularizer", "dropout"]
        yield ["tune", "digits-mlp", "--regularizer", text]


def bad_lines():
    return [*bad_for_typer(), *bad_values(), *bad_together(), *bad_places(), *bad_names()]


LINES = [list(line) for line in dict.fromkeys(map(tuple, bad_lines()))]


def called(monkeypatch, capsys, line):
    """Exit code, output and errors of the command, called in this process."""
    monkeypatch.setattr(sys, "argv", ["regarena", *line])
    with pytest.raises(SystemExit) as ended:
        run_to_its_end(COMMAND)
    return ended.value.code, *capsys.readouterr()


@pytest.fixture(autouse=True)
def _nothing_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.campaign._run_missing", lambda *_: pytest.fail("a campaign ran"))


def test_there_are_enough_of_them():
    assert len(LINES) >= 300
    assert WELL.keys() <= COMMANDS.keys()


@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join(line)[:80].encode("ascii", "replace").decode())
def test_a_bad_command_line_ends_with_exit_code_2_and_one_sentence(line, monkeypatch, capsys, tmp_path):
    code, out, error = called(monkeypatch, capsys, line)
    assert code == 2, (out, error)
    assert out == ""
    assert error.startswith("regarena: ")
    assert error.count("\n") == 1, "one line"
    assert "Traceback" not in error
    assert "Unexpected error" not in error, "no fault of ours"
    assert list(tmp_path.iterdir()) == [], "nothing was made"


def test_no_command_at_all_shows_the_help(monkeypatch, capsys):
    code, out, error = called(monkeypatch, capsys, [])
    assert (code, error) == (2, "")
    assert "Commands:" in out
