"""A campaign in a file of one's own: checked key by key, and kept with the results."""

import dataclasses
import json
import shlex

import pytest
from typer.testing import CliRunner

from harness.campaign import plan_campaign
from harness.cli import app
from harness.command.campaign_template import write_template
from harness.command.campaign_toml import asked_for
from harness.command.options import RunOptions, ScaleName, request_of
from harness.command.own_tasks_toml import OwnTasks
from harness.errors import BadInput
from harness.results.store import Store

SMALL = 'tasks = ["digits-mlp"]\ncontestants = ["none"]\n'


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What a file of this text, called mine.toml, asks for; in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def ask(text, **options):
        (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
        return asked_for("mine.toml", RunOptions(**options))

    return ask


@pytest.mark.parametrize("name", ["my file.toml", 'a"b.toml', "2nd.toml", "größe.toml", "-.toml"])
def test_a_file_of_any_name_can_be_planned_as_it_was_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, ["init", "--", name])
    assert ended.exit_code == 0, ended.output
    assert f"`regarena plan {shlex.quote(name)}`" in " ".join(ended.output.split())
    ended = CliRunner().invoke(app, ["plan", "--", name])
    assert ended.exit_code == 0, ended.output


def test_the_file_to_begin_with_plans_a_campaign(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, ["init", "first.toml"])
    assert ended.exit_code == 0, ended.output
    asked = asked_for("first.toml", RunOptions())
    request = request_of(asked.name, asked.suite, asked.options)
    plan = plan_campaign(request, Store(request.results))
    assert [(cell.task_name, cell.regularizer) for cell in plan.cells] == [
        ("digits-mlp", name) for name in ("none", "dropout", "dropout+weight_decay")
    ]
    assert (plan.suite, plan.budget.tune_trials, plan.budget.tune_width, plan.budget.scale) == ("first", 18, 9, "short")
    with pytest.raises(BadInput, match="exists already"):
        write_template(tmp_path / "first.toml")
    with pytest.raises(BadInput, match=r"must end in .toml"):
        write_template(tmp_path / "first.txt")


def test_options_of_the_command_line_go_before_those_of_the_file(asked):
    text = SMALL + '[options]\nseeds = 3\nscale = "smoke"\nhalving = true\ntrial-seconds = 9\nprecision = "bf16"\n'
    options = asked(text, seeds=4).options
    assert (options.seeds, options.scale, options.halving, options.trial_seconds) == (4, ScaleName.smoke, True, 9.0)
    budget = request_of("mine", asked(text).suite, asked(text).options).budget
    assert (budget.seeds, budget.scale, budget.tune_trials, budget.tune_width) == (3, "smoke", 27, 9)


@pytest.mark.parametrize(
    ("option", "in_file", "given"),
    [
        ("splits", 3, 1), ("seed", 3, 0), ("cpus-per-trial", 2.0, 1.0), ("checkpoint-seconds", 9.0, 60.0),
        ("seeds", 3, 5), ("tune-trials", 8, 20),
    ],
)  # fmt: skip
def test_a_value_that_is_given_counts_where_it_is_the_default_too(asked, option, in_file, given):
    field = option.replace("-", "_")
    text = f"{SMALL}[options]\n{option} = {in_file}\n"
    assert getattr(asked(text, **{field: given}).options, field) == given
    assert getattr(asked(text).options, field) == in_file


def test_a_budget_of_the_command_line_goes_before_one_of_the_file_that_excludes_it(asked):
    def budget(option, **given):
        request = asked(f"{SMALL}[options]\n{option}\n", **given).request()
        return request.budget.tune_trials, request.budget.tune_epochs

    assert budget("tune-epochs = 500") == (0, 500)
    assert budget("tune-epochs = 500", tune_trials=7) == (7, 0)
    assert budget("tune-trials = 8", tune_epochs=300) == (0, 300)
    with pytest.raises(BadInput, match="give one of --tune-trials and --tune-epochs, got 8 and 500"):
        budget("tune-trials = 8\ntune-epochs = 500")


def test_an_option_that_is_not_given_is_none_or_false():
    """Otherwise a value that happens to be the default could not be told from none, and would not override a file."""
    assert {field.default for field in dataclasses.fields(RunOptions)} == {None, False}


def test_a_files_budgets_are_those_of_tune_as_well(asked, monkeypatch):
    budgets = []
    monkeypatch.setattr("harness.cli._run", lambda request: budgets.append(request.budget))
    definition = OwnTasks(definitions={"x": ""}, folders={}, code_folder=None)
    monkeypatch.setattr("harness.command.own_tasks_toml.own_tasks_of", lambda path, content: definition)
    asked('contestants = ["none"]\n[options]\ntune-trials = 8\nseeds = 3\n[own-tasks.x]\n')
    for more in ((), ("--tune-trials", "30")):
        ended = CliRunner().invoke(app, ["tune", "mine.toml:x", "--regularizer", "dropout", *more])
        assert ended.exit_code == 0, ended.exception
    ended = CliRunner().invoke(app, ["tune", "digits-mlp", "--regularizer", "dropout", "--scale", "smoke"])
    assert ended.exit_code == 0, ended.exception
    assert [(budget.tune_trials, budget.seeds) for budget in budgets] == [(8, 3), (30, 3), (30, 5)]


def test_folders_of_rows_can_stand_in_a_file(asked):
    text = f'{SMALL}[options]\nfrom = ["results/a", "b"]\nresults = "c"\n'
    assert asked(text).request().sources == ("results/a", "b")
    assert asked(text, sources=["d"]).request().sources == ("d",)


def test_groups_are_cells_of_their_own_with_grids(asked):
    text = (
        SMALL
        + '[[groups]]\ntasks = ["digits-convnet"]\ncontestants = ["dropblock"]\ngrid = { drop_rate = [0.1, 0.2] }\n'
    )
    suite = asked(text).suite
    assert suite.cells() == [("digits-mlp", "none"), ("digits-convnet", "dropblock")]
    assert suite.points("digits-convnet", "dropblock") == ({"drop_rate": 0.1}, {"drop_rate": 0.2})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("taks = []", "There is no key of a campaign 'taks'; did you mean 'tasks'"),
        (SMALL + "[options]\ntune_trials = 3", "There is no option 'tune_trials'; did you mean 'tune-trials'"),
        (SMALL + "[option]\nseeds = 3", "did you mean 'options'"),
        (SMALL + '[options]\nonly = "none"', "There is no option 'only'"),
        (SMALL + "[[groups]]\ntask = []", "There is no key of a group 'task'; did you mean 'tasks'"),
        ('tasks = ["digits-mpl"]\ncontestants = ["none"]', "did you mean 'digits-mlp'"),
        ('tasks = ["digits-mlp"]\ncontestants = ["dropuot"]', "did you mean 'dropout'"),
        ('tasks = "digits-mlp"', "tasks must be a list of names, got 'digits-mlp'"),
        ("tasks = []\ncontestants = []", "must have both tasks and contestants"),
        ("", "must have tasks and contestants"),
        ("groups = 3", r"write each group as a table that begins with \[\[groups\]\]"),
        ("tasks = [", "mine.toml is not valid TOML"),
        (SMALL + "options = 3", "options must be a table, got 3"),
        (SMALL + "[options]\nseeds = 2.5", "seeds must be a whole number, got 2.5"),
        (SMALL + "[options]\nseeds = true", "seeds must be a whole number, got True"),
        (SMALL + '[options]\nhalving = "yes"', "halving must be true or false, got 'yes'"),
        (SMALL + "[options]\nworkers = 0", "workers must be at least 1, got 0"),
        (SMALL + '[options]\nscale = "tiny"', "scale must be one of paper, short, smoke, got 'tiny'"),
        (SMALL + '[options]\nfrom = "results/a"', "from must be a list of names, got 'results/a'"),
        (SMALL + "[options]\nfrom = [3]", r"from must be a list of names, got \[3\]"),
        (SMALL + '[options]\nfrom = [" "]', "--from takes a folder or URI, got ' '"),
        (SMALL + '[options]\nresults = "  "', "--results takes a folder or URI, got '  '"),
        (SMALL + '[options]\ndata = "s3:///x"', "--data takes a URI that names a bucket"),
        (SMALL + "[options]\ntrial-seconds = nan", "--trial-seconds must be a finite number"),
        (SMALL + 'name = "../x"', "name must be letters"),
        (SMALL + 'name = "quickstart"', "there is a suite named 'quickstart' already"),
        (SMALL + 'timing-tasks = ["x"]', "There is no task 'x'"),
        ('[[groups]]\ntasks = ["digits-mlp"]\ncontestants = ["none"]\ngrid = { a = 3 }', "must be a list of values"),
    ],
    ids=str,
)
def test_whatever_a_file_may_not_hold_is_refused_with_a_sentence(asked, text, message):
    with pytest.raises(BadInput, match=message):
        asked(text)


def test_a_file_that_is_not_there_is_told_of_with_the_way_to_begin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"There is no file no.toml; `regarena init no.toml` writes an example"):
        asked_for("no.toml", RunOptions())
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="cannot be read"):
        asked_for("bytes.toml", RunOptions())


def test_a_name_without_a_suffix_is_a_suites(asked):
    assert asked_for("quickstart", RunOptions()).suite.tune_trials
    with pytest.raises(KeyError, match="did you mean 'quickstart'"):
        asked_for("quikstart", RunOptions())


@pytest.mark.slow
def test_the_text_of_the_file_stays_with_the_results(asked, tmp_path):
    text = SMALL + "[options]\nseeds = 1\ntune-trials = 0\n"
    asked(text)
    ended = CliRunner().invoke(app, ["run", "mine.toml", "--serial", "--scale", "smoke"])
    assert ended.exit_code == 0, ended.exception
    told = json.loads((tmp_path / "results" / "mine" / "campaign.json").read_text())
    assert told["suite"] == "mine"
    assert [request["file"] for request in told["requests"]] == [text]


def test_every_option_of_run_but_the_choice_of_cells_can_stand_in_a_file(asked):
    names = [each.name for each in dataclasses.fields(RunOptions) if "run" in each.metadata["of"]]
    missing = []
    for name in names:
        try:
            asked(SMALL + f"[options]\n{name.replace('_', '-')} = [1]")
        except BadInput as error:
            missing += [name] if "There is no option" in str(error) else []
    assert missing == ["only", "skip", "sources", "compiled"], "as on the command line, these two are from and compile"
