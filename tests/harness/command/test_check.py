"""`regarena check` says in sentences which laws other people's code breaks, and nothing of what keeps them."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from slow_params import slow_but
from torch import Tensor

from harness.checks import architectures, contestants, datasets, suites, tasks
from harness.checks.architectures import CheckedArchitecture
from harness.checks.datasets import CheckedDataset
from harness.checks.law import findings, in_words
from harness.checks.suites import CheckedSuite
from harness.checks.tasks import CheckedTask
from harness.cli import main
from harness.command.check import check
from harness.command.options import RunOptions, request_of
from harness.errors import BadInput
from tasks.architectures import ARCHITECTURES
from tasks.datasets import DATASETS
from tasks.datasets.batches import Split
from tasks.datasets.dataset import Splits
from tasks.experiments import SUITES, TASKS
from tasks.suites import Group, Suite

Install = Callable[..., Path]
Call = Callable[..., tuple[int, str, str]]

WELL = """
from tasks.regularizers.parts.checks import check_at_least

@dataclass(frozen=True, kw_only=True)
class Mine(Regularizer):
    "Adds a penalty."

    a: float = 0.1  # >= 0
    off: ClassVar = {"a": 0.0}
    formula: ClassVar = "a ||w||^2"
    source: ClassVar = "a test"

    def __post_init__(self):
        check_at_least(self, "a", 0)

    def penalty(self, step):
        if self.a == 0:
            return None
        return self.a * sum(p.square().sum() for p in step.network.parameters())
"""


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Exit code, output and errors of `regarena check`, called in this process."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["regarena", "check", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return called


BROKEN = {  # law: (what is changed in a contestant that keeps all of them, what is found)
    "refuses bad numbers by class and field": (
        ('check_at_least(self, "a", 0)', "pass"),
        "Mine.a takes nan; refuse it with a ValueError in __post_init__.",
    ),
    "takes no fraction for a whole number and no text for a number": (
        ('check_at_least(self, "a", 0)', "pass"),
        "Mine.a takes '0.5'; refuse it",
    ),
    "enforces the range behind each field": (("# >= 0", "# > 0"), "Mine.a takes 0.0, which is not within '> 0'."),
    "says what it computes and where that comes from": (('"a test"', '""'), "Mine.source is empty"),
    "begins its docstring with one sentence": (('"Adds a penalty."', '"Adds"'), "must begin with one line"),
    "trains like the baseline when switched off": (
        ("if self.a == 0:", "if False:"),
        None,  # a penalty of weight 0 is no change
    ),
    "changes training unless it says otherwise": (
        ("return self.a *", "return 0 *"),
        "Mine changes nothing: training with it on digits-convnet ends in the weights of `none` bit for bit",
    ),
    "gives the same weights twice": (
        ("return self.a *", "return float(torch.rand(())) *"),
        "Mine trains to other weights when the same trial runs again",
    ),
    "neither reads nor moves the global generators": (
        ("return self.a *", "return float(torch.rand(())) *"),
        "Mine draws from a global generator",
    ),
    "ends in finite values with its defaults": (
        ("return self.a *", "return step.index / 1e30 *"),
        None,
    ),
    "says in one sentence where it makes no sense": (
        ("    def penalty", "    def skip_reason(self, network): return 'no'\n\n    def penalty"),
        "Mine fits none of the tasks",
    ),
    "leaves inputs that are indices as they are": (
        ("    def penalty", "    def transform_batch(self, batch, step):\n"
         "        return Batch((batch.inputs + 10 * self.a).to(batch.inputs), batch.targets)\n\n    def penalty"),
        "Mine changes the inputs of synthetic-ratings-factors, which are indices",
    ),
}  # fmt: skip


@pytest.mark.parametrize("law", BROKEN)
def test_a_law_that_a_contestant_breaks_is_told(law: str, install: Install) -> None:
    (old, new), expected = BROKEN[law]
    assert old in WELL
    install("some-package", {"regularizers": {"mine": "Mine"}}, WELL.replace(old, new))
    (measured,) = [each for each in contestants.LAWS if in_words(each) == law]
    found = list(findings(contestants.Entrant.of("mine"), [measured]))
    assert (expected is None and found == []) or any(expected in finding for finding in found if expected)


def test_what_a_law_raises_is_a_finding(install: Install) -> None:
    source = WELL.replace("if self.a == 0:", "raise KeyError('x')\n        if self.a == 0:")
    install("some-package", {"regularizers": {"mine": "Mine"}}, source)
    (law,) = [each for each in contestants.LAWS if each.__name__ == "ends_in_finite_values_with_its_defaults"]
    (finding,) = findings(contestants.Entrant.of("mine"), [law])
    assert finding.startswith("The check whether it ends in finite values with its defaults raises KeyError: 'x' (in")
    assert finding.endswith(", on digits-convnet.")


def test_a_package_is_checked_whole_and_a_file_like_it(install: Install, call: Call, tmp_path: Path) -> None:
    groups = {"regularizers": {"mine": "Mine", "dropout": "Mine"}, "search_spaces": {"nobodys": "SPACE"}}
    install("some-package", groups, f"{WELL}\nSPACE = {{'a': Real(low=0.1, high=1.0, source='s')}}")
    code, out, error = call("Some.Package")
    assert (code, error) == (1, "regarena: 3 finding(s).\n")
    assert "regularizer dropout (some-package): 1 finding(s)." in out
    assert "The search space 'nobodys' of the package some-package" in out
    assert "regularizer mine (some-package): 1 finding(s)." in out  # its space is for somebody else


def test_a_file_is_checked_with_its_space_before_it_is_installed(call: Call, tmp_path: Path) -> None:
    from plugins import HEADER, forget

    (tmp_path / "my_module.py").write_text(
        f"{HEADER}{WELL}\nSPACE = {{'alpha': Real(low=0.1, high=1.0, source='s')}}", encoding="utf-8"
    )
    code, out, _ = call("my_module.py")
    forget()
    assert code == 1
    assert "regularizer mine (in my_module.py): 1 finding(s)." in out
    assert "its key 'alpha' is no field of Mine" in out


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("digits dropuot", "did you mean 'dropout'"),
        ("no/such/file.py", "There is no file no/such/file.py"),
        ("zzzzzz", "There is no entry or package that adds to regarena 'zzzzzz'"),
    ],
)
def test_what_is_neither_name_nor_package_nor_file_is_bad_input(what: str, message: str, call: Call) -> None:
    code, out, error = call(*what.split())
    assert (code, out) == (2, "")
    assert message in error


def test_several_entries_are_checked_by_one_command(call: Call) -> None:
    code, out, error = call("quickstart", "digits")
    assert (code, error) == (0, "")
    assert [line.split(" (")[0] for line in out.splitlines()] == ["suite quickstart", "dataset digits"]


def test_a_broken_entry_is_a_finding(install: Install) -> None:
    install("some-package", {"regularizers": {"mine": "Mine"}}, "class Mine: pass")
    (report,) = check("mine")
    assert "must be a subclass" in report.findings[0]


def test_an_entry_of_each_other_table_of_ours_keeps_its_laws() -> None:
    subjects = [
        (CheckedTask("digits-mlp", TASKS["digits-mlp"]), tasks.LAWS),
        (CheckedSuite("quickstart", SUITES["quickstart"]), suites.LAWS),
        (CheckedArchitecture("convnet_small", ARCHITECTURES["convnet_small"]), architectures.LAWS),
        (CheckedArchitecture("mlp", ARCHITECTURES["mlp"]), architectures.LAWS),
        (CheckedDataset("digits", DATASETS["digits"]), datasets.LAWS),
    ]
    for subject, laws in subjects:
        assert list(findings(subject, laws)) == [], subject.name  # type: ignore[attr-defined]  # of its table


BROKEN_TASKS = {
    "epochs": ("def epochs(self, scale): return 0", "epochs('paper') must be a whole number of at least 1, got 0."),
    "network": ("def example_network(self): return 42", "example_network() must be a torch module, got 42."),
    "defaults": (
        "def __init__(self, **values): super().__init__(**{**values, 'defaults': {'no_such_field': 1}})",
        "defaults names 'no_such_field', but no contestant",
    ),
    "data": ("def prepare(self, regularizers, setting): raise OSError('gone')", "ends as failed (OSError: gone)."),
    "draws": (
        "def network(self, seed): return super().network(__import__('random').randrange(10**6))",
        "The same trial run again has ",  # whichever value shows it first
    ),
}


@pytest.mark.parametrize("what", slow_but(BROKEN_TASKS, ["network", "draws"]))
def test_a_law_that_a_task_breaks_is_told(what: str, install: Install) -> None:
    change, expected = BROKEN_TASKS[what]
    source = f"""
class Mine(type(DIGITS_MLP)):
    __hash__ = object.__hash__
    {change}
MINE = Mine(**vars(DIGITS_MLP))
"""
    install("some-package", {"tasks": {"mine": "MINE"}}, source)
    found = list(findings(CheckedTask("mine", TASKS["mine"]), tasks.LAWS))
    assert any(expected in finding for finding in found), found


class Forgetful(torch.nn.Sequential):
    """Breaks laws of architectures: dropout within, a parameter of no use, too many scores, no site."""

    def __init__(self, num_classes: int, in_channels: int, image_size: int) -> None:
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(in_channels * image_size**2, 11), torch.nn.Dropout())
        self.idle = torch.nn.Parameter(torch.zeros(1))


def test_laws_that_an_architecture_breaks_are_told() -> None:
    found = list(findings(CheckedArchitecture("mine", Forgetful), architectures.LAWS))
    for expected in (
        "the output must be (4, 10), a score per class, got (4, 11).",
        "has no site",
        "draws random numbers in a forward pass",
        "does not depend on the parameters idle.",
    ):
        assert any(expected in finding for finding in found), expected


def test_laws_that_a_suite_breaks_are_told(install: Install) -> None:
    source = """
    MINE = Suite(groups=(Group(tasks=("digits-mpl",), regularizers=("none", "dropuot")),), scale="huge", tune_trials=0,
                 timing_tasks=("mnist-lenet",))
    """
    install("some-package", {"suites": {"mine": "MINE"}}, source)
    found = list(findings(CheckedSuite("mine", SUITES["mine"]), suites.LAWS))
    for expected in (
        "did you mean 'digits-mlp'",
        "did you mean 'dropout'",
        "timing_tasks names",
        "scale must be one of",
    ):
        assert any(expected in finding for finding in found), expected


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        pytest.param("time.sleep(1000)", "did not end within 3 seconds (--seconds).", marks=pytest.mark.slow),
        ("os._exit(0)", "ended its process: exit code 0."),
        ("os.kill(os.getpid(), 9)", "ended its process: killed by SIGKILL."),
        ("os.kill(os.getpid(), 40)", "ended its process: killed by signal 40."),
    ],
)
def test_code_that_hangs_or_ends_its_process_is_a_finding_and_the_other_entries_are_checked(
    statement: str, finding: str, install: Install
) -> None:
    source = f"""
import os, time
{WELL.replace("def penalty(self, step):", "def penalty(self, step):" + chr(10) + f"        {statement}")}
{WELL.replace("Mine", "Other")}
"""
    install("some-package", {"regularizers": {"mine": "Mine", "other": "Other"}}, source)
    mine, other = check("some-package", seconds=3 if "sleep" in statement else 900)
    assert [each.endswith(finding) for each in mine.findings] == [True], mine.findings
    if "sleep" not in statement:  # laws that train may fail here: autograd refuses a fork of a process that has used it
        assert [each for each in other.findings if "ended its process" in each or "did not end within" in each] == []


def data_set(*readings: Sequence[Tensor], share: float = 0.2) -> CheckedDataset:
    """A data set whose images are these (train, validation, test), one time after the other, over and over."""
    times = itertools.cycle(readings)

    def splits(data_dir: Path | None, protocol: object = None) -> Splits:
        train, validation, test = (Split(inputs=each, targets=torch.ones(len(each), 1)) for each in next(times))
        return Splits(train=train, validation=validation, test=test, fingerprint="f")

    made = SimpleNamespace(
        files=(), holds_images=True, shape=(1, 2, 2), num_classes=1, validation_fraction=share, splits=splits,
        check=lambda data_dir: None,
    )  # fmt: skip
    return CheckedDataset("made", made)  # what the laws use of a data set


LAWS_OF_SAMPLES = datasets.LAWS[1:]


def test_an_empty_split_is_one_finding() -> None:
    images = torch.arange(2400.0).reshape(600, 1, 2, 2)
    assert list(findings(data_set([images, images[:0], images]), LAWS_OF_SAMPLES)) == [
        "The validation split is empty.",
    ]


@pytest.mark.parametrize("place", [0, 249, 250, 599])
def test_samples_that_change_places_are_found_wherever_they_are(place: int) -> None:
    images = torch.arange(2400.0).reshape(600, 1, 2, 2)
    order = torch.arange(600)
    order[[place, 300]] = order[[300, place]]
    read_again = data_set([images, images, images], [images, images, images[order]], share=0)
    assert list(findings(read_again, LAWS_OF_SAMPLES)) == [
        "Read again, its test split holds other samples, or in another order."
    ]
    assert list(findings(data_set([images, images, images], share=0), LAWS_OF_SAMPLES)) == []


@pytest.mark.parametrize(
    ("budget", "finding"),
    [
        ({"tune_width": 0}, "--tune-width must be at least 1, got 0."),
        ({"tune_width": 0, "halving": True}, ""),  # halving takes whole brackets
        ({"tune_trials": -1}, "--tune-trials must be at least 0, got -1."),
        ({"default_seeds": -1}, "The suite's default_seeds must be at least 0, got -1."),
        ({}, ""),
    ],
    ids=str,
)
def test_a_suite_with_a_budget_that_run_refuses_is_told(budget: dict[str, int], finding: str) -> None:
    group = Group(tasks=("digits-mlp",), regularizers=("none", "dropout"))
    suite = Suite(groups=(group,), scale="smoke", **{"tune_trials": 2, **budget})
    assert list(findings(CheckedSuite("mine", suite), suites.LAWS)) == ([finding] if finding else [])
    with pytest.raises(BadInput) if finding else nullcontext():
        request_of("mine", suite, RunOptions())
