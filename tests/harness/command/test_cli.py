"""The command as people and scripts call it. What needs no campaign runs in one process; the rest in its own."""

import csv
import dataclasses
import inspect
import io
import json
import re
import shlex
import subprocess
import sys
from typing import Literal

import pytest
from arena import COMMAND, Arena, rows
from result_rows import confirmed, one_file, timed
from slow_params import slow_but
from some_records import record
from typer.testing import CliRunner

from harness.cli import app, main
from harness.command.registries import TABLES
from harness.contestants import Contestant
from harness.field_docs import field_docs
from harness.results.store import Store
from harness.spaces import space_of
from tasks.experiments import SUITES, TASKS
from tasks.regularizers import REGULARIZERS

HEAVY = ("torch", "ray", "pandas", "optuna", "pyarrow", "scipy", "numpy")
LIGHT_COMMANDS = [
    ["--help"],
    ["run", "--help"],
    *(["list", table] for table in TABLES),
    ["list", "regularizers", "--json"],
]
CALL = """
import io, json, sys
from contextlib import redirect_stdout
from harness.cli import main
sys.argv = ["regarena", *json.loads(sys.argv[1])]
with redirect_stdout(io.StringIO()):
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
print([name for name in %r if name in sys.modules])
""" % (HEAVY,)  # noqa: UP031  # braces abound


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(tmp_path_factory.mktemp("command"))


@pytest.fixture(scope="module")
def campaign(arena):
    """A small campaign that has run, with a cell that is skipped and one that fails."""
    ended = arena.regarena(
        "run", "well", "--serial", "--only", "tiny-mlp,none,dropblock,raise_plainly", "--tune-trials", "1",
        "--seeds", "2", "--results", "campaign",
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    return ended


def call(monkeypatch, capsys, *arguments):
    """Exit code, output and errors of the command, called in this process."""
    monkeypatch.setattr(sys, "argv", ["regarena", *arguments])
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    return code, *capsys.readouterr()


@pytest.mark.parametrize("arguments", LIGHT_COMMANDS, ids=" ".join)
def test_help_and_lists_answer_without_heavy_imports(arena, arguments):
    assert arena.python(CALL, json.dumps(arguments), PYTHONPATH="").strip() == "[]"


def test_every_command_explains_itself_and_each_of_its_options():
    runner = CliRunner()
    overview = runner.invoke(app, ["--help"]).output
    for command in app.registered_commands:
        name = command.name or command.callback.__name__
        assert name in overview
        explained = runner.invoke(app, [name, "--help"])
        assert explained.exit_code == 0
        assert command.callback.__doc__.split(".")[0].split(":")[0] in " ".join(explained.output.split())


@pytest.mark.parametrize("table", TABLES)
def test_a_list_holds_every_name_as_text_json_and_csv(table, monkeypatch, capsys):
    names = list(TABLES[table])
    _, text, _ = call(monkeypatch, capsys, "list", table)
    assert [line.split()[0] for line in text.splitlines()] == names
    _, text, _ = call(monkeypatch, capsys, "list", table, "--json")
    assert [entry["name"] for entry in json.loads(text)] == names
    assert all(entry["what"] for entry in json.loads(text)), "each entry says what it is"
    _, text, _ = call(monkeypatch, capsys, "list", table, "--csv")
    assert [entry["name"] for entry in csv.DictReader(io.StringIO(text))] == names


FIRST_OF_EACH_TABLE = [name for table in TABLES.values() for name in list(table)[:6]]


@pytest.mark.parametrize("name", slow_but([name for table in TABLES.values() for name in table], FIRST_OF_EACH_TABLE))
def test_every_name_of_every_table_has_a_card(name, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, text, error = call(monkeypatch, capsys, "show", name)
    assert (code, error) == (0, "")
    assert text.startswith(f"{name}: ")
    assert len(text.splitlines()) > 3


@pytest.mark.parametrize("name", slow_but([*TASKS, *SUITES], [*list(TASKS)[:20], *list(SUITES)[:10]]))
def test_the_example_of_a_card_names_the_data_that_it_needs(name, monkeypatch, capsys):
    _, text, _ = call(monkeypatch, capsys, "show", name)
    names = [name] if name in TASKS else [task for task, _ in SUITES[name].cells()]
    example = text.splitlines()[-1]
    assert example.startswith("example ")
    assert example.endswith("--data DIR") == any(TASKS[each].needs_data for each in names)


def test_the_card_of_a_task_says_how_it_is_trained(monkeypatch, capsys):
    _, text, _ = call(monkeypatch, capsys, "show", "cifar100-resnet56")
    for line in (
        "  rate   times 0.2 at 0.3, 0.6, 0.8 of the training",
        "  SGD    momentum 0.9 (Nesterov), weight decay 0.0005",
        "  images standard; augmentation: crop, flip, rotation",
        "  split  10% of the training set held out",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize("name", list(REGULARIZERS))
def test_the_card_of_a_regularizer_says_all_that_there_is_to_know(name, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    _, text, _ = call(monkeypatch, capsys, "show", name)
    cls = REGULARIZERS[name]
    for piece in (cls.formula, cls.source, inspect.getdoc(cls), *cls.acts_on):
        assert piece in text
    for field in dataclasses.fields(cls):
        note = field_docs(cls)[field.name]
        assert note, f"{field.name} has no comment that says what is allowed"
        assert re.search(rf"^  {field.name} = {re.escape(repr(field.default))} +{re.escape(note)}$", text, re.MULTILINE)
    for scope in space_of(name).values():
        assert f"tuned: {scope}   [{scope.source}]" in text
    assert "\ncost      " in text
    (task,) = re.findall(rf"^example   regarena tune (\S+) --regularizer {name} --tune-trials", text, re.MULTILINE)
    assert TASKS[task].skip_reason(cls()) is None


def test_a_name_of_a_task_and_a_suite_has_both_cards(monkeypatch, capsys):
    names = sorted(set(TASKS) & set(SUITES))
    assert names
    _, text, _ = call(monkeypatch, capsys, "show", names[0])
    assert len(re.findall(rf"^{names[0]}: ", text, re.MULTILINE)) == 2


@pytest.mark.parametrize(
    ("arguments", "is_missing"),
    [(["mnist-demo"], True), (["mnist-demo", "--data", "."], False), (["quickstart"], False)],
)
def test_a_plan_says_what_run_would_miss(arguments, is_missing, monkeypatch, capsys):
    _, text, _ = call(monkeypatch, capsys, "plan", *arguments)
    assert ("`run` needs --data DIR here" in text) == is_missing


def test_notes_of_fields_are_their_choices_and_the_comments_behind_them():
    assert field_docs(SomeSettings) == {
        "rate": "in [0, 1)",
        "place": "here | there",
        "whole": "True | False; whether all of it",
        "bare": "",
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class SomeSettings:
    rate: float = 0.5  # in [0, 1)
    # not about the field below
    place: Literal["here", "there"] = "here"
    whole: bool = True  # whether all of it
    bare: int = 1


def test_a_combination_shows_the_cards_of_its_parts(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    _, text, _ = call(monkeypatch, capsys, "show", "dropout+weight_decay")
    assert "dropout: " in text
    assert "weight_decay: " in text
    assert "\nfields    as above\n" in text
    (example,) = re.findall(r"^example   .*--regularizer dropout\+weight_decay .*$", text, re.MULTILINE)
    assert example.startswith("example   regarena tune digits-convnet ")


@pytest.mark.parametrize("name", ["dropout+dropblock", "dropout+nuclear_norm"])
def test_the_card_of_a_combination_qualifies_fields_and_names_a_task_for_all_parts(name, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    _, text, _ = call(monkeypatch, capsys, "show", name)
    assert "renamed because several have them: dropout.drop_rate, " + name.partition("+")[2] + ".drop_rate\n" in text
    (task,) = re.findall(rf"^example   regarena tune (\S+) --regularizer {re.escape(name)} ", text, re.MULTILINE)
    assert Contestant(name).skip_reason(TASKS[task], "smoke") is None


def test_the_card_of_a_combination_that_no_small_task_holds_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    _, text, _ = call(monkeypatch, capsys, "show", "cutout+nuclear_norm")
    assert text.splitlines()[-1] == "example   none: no task of the suite zoo has what all parts need"


# Contestants that only measure are in no suite that times.
@pytest.mark.parametrize("name", [name for name, cls in REGULARIZERS.items() if not cls.only_measures])
def test_the_suite_that_a_card_names_for_its_cost_times_the_contestant(name, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    _, text, _ = call(monkeypatch, capsys, "show", name)
    (suite,) = re.findall(rf"^cost .*`regarena run (\S+) --only {name} ", text, re.MULTILINE)
    cells = SUITES[suite].cells()
    timed = [task for task in SUITES[suite].timing_tasks if (task, name) in cells]
    assert [task for task in timed if TASKS[task].skip_reason(REGULARIZERS[name]()) is None]


@pytest.mark.parametrize(
    ("name", "where"), [("dropout", "the input, where input_drop_rate > 0"), ("localdrop", "an input that a dense")]
)
def test_a_card_names_the_input_where_it_may_be_filled_too(name, where, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    _, text, _ = call(monkeypatch, capsys, "show", name)
    (line,) = re.findall(r"^acts on .*$", text, re.MULTILINE)
    assert where in line


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "cifar10",
            ["32x32, 3 channels, 10 classes", "in memory", "10 % of it held out", "gcn_zca"],
        ),
        (
            "imagenet",
            ["224x224, 3 channels, 1000 classes", "streamed", "imagenette2-224", "resized_crop"],
        ),
        ("digits", ["8x8, 1 channel, 10 classes", "files          none needed"]),
    ],
)
def test_a_data_set_shows_what_it_holds_and_what_a_protocol_may_ask_of_it(monkeypatch, capsys, name, lines):
    code, text, _ = call(monkeypatch, capsys, "show", name)
    assert code == 0
    assert all(line in text for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "dropuot"], "did you mean 'dropout'"),
        (["show", "DropOut"], "did you mean 'dropout'"),
        (["tune", "quickstart", "--regularizer", "dropout"], "`regarena run quickstart` tunes the whole suite"),
        (["run", "quickstrat"], "did you mean 'quickstart'"),
        (["plan", "quickstrat"], "did you mean 'quickstart'"),
        (["plan", "quickstart", "--only", "dropuot"], "did you mean 'dropout'"),
        (["plan", "quickstart", "--skip", "digits-200-mpl"], "did you mean 'digits-200-mlp'"),
        (["plan", "quickstart", "--seeds", "-1"], "--seeds must be at least 0, got -1"),
        (
            ["plan", "quickstart", "--data", "nowhere"],
            "--data must be an existing folder (--download creates it), got nowhere",
        ),
        (["run", "mnist-demo", "--serial"], "no --data was given"),
        (["tune", "digits-mpl", "--regularizer", "dropout"], "did you mean 'digits-mlp'"),
        (["tune", "digits-mlp", "--regularizer", "dropuot"], "did you mean 'dropout'"),
        (["rank", "nowhere"], "nowhere"),
        (["timing", "nowhere"], "nowhere"),
        (["compare", "nowhere"], "nowhere"),
        (["report", "nowhere"], "nowhere"),
        (["verify", "nowhere"], "nowhere"),
        (["merge", "nowhere", "--into", "both"], "no trials in nowhere"),
        (["show", "dropout", "--results", "nowhere"], "nowhere"),
        (["plan", "quickstart", "--only", "digits-200-mlp", "--skip", "digits-200-mlp"], "Nothing is left"),
        (
            ["plan", "quickstart", "--cuda-graphs"],
            "cuda_graphs replays compiled code: it needs compile as well",
        ),
        (
            ["run", "quickstart", "--serial", "--compile", "--cuda-graphs", "--tf32"],
            "--cuda-graphs, --tf32: needs a GPU, and trials run on the processor here",
        ),
        (["run", "quickstart", "--serial", "--results", "/proc/regarena"], "choose another one"),
        (["plan", "quickstart", "--seed", str(2**31)], "--seed must be at most 2147483647, got 2147483648"),
        (["plan", "quickstart", "--tune-trials", "100001"], "--tune-trials must be at most 100000, got 100001"),
        (["plan", "quickstart", "--json", "--csv"], "give only one of them"),
        (["list", "tasks", "--json", "--csv"], "give only one of them"),
        (["plan", "quickstart", "--serial", "--workers", "5"], "one trial at a time; leave out --workers, got 5"),
        (["plan", "quickstart", "--only", "none+dropout"], "must not contain the baseline 'none', got 'none+dropout'"),
        (["tune", "digits-mlp", "--regularizer", "digits-convnet"], "There is no regularizer 'digits-convnet'"),
        (["tune", "digits-mlp", "--regularizer", "none,dropout"], "There is no regularizer 'none,dropout'"),
        (["tune", "digits-mlp", "--regularizer", ""], "There is no regularizer ''"),
        (
            ["run", "quickstart", "--serial", "--address", "localhost:1"],
            "--serial runs without Ray; leave out --address",
        ),
        (["run", "quickstart", "--serial", "--cpus-per-trial", "4096"], "--cpus-per-trial must be at most"),
        (["run", "mnist-demo", "--serial", "--download"], "--data DIR"),
        (["run", "quickstart", "--serial", "--results", "nowhere://x"], "cannot be opened"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_ends_with_exit_code_2_and_one_sentence(arguments, words, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, error = call(monkeypatch, capsys, *arguments)
    assert code == 2
    assert out == ""
    assert words in error
    assert error.startswith("regarena: ")
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == [], "nothing was made"


@pytest.mark.parametrize(
    "arguments",
    [["run"], ["run", "quickstart", "--scale", "huge"], ["list", "nothing"], ["run", "quickstart", "--no-such-option"]],
    ids=" ".join,
)
def test_a_command_line_that_is_no_command_ends_with_exit_code_2(arguments, monkeypatch, capsys):
    code, _, error = call(monkeypatch, capsys, *arguments)
    assert code == 2
    assert "Traceback" not in error


QUICK_TO_PLAN = ["quickstart", "cifar-demo", "theory", "thesis-table4-1", "localdrop-table5", "distortion-table3"]


@pytest.mark.parametrize("suite", slow_but([name for name in SUITES if name != "mnist-demo"], QUICK_TO_PLAN))
def test_a_plan_of_every_suite_runs_nothing_and_writes_nothing(suite, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, text, _ = call(monkeypatch, capsys, "plan", suite, "--json")
    assert code == 0
    cells = json.loads(text)
    assert {(cell["task"], cell["regularizer"]) for cell in cells} == set(SUITES[suite].cells())
    assert all(cell["missing"] == cell["trials"] and cell["done"] == 0 for cell in cells)
    assert all(
        (cell["trials"] == 0) == (cell["why"] is not None and "site" in cell["why"]) or cell["why"] for cell in cells
    )
    assert list(tmp_path.iterdir()) == []


def test_a_campaign_with_failures_ends_with_exit_code_1_after_everything_else_has_run(arena, campaign):
    found = rows(arena.folder / "campaign")
    counts = {}
    for row in found:
        key = (row["regularizer"], row["status"])
        counts[key] = counts.get(key, 0) + 1
    assert counts == {
        ("none", "completed"): 2 + 1 + 2 + 1,
        ("dropblock", "skipped"): 1,
        ("raise_plainly", "failed"): 2 + 1 + 1,
    }
    assert "4 trial(s) ended without a result (4 failed)" in campaign.stderr
    assert "Traceback" not in campaign.stderr
    assert "dropblock: skipped" in campaign.stdout
    assert (arena.folder / "campaign" / "report.html").exists()
    assert all(row["error_message"] == "this regularizer is at fault" for row in found if row["status"] == "failed")
    (skipped,) = [row for row in found if row["status"] == "skipped"]
    assert "site" in skipped["reason"]


@pytest.mark.slow
def test_a_timing_row_holds_a_ratio_of_two_times_measured_alone(arena, campaign):
    (timed,) = [
        row for row in rows(arena.folder / "campaign") if row["role"] == "timing" and row["status"] == "completed"
    ]
    assert timed["exclusive"] is True
    assert timed["metric.step_ratio"] == timed["seconds_per_step"] / timed["metric.twin_seconds_per_step"]
    assert timed["peak_memory_bytes"] is None, "the twin's memory is no part of the contestant's"
    assert (timed["validation_value"], timed["test_value"]) == (None, None)
    assert not any(row["exclusive"] for row in rows(arena.folder / "campaign") if row["role"] != "timing")


@pytest.mark.parametrize("command", ["rank", "timing", "compare"])
def test_tables_of_a_campaign_parse_as_json_and_as_csv(command, arena, campaign, monkeypatch, capsys):
    folder = str(arena.folder / "campaign")
    code, text, _ = call(monkeypatch, capsys, command, folder)
    assert code == 0
    _, text, _ = call(monkeypatch, capsys, command, folder, "--json")
    records = json.loads(text)
    _, text, _ = call(monkeypatch, capsys, command, folder, "--csv")
    assert len(list(csv.DictReader(io.StringIO(text)))) == len(records)
    if command != "compare":
        assert {record["task"] for record in records} >= {"tiny-mlp"}


def test_importances_of_cells_that_were_hardly_tuned_are_not_told(arena, campaign, monkeypatch, capsys):
    folder = str(arena.folder / "campaign")
    code, text, _ = call(monkeypatch, capsys, "importance", folder)
    assert code == 0
    assert "none on tiny-mlp (smoke)" in text
    assert ": 1 tune trial(s) succeeded, and at least 10 are needed" in text
    assert json.loads(call(monkeypatch, capsys, "importance", folder, "--json")[1]) == []


def test_the_folder_of_a_campaign_verifies_and_merges(arena, campaign, monkeypatch, capsys, tmp_path):
    folder = str(arena.folder / "campaign")
    assert call(monkeypatch, capsys, "verify", folder) == (0, f"No problems found in {folder}.\n", "")
    code, out, _ = call(monkeypatch, capsys, "merge", folder, "--into", str(tmp_path / "merged"))
    assert (code, out.startswith("10 trials are in ")) == (0, True)
    assert call(monkeypatch, capsys, "verify", str(tmp_path / "merged"))[0] == 0
    (tmp_path / "merged" / "trials" / "extra.parquet").write_bytes(b"no parquet")
    code, out, error = call(monkeypatch, capsys, "verify", str(tmp_path / "merged"))
    assert (code, "1 finding" in error, "trials/extra.parquet cannot be read" in out) == (1, True, True)
    code, _, error = call(monkeypatch, capsys, "rank", str(tmp_path / "merged"))
    assert (code, "extra.parquet" in error) == (2, True)


@pytest.mark.slow
def test_a_report_is_written_where_it_is_asked_for(arena, campaign, monkeypatch, capsys, tmp_path):
    code, out, _ = call(
        monkeypatch, capsys, "report", str(arena.folder / "campaign"), "--out", str(tmp_path / "elsewhere")
    )
    assert code == 0
    page = (tmp_path / "elsewhere" / "report.html").read_text()
    assert "raise_plainly" in page
    assert str(tmp_path / "elsewhere") in out


def test_no_row_tells_who_ran_it_or_where(arena, campaign):
    import getpass
    import socket
    from pathlib import Path

    texts = [value for row in rows(arena.folder / "campaign") for value in row.values() if isinstance(value, str)]
    for private in (socket.gethostname(), str(Path.home()), str(arena.folder), f"/{getpass.getuser()}"):
        assert not [text for text in texts if private in text]


@pytest.mark.slow
def test_switches_make_other_trials_of_the_same_campaign_and_stand_in_their_rows(arena):
    asked = ("on-mnist", "--only", "tiny-mlp,none", "--results", "switched")
    assert arena.regarena("run", *asked, "--serial").returncode == 0
    switched = (*asked, "--precision", "bf16", "--channels-last")
    (cell,) = json.loads(arena.regarena("plan", *switched, "--json").stdout)
    assert (cell["done"], cell["missing"]) == (0, 1)
    ended = arena.regarena("run", *switched, "--serial")
    assert ended.returncode == 0, ended.stderr
    found = {row["switches"]: row for row in rows(arena.folder / "switched")}
    assert found.keys() == {None, "bf16+channels_last"}
    assert found[None]["train_value"] != found["bf16+channels_last"]["train_value"] or (
        found[None]["metric.cross_entropy"] != found["bf16+channels_last"]["metric.cross_entropy"]
    )
    requests = json.loads((arena.folder / "switched" / "campaign.json").read_text())["requests"]
    assert [each["switches"] for each in requests] == [{}, {"precision": "bf16", "channels_last": True}]


@pytest.mark.slow
def test_tune_confirms_one_regularizer_beside_the_baseline(arena):
    ended = arena.regarena(
        "tune",
        "tiny-mlp",
        "--regularizer",
        "idle",
        "--tune-trials",
        "2",
        "--seeds",
        "1",
        "--serial",
        "--scale",
        "smoke",
    )
    assert ended.returncode == 0, ended.stderr
    found = rows(arena.folder / "results" / "tune-tiny-mlp")
    roles = sorted((row["regularizer"], row["role"]) for row in found)
    assert roles == [(name, role) for name in ("idle", "none") for role in ("confirm", "default", "tune", "tune")]


def test_an_output_that_was_closed_is_no_error(arena):
    command = shlex.join([str(COMMAND), "list", "regularizers"])
    ended = subprocess.run(["sh", "-c", f"{command} >&-"], env=arena.environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "arguments", ["list regularizers", pytest.param("show dropout", marks=pytest.mark.slow), "--help"]
)
def test_an_output_without_space_is_told_in_one_sentence(arena, arguments, unbuffered):
    command = f"{shlex.quote(str(COMMAND))} {arguments} > /dev/full"
    environment = arena.environment | {"PYTHONUNBUFFERED": unbuffered}
    ended = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "regarena: The output cannot be written (No space left on device); redirect it elsewhere."
    ]


@pytest.mark.parametrize("output", ["true", "cat > /dev/full"])
def test_a_failure_is_told_whoever_has_stopped_to_listen(arena, tmp_path, output):
    """What is printed before waits in a buffer, and cannot be written either."""
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "broken.parquet").write_bytes(b"PAR1 and no more")
    command = f"{shlex.quote(str(COMMAND))} verify {shlex.quote(str(tmp_path))}"
    piped = f"({command}; echo $? > {tmp_path}/code) | true" if output == "true" else f"{command} > /dev/full"
    environment = {name: value for name, value in arena.environment.items() if name != "PYTHONUNBUFFERED"}
    ended = subprocess.run(["sh", "-c", piped], env=environment, capture_output=True, text=True)
    code = int((tmp_path / "code").read_text()) if output == "true" else ended.returncode
    assert (code, ended.stderr) == (1, "regarena: 1 finding(s).\n")


@pytest.mark.parametrize("option", ["--results", "--address"])
@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_place_is_not_the_default_one(monkeypatch, capsys, tmp_path, option, text):
    monkeypatch.chdir(tmp_path)
    code, _, error = call(monkeypatch, capsys, "run", "quickstart", option, text)
    assert code == 2
    assert f"{option} takes" in error
    assert repr(text) in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--only", "--skip"])
@pytest.mark.parametrize("names", ["", " , "])
def test_a_choice_of_no_name_is_not_the_whole_suite(monkeypatch, capsys, option, names):
    code, _, error = call(monkeypatch, capsys, "plan", "quickstart", option, names)
    assert code == 2
    assert f"{option} takes names" in error
    assert repr(names) in error


@pytest.mark.parametrize("command", ["rank", "timing", "compare", "importance", "report"])
def test_a_folder_without_trials_is_told_alike_by_all_that_read_it(tmp_path, monkeypatch, capsys, command):
    code, _, error = call(monkeypatch, capsys, command, str(tmp_path / "none"))
    assert code == 2
    assert error.startswith(f"regarena: No trial is stored in '{tmp_path / 'none'}'")


@pytest.mark.parametrize("command", ["rank", "timing"])
def test_tables_of_single_tasks_are_those_of_a_folder_without_the_others(tmp_path, monkeypatch, capsys, command):
    for folder, tasks in {"both": ("digits", "letters"), "one": ("digits",)}.items():
        made = []
        for task in tasks:
            made += [*confirmed("none", [0.5, 0.6], task), *confirmed("dropout", [0.6, 0.7], task)]
            made.append(timed("dropout", 1.5, task=task))
        one_file(tmp_path / folder, made)
    of_one = call(monkeypatch, capsys, command, str(tmp_path / "one"))
    assert call(monkeypatch, capsys, command, str(tmp_path / "both"), "--task", "digits") == of_one
    both = call(monkeypatch, capsys, command, str(tmp_path / "both"))
    both_tasks = ("--task", "digits", "--task", "letters")
    assert call(monkeypatch, capsys, command, str(tmp_path / "both"), *both_tasks) == both != of_one
    code, _, error = call(monkeypatch, capsys, command, str(tmp_path / "both"), "--task", "digit")
    assert (code, "called 'digit'; did you mean 'digits'" in error) == (2, True)


def test_a_damaged_file_is_named_with_what_the_command_can_do_about_it(tmp_path, monkeypatch, capsys):
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "broken.parquet").write_bytes(b"PAR1 and no more")
    code, _, error = call(monkeypatch, capsys, "rank", str(tmp_path))
    assert code == 2
    assert "broken.parquet" in error
    assert "`regarena verify` looks at every file" in error
    assert "on_damage" not in error


def test_damaged_curves_are_told_alike_by_all_that_read_them(tmp_path, monkeypatch, capsys):
    store = Store(tmp_path)
    store.prepare()
    store.write(record(0))
    (tmp_path / "curves" / "broken.parquet").write_bytes(b"PAR1 and no more")
    commands = (["compare"], ["stats", "--table", "time-to-target"], ["report"])
    for command in commands:
        code, _, error = call(monkeypatch, capsys, command[0], str(tmp_path), *command[1:])
        assert code == 2, command
        assert "broken.parquet" in error, command
        assert "`regarena verify` looks at every file" in error, command
        assert "on_damage" not in error, command


def test_a_pipe_that_closes_early_is_no_error(arena):
    listing = arena.start("list", "regularizers")
    listing.stdout.close()
    assert "Traceback" not in listing.stderr.read()
    listing.wait()
