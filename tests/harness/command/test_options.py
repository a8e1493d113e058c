"""The fields of RunOptions are the options of run, plan and tune: names, types, defaults and help."""

import dataclasses
import os
import subprocess
from typing import Annotated

import pytest
import typer
from arena import COMMAND
from typer.testing import CliRunner

from harness.cli import app
from harness.command import options
from harness.command.options import RunOptions, request_of, with_run_options
from harness.errors import BadInput
from tasks.experiments import SUITES

OF = {
    command: [each.name for each in dataclasses.fields(RunOptions) if command in each.metadata["of"]]
    for command in ("run", "plan", "tune")
}


def test_the_overview_says_the_whole_first_sentence_of_each_command():
    sentences = {each.name or each.callback.__name__: each.short_help for each in app.registered_commands}
    assert sentences["run"] == "Run a suite: tune, freeze, confirm, rank."
    assert sentences["init"].endswith("`regarena run FILE.toml`."), "a point within a name ends no sentence"


def unspaced(text):
    """A text as it can be found wherever its lines end, at hyphens too."""
    return "".join(text.split())


@pytest.mark.parametrize("command", OF)
def test_a_command_has_the_options_that_its_fields_say(command):
    explained = " ".join(CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output.split())
    for each in dataclasses.fields(RunOptions):
        flag = each.metadata["flags"][0] if each.metadata["flags"] else f"--{each.name.replace('_', '-')}"
        assert (f" {flag} " in explained) == (each.name in OF[command]), flag
        assert each.name not in OF[command] or unspaced(each.metadata["text"]) in unspaced(explained)


def test_a_field_more_is_an_option_more(monkeypatch):
    wider = dataclasses.make_dataclass(
        "RunOptions",
        [("patience", int | None, options.option("How long to wait.", unset="3", min=1, of=("run",)))],
        bases=(RunOptions,),
        kw_only=True,
        frozen=True,
    )
    monkeypatch.setattr(options, "RunOptions", wider)
    received = []
    command = typer.Typer()

    @command.command()
    @with_run_options("run")
    def go(name: Annotated[str, typer.Argument()], options, loud: bool = False):
        received.append((name, options, loud))

    assert CliRunner().invoke(command, ["x", "--patience", "5", "--loud", "--compile"]).exit_code == 0
    assert received == [("x", wider(patience=5, compiled=True), True)]
    assert CliRunner().invoke(command, ["x", "--patience", "0"]).exit_code == 2


def test_without_options_the_suite_decides():
    request = request_of("quickstart", SUITES["quickstart"], RunOptions())
    suite = SUITES["quickstart"]
    assert request.results == "results/quickstart"
    assert (request.budget.scale, request.budget.seeds) == (suite.scale, suite.seeds_for(suite.scale))
    assert request.budget.tune_trials == suite.tune_trials_for(suite.scale)
    assert request.switches == {}
    assert request.cluster.max_workers is None


def test_a_serial_run_has_the_gpu_to_itself_and_trials_on_ray_share_it():
    shares = {
        serial: request_of("quickstart", SUITES["quickstart"], RunOptions(serial=serial)).execution.gpu_fraction
        for serial in (False, True)
    }
    assert shares == {False: 0.25, True: 1.0}


@pytest.mark.parametrize("name", [each.name for each in dataclasses.fields(RunOptions) if "float" in str(each.type)])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_is_finite(name, value):
    with pytest.raises(BadInput, match=f"--{name.replace('_', '-')} must be a finite number, got {value}"):
        RunOptions(**{name: value})


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    assert CliRunner().invoke(app, ["--version"]).output == f"regarena {version('regarena')}\n"


def test_no_sentence_of_the_overview_is_cut():
    overview = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output
    assert "..." not in overview.partition("Commands:")[2]
    flat = " ".join(overview.split())
    for command in app.registered_commands:
        assert command.callback.__doc__.split(".")[0] in flat


def complete(*words):
    """What bash is offered for the last of the words."""
    variables = {"_REGARENA_COMPLETE": "complete_bash", "COMP_CWORD": str(len(words)), "COMP_WORDS": " ".join(words)}
    variables["COMP_WORDS"] = f"regarena {variables['COMP_WORDS']}"
    ended = subprocess.run([str(COMMAND)], env={**os.environ, **variables}, capture_output=True, text=True, check=True)
    return ended.stdout.split()


def test_a_shell_completes_commands_options_and_names():
    assert "tune" in complete("t")
    assert "--tune-trials" in complete("run", "--tu")
    assert complete("run", "quickst") == ["quickstart"]
    assert "dropout" in complete("tune", "digits-mlp", "--regularizer", "dropo")


def test_a_shell_can_be_given_its_completion():
    overview = CliRunner().invoke(app, ["--help"]).output
    assert all(flag in overview for flag in ("--install-completion", "--show-completion"))
