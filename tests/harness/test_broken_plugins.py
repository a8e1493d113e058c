"""Whatever another package registers, the command names it in one sentence, and the rest works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from slow_params import slow_but

from harness.cli import main
from harness.contestants import Contestant
from harness.spaces import space_of
from tasks.architectures import ARCHITECTURES
from tasks.datasets import DATASETS
from tasks.experiments import SUITES, TASKS
from tasks.regularizers import REGULARIZERS
from tasks.table import BrokenEntryError

ROOT = Path(__file__).resolve().parents[2]
Install = Callable[..., Path]
Call = Callable[..., tuple[int, str, str]]

ADDS = """
@dataclass(frozen=True, kw_only=True)
class Mine(Regularizer):
    "Adds a penalty."

    a: float = 0.1

    def penalty(self, step):
        return self.a * sum(p.square().sum() for p in step.network.parameters())
"""


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Exit code, output and errors of the command, called in this process in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["regarena", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return called


def is_one_sentence(error: str, *pieces: str) -> bool:
    assert error.startswith("regarena: The ")
    assert error.endswith(".\n")
    assert error.count("\n") == 1
    assert [piece for piece in pieces if piece not in error] == []
    return True


CONTESTANTS = {  # what is wrong: (source, what the sentence says of it)
    "a module that cannot be imported": ("import no_such", "ModuleNotFoundError: No module named 'no_such'"),
    "a module that ends the process": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "a module that is no Python": ("def", "SyntaxError"),
    "an object that is not there": ("", "has no attribute 'Mine'"),
    "no regularizer": ("class Mine: pass", "must be a subclass of tasks.regularizers.base.Regularizer"),
    "an instance": (f"{ADDS}\nMine = Mine()", "must be a subclass"),
    "no dataclass": ("class Mine(Regularizer): pass", "Mine must be a frozen dataclass"),
    "a dataclass that is not frozen": ("Mine = dataclass(type('Mine', (Regularizer,), {}))", "Mine must be a frozen"),
    "a field without default": (ADDS.replace(" = 0.1", ""), "Mine has none for a"),
    "a field that is a list": (
        ADDS.replace("float = 0.1", "list = field(default_factory=list)"), "Mine has none for a",
    ),
    "a default that is no scalar": (ADDS.replace("float = 0.1", "tuple = (1, 2)"), "the default of Mine.a must be"),
    "a default that is no number": (ADDS.replace("0.1", "float('nan')"), "must be a finite number"),
    "a default of another type": (ADDS.replace("0.1", "'0.1'"), "is declared as float, and its default is '0.1'"),
    "a check that raises what nobody expects": (
        f"{ADDS}\n    def __post_init__(self): raise KeyError('x')", "KeyError: 'x' (in",
    ),
    "a hook with another name": (
        f"{ADDS}\n    def penalties(self, step): return 0",
        "Mine.penalties is neither a hook nor an attribute that regarena reads; did you mean 'penalty'?",
    ),
    "a hook with other parameters": (
        f"{ADDS}\n    def after_step(self): pass", "Mine.after_step must take (self, step)",
    ),
    "an attribute with another name": (
        ADDS.replace("    a: float", "    act_on: ClassVar = ('conv',)\n    a: float"), "did you mean 'acts_on'?",
    ),
    "a field that hides a hook": (ADDS.replace("a: float", "finish: float"), "Mine.finish hides the hook 'finish'"),
    "an off that names no field": (
        ADDS.replace("a: float", "off: ClassVar = {'b': 0.0}\n    a: float"), "Mine.off names b",
    ),
}  # fmt: skip


QUICK = ["a module that cannot be imported", "a field that is a list", "a hook with another name"]


@pytest.mark.parametrize("what", slow_but(CONTESTANTS, QUICK))
def test_a_broken_contestant_is_named_in_one_sentence(what: str, install: Install, call: Call) -> None:
    source, fault = CONTESTANTS[what]
    install("some-package", {"regularizers": {"mine": "Mine"}, "suites": {"some": "some_suites:SOME"}}, source)
    entry_point = "regarena.regularizers: mine = some_package:Mine"
    origin = f"The regularizer 'mine' of the package some-package (entry point {entry_point})"
    for arguments in (["show", "mine"], ["plan", "quickstart", "--only", "none,mine"]):
        code, out, error = call(*arguments)
        assert (code, out) == (2, "")
        assert is_one_sentence(error, f"{origin} cannot be used: ", fault)


@pytest.mark.parametrize("what", ["an object that is not there", "a module that is no Python", "no regularizer"])
def test_beside_a_broken_contestant_all_others_are_listed_and_shown(what: str, install: Install, call: Call) -> None:
    install("some-package", {"regularizers": {"mine": "Mine"}}, CONTESTANTS[what][0])
    code, listed, error = call("list", "regularizers", "--json")
    assert (code, error) == (0, "")
    assert {entry["name"] for entry in json.loads(listed)} == {*REGULARIZERS.own, "mine"}
    assert call("show", "dropout")[0] == 0


SUITE = """
SOME = Suite(
    groups=(Group(tasks=("digits-mlp",), regularizers=("none", "mine", "dropout")),),
    scale="smoke", tune_trials=0, seeds=1, timing_repeats=0,
)
"Some."
"""


@pytest.mark.slow
def test_a_suite_is_planned_and_run_without_what_is_broken_in_it(install: Install, call: Call, tmp_path: Path) -> None:
    site = install(
        "some-package", {"regularizers": {"mine": "Mine"}, "suites": {"some": "SOME"}}, f"{SUITE}\nclass Mine: pass"
    )
    code, out, error = call("plan", "some")
    assert (code, error) == (0, "")
    assert "dropout" in out
    assert "The regularizer 'mine' of the package some-package" in " ".join(out.split())
    run = subprocess.run(
        [sys.executable, "-m", "harness.cli", "run", "some", "--serial", "--results", "results"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])},
        cwd=tmp_path, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "The regularizer 'mine' of the package some-package" in run.stdout
    assert re.search(r"^dropout +[12](?:\.5)? ", run.stdout, re.MULTILINE)


TASK = """
class Broken(type(DIGITS_MLP)):
    __hash__ = object.__hash__
"""
TASKS_AT_FAULT = {
    "a class in place of a task": ("MINE = type(DIGITS_MLP)", "must be an instance of a subclass of tasks.task.Task"),
    "a metric that is no text": ("MINE = replace(DIGITS_MLP, metric=None)", "attribute 'metric' must be text"),
    "pins that are no scalars": ("MINE = replace(DIGITS_MLP, pins={'a': [1]})", "attribute 'pins' must map"),
    "a network that cannot be made": (
        f"{TASK}    def example_network(self): raise KeyError('x')\nMINE = Broken(**vars(DIGITS_MLP))", "KeyError: 'x'",
    ),
    "a learning rate that is no number": (
        f"{TASK}    def default_learning_rate(self, scale): return float('nan')\nMINE = Broken(**vars(DIGITS_MLP))",
        "its learning rate at smoke must be a positive number, got nan",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TASKS_AT_FAULT)
def test_a_broken_task_is_named_in_one_sentence(what: str, install: Install, call: Call) -> None:
    source, fault = TASKS_AT_FAULT[what]
    install("some-package", {"tasks": {"mine": "MINE"}}, source)
    code, out, error = call("plan", "quickstart", "--only", "none,mine", "--scale", "smoke")
    assert (code, out) == (2, "")
    assert is_one_sentence(error, "The task 'mine' of the package some-package", fault)
    assert call("list", "tasks")[0] == 0


def test_a_task_that_has_no_protocol_has_a_card(install: Install, call: Call) -> None:
    source = """
    from tasks.task import Task
    class Plain(Task):
        dataset, architecture, metric, higher_is_better = "made up", "", "error", False
        def default_learning_rate(self, scale): return 0.25
        def epochs(self, scale): return 4
        def example_network(self): return torch.nn.Linear(1, 1)
        def prepare(self, regularizers, setting): raise NotImplementedError
    MINE = Plain()
    """
    install("some-package", {"tasks": {"mine": "MINE"}}, source)
    code, out, _ = call("show", "mine")
    assert code == 0
    assert "4 epochs, learning rate 0.25" in out


def test_an_architecture_for_three_channels_has_a_card(install: Install, call: Call) -> None:
    source = """
    class Mine(torch.nn.Sequential):
        "For colours alone."
        def __init__(self, num_classes, in_channels, image_size):
            assert in_channels == 3, "three channels"
            super().__init__(torch.nn.Flatten(), torch.nn.Linear(3 * image_size**2, num_classes))
    """
    install("some-package", {"architectures": {"mine": "Mine"}}, source)
    code, out, _ = call("show", "mine")
    assert code == 0
    assert "at            32x32 images of 3 channels, 10 classes" in out


def test_a_card_that_cannot_be_made_is_named_in_one_sentence(install: Install, call: Call) -> None:
    source = "def mine(num_classes, in_channels, image_size): raise KeyError('x')"
    install("some-package", {"architectures": {"mine": "mine"}}, source)
    code, out, error = call("show", "mine")
    assert (code, out) == (2, "")
    assert is_one_sentence(
        error, "The architecture 'mine' of the package some-package", "KeyError: 'x' (in some_package.py"
    )


def test_a_name_that_is_taken_stays_with_regarena_and_the_other_package_is_named(install: Install, call: Call) -> None:
    install("some-package", {"regularizers": {"dropout": "Mine"}, "suites": {"zoo": "SOME"}}, ADDS + SUITE)
    assert REGULARIZERS["dropout"].__module__ == "tasks.regularizers.dropout"
    code, out, error = call("list", "regularizers")
    assert code == 0
    assert out.count("\ndropout ") + out.startswith("dropout ") == 1
    assert is_one_sentence(
        error, "The regularizer 'dropout' of the package some-package", "is not used", "rename it there"
    )
    assert "of the package some-package" in call("show", "dropout")[1]
    assert "of the package some-package" in " ".join(call("plan", "quickstart")[1].split())


def test_a_name_that_two_packages_register_is_neithers(install: Install, call: Call) -> None:
    for package in ("package-b", "package-a"):
        install(package, {"regularizers": {"mine": "Mine"}}, ADDS)
    code, _, error = call("show", "mine")
    assert code == 2
    assert is_one_sentence(error, "several packages register that name (package-a, package-b)")
    assert call("list", "regularizers")[0] == 0


SPACES_AT_FAULT = {
    "a key that is no field": ("{'alpha': Real(low=0.1, high=1.0, source='s')}", "'alpha' is no field of Mine"),
    "a tuple in place of a space": ("('a', 0.1, 1.0)", "must map fields of Mine to Real, Integer or Choice"),
    "a tuple in place of a range": ("{'a': (0.1, 1.0)}", "its key 'a' must be given a range"),
    "whole numbers for a real field": ("{'a': Integer(low=1, high=2, source='s')}", "has a range of type Integer"),
    "an option of another type": ("{'a': Choice(options=('x', 0.1), source='s')}", "has the option 'x'"),
    "no options": ("{'a': Choice(options=(), source='s')}", "needs a tuple of options that is not empty"),
    "no source": ("{'a': Real(low=0.1, high=1.0, source=' ')}", "has a range without a source"),
    "an empty range": ("{'a': Real(low=1.0, high=1.0, source='s')}", "A range needs low < high"),
}  # fmt: skip


@pytest.mark.parametrize("what", slow_but(SPACES_AT_FAULT, ["a key that is no field", "no options"]))
def test_a_space_that_does_not_fit_is_refused_at_the_first_look(what: str, install: Install, call: Call) -> None:
    space, fault = SPACES_AT_FAULT[what]
    groups = {"regularizers": {"mine": "Mine"}, "search_spaces": {"mine": "some_space:SPACE"}}
    site = install("some-package", groups, ADDS)
    (site / "some_space.py").write_text(f"from search_spaces.space import Choice, Integer, Real\nSPACE = {space}\n")
    for arguments in (["show", "mine"], ["plan", "quickstart", "--only", "none,mine"]):
        code, out, error = call(*arguments)
        assert (code, out) == (2, "")
        assert is_one_sentence(error, "The search space 'mine' of the package some-package", fault)
    assert call("plan", "quickstart", "--only", "none,dropout")[0] == 0


def test_a_space_for_nobody_beside_a_contestant_without_one_is_refused(install: Install, call: Call) -> None:
    groups = {"regularizers": {"mine_too": "Mine"}, "search_spaces": {"minetoo": "SPACE"}}
    install("some-package", groups, f"{ADDS}\nSPACE = {{'a': Real(low=0.1, high=1.0, source='s')}}")
    code, _, error = call("plan", "quickstart", "--only", "none,mine_too")
    assert code == 2
    assert is_one_sentence(
        error, "The search space 'minetoo'", "There is no regularizer 'minetoo'; did you mean 'mine_too'"
    )


def test_a_contestant_without_a_space_has_nothing_of_its_own_to_tune(install: Install) -> None:
    install("some-package", {"regularizers": {"mine": "Mine"}}, ADDS)
    assert space_of("mine") == {}


def test_a_field_that_would_make_the_column_of_all_others_text_is_refused(install: Install, call: Call) -> None:
    source = ADDS.replace("a: float = 0.1", "drop_rate: str = '0.1'").replace("self.a", "float(self.drop_rate)")
    install("some-package", {"regularizers": {"texted": "Mine"}}, source)
    code, _, error = call("plan", "quickstart", "--only", "dropout,texted")
    assert code == 2
    assert is_one_sentence(
        error, "The regularizer 'texted'", "its field 'drop_rate' holds text", "holds numbers", "hp.drop_rate"
    )


def test_of_two_packages_whose_fields_clash_only_the_later_contestant_is_left_out(install: Install, call: Call) -> None:
    suite = SUITE.replace('"mine", "dropout"', '"numbered", "named", "dropout"')
    install("package-a", {"regularizers": {"numbered": "Mine"}, "suites": {"some": "SOME"}}, ADDS + suite)
    install(
        "package-b",
        {"regularizers": {"named": "Mine"}},
        ADDS.replace("float = 0.1", "str = '0.1'").replace("self.a", "0.1"),
    )
    code, out, _ = call("plan", "some", "--json")
    assert code == 0
    assert [row["regularizer"] for row in json.loads(out)] == ["none", "numbered", "dropout"]
    assert "its field 'a' holds text, and that of numbered holds numbers" in " ".join(call("plan", "some")[1].split())


def test_a_contestant_that_changes_nothing_is_told_from_one_that_does(install: Install, call: Call) -> None:
    idle = "@dataclass(frozen=True, kw_only=True)\nclass Idle(Regularizer):\n    'Does nothing.'\n    b: float = 0.1\n"
    install("some-package", {"regularizers": {"acting": "Mine", "idle": "Idle"}}, ADDS + idle)
    sentence = "Changes nothing here. Idle overrides no hook that can change training."
    code, out, _ = call("plan", "quickstart", "--only", "none,acting,idle,digits-200-mlp", "--json")
    assert code == 0
    said = {row["regularizer"]: sentence in row["why"] for row in json.loads(out)}
    assert said == {"none": False, "acting": False, "idle": True}
    assert "changes   nothing: Idle overrides no hook" in call("show", "idle")[1]
    assert "changes   nothing" not in call("show", "acting")[1]


@pytest.mark.parametrize(
    ("name", "task", "reason"),
    [
        ("localdrop_no_dropout", "mnist-lenet", None),
        ("localdrop_no_dropblock", "mnist-lenet", None),
        ("localdrop", "mnist-lenet", None),
        ("rademacher_probe", "mnist-lenet", "RademacherProbe only measures"),
        ("localdrop_no_dropout+rademacher_probe", "mnist-lenet", None),
        ("dropout+rademacher_probe", "mnist-lenet", None),
        ("none", "mnist-lenet", None),
    ],
)
def test_what_is_idle_on_a_short_training_says_why(name: str, task: str, reason: str | None) -> None:
    found = Contestant(name).idle_reason(TASKS[task], "short")
    assert (found is None) if reason is None else (reason in (found or ""))


@pytest.mark.parametrize(
    ("table", "group", "fault"),
    [
        (SUITES, "suites", "tasks.suites.Suite"),
        (DATASETS, "datasets", "Dataset"),
        (ARCHITECTURES, "architectures", "class or function"),
    ],
    ids=["suites", "datasets", "architectures"],
)
def test_what_is_not_of_its_table_is_refused(
    table: dict[str, object], group: str, fault: str, install: Install
) -> None:
    install("some-package", {group: {"mine": "MINE"}}, "MINE = 42")
    with pytest.raises(BrokenEntryError, match=fault):
        table["mine"]


def test_an_extra_behind_an_entry_point_does_not_count(install: Install) -> None:
    install("some-package", {"regularizers": {"mine": "some_package:Mine [extra]"}}, ADDS)
    assert REGULARIZERS.summary("mine") == "Adds a penalty."
    assert REGULARIZERS["mine"].__name__ == "Mine"


@pytest.mark.parametrize("target", [":Mine", "some_package:", "no_such_module:Mine", "some_package:Mine.a"])
def test_an_entry_point_that_leads_nowhere_is_named(target: str, install: Install) -> None:
    install("some-package", {"regularizers": {"mine": target}}, ADDS)
    assert isinstance(REGULARIZERS.summary("mine"), str)
    with pytest.raises(BrokenEntryError, match="The regularizer 'mine' of the package some-package"):
        REGULARIZERS["mine"]
