"""Own networks on own images in one file: checked with sentences, part of each trial's identity, run as all others."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from arena import COMMAND, PATIENCE_SECONDS, rows
from image_folders import write_images
from typer.testing import CliRunner

from harness import code_identity
from harness.campaign import plan_campaign
from harness.cells import cell_code_hash, shared_code_hash
from harness.cli import app
from harness.command.campaign_toml import asked_for, asked_to_tune
from harness.command.options import RunOptions
from harness.errors import BadInput
from harness.results.store import Store

NETWORK = """
from torch import nn
from my_layers import WIDTH

class Net(nn.Module):
    def __init__(self, num_classes, in_channels, width=WIDTH):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, padding=1)
        self.branch = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x):
        x = self.stem(x).relu()
        return self.head((x + self.branch(x)).mean((2, 3)))

class Auxiliary(Net):
    def __init__(self, num_classes, in_channels, image_size):
        super().__init__(num_classes, in_channels)

    def forward(self, x):
        return (super().forward(x), x) if self.training else super().forward(x)

def make(*, num_classes, in_channels, image_size, width=WIDTH):
    return Net(num_classes, in_channels, width)
"""
FILE = """
name = "mine"
contestants = ["none", "drop_path"]

[own-tasks.net]
architecture = "my_network:make"
data = "images"
image-size = 8
protocol = "quick"

[protocols.quick]
epochs = 2
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a network and images of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in ("my_network", "my_layers"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    (tmp_path / "my_network.py").write_text(NETWORK)
    (tmp_path / "my_layers.py").write_text("WIDTH = 4\n")
    write_images(tmp_path / "whole", ("a", "b", "c"), num_train=12, num_val=0)
    (tmp_path / "whole" / "train").rename(tmp_path / "images")
    return tmp_path


def plan_of(text: str, name: str = "mine.toml"):
    """The plan of a file with this text."""
    Path(name).write_text(text, encoding="utf-8")
    request = asked_for(name, RunOptions(seeds=1, tune_trials=0)).request()
    return plan_campaign(request, Store(request.results))


def trial_ids(text: str, name: str = "mine.toml") -> set[str]:
    for cached in (code_identity._hash_of, code_identity._followed_from, code_identity._module, code_identity._node,
                   code_identity._source, cell_code_hash, shared_code_hash):  # fmt: skip
        cached.cache_clear()
    plan = plan_of(text, name)
    return {spec.trial_id for cell in plan.running_cells for spec in plan.default_specs(cell)}


def test_a_file_with_tasks_of_its_own_plans_them_in_full(folder: Path) -> None:
    plan = plan_of(FILE)
    assert [(cell.task_name, cell.regularizer, cell.skip_reason) for cell in plan.cells] == [
        ("net", "none", None),
        ("net", "drop_path", None),
    ]
    assert plan.budget.scale == "paper"
    assert plan.cells[0].task.epochs("paper") == 2
    told = json.loads(plan.cells[0].definition)
    assert (told["data"]["num_classes"], told["data"]["num_train"], told["sites"]) == (3, 36, [])
    assert str(folder) not in plan.cells[0].definition, "where the images are does not define a trial"


def test_what_a_contestant_cannot_do_is_skipped_with_a_reason(folder: Path) -> None:
    text = FILE.replace('"drop_path"', '"dropout", "drop_path"').replace("image-size", 'sites = ["conv"]\nimage-size')
    reasons = {cell.regularizer: cell.skip_reason for cell in plan_of(text).cells}
    assert reasons["none"] is None
    assert reasons["drop_path"] == "DropPath needs a branch site; the network has none."
    assert "chooses none of the network's" in reasons["dropout"]


def test_own_tasks_stand_beside_those_of_the_table(folder: Path) -> None:
    plan = plan_of(FILE.replace('name = "mine"', 'tasks = ["net", "digits-mlp"]'))
    assert {cell.task_name for cell in plan.cells} == {"net", "digits-mlp"}


@pytest.mark.slow
def test_whatever_a_task_is_made_of_is_part_of_its_trials_identity(folder: Path) -> None:
    known = trial_ids(FILE)
    assert len(known) == 2
    assert trial_ids(FILE) == known
    assert trial_ids(FILE.replace("epochs = 2", "epochs = 2  # why"), "other.toml") == known, (
        "comments and names do not count"
    )
    changes = [
        FILE.replace("epochs = 2", "epochs = 3"),
        FILE.replace("epochs = 2", "epochs = 2\nbatch-size = 16"),
        FILE.replace("image-size = 8", "image-size = 9"),
        FILE.replace("image-size = 8", 'image-size = 8\nsites = ["branch"]'),
        FILE.replace("image-size = 8", "image-size = 8\noptions = { width = 5 }"),
    ]
    others = [trial_ids(text) for text in changes]
    assert len(set.union(known, *others)) == 2 + 2 * len(changes)
    (folder / "images").rename(folder / "moved")
    assert trial_ids(FILE.replace('"images"', '"moved"')) != known, "the name of the data is a column"
    (folder / "elsewhere").mkdir()
    (folder / "moved").rename(folder / "elsewhere" / "images")
    assert trial_ids(FILE.replace('"images"', '"elsewhere/images"')) == known


def test_the_users_code_is_part_of_the_identity_and_so_are_the_modules_that_it_imports(folder: Path) -> None:
    known = trial_ids(FILE)
    (folder / "my_layers.py").write_text("WIDTH = 4\nUNUSED = 1\n")
    assert trial_ids(FILE) == known
    (folder / "my_layers.py").write_text("WIDTH = 6\n")
    changed = trial_ids(FILE)
    assert not changed & known
    (folder / "my_network.py").write_text(NETWORK.replace("padding=1", "padding=0"))
    assert not trial_ids(FILE) & (changed | known)


@pytest.mark.slow
def test_more_images_make_new_trials(folder: Path) -> None:
    known = trial_ids(FILE)
    shutil.copy(next((folder / "images" / "a").iterdir()), folder / "images" / "a" / "more.png")
    from tasks.datasets.image_files import index_of

    index_of.cache_clear()
    assert not trial_ids(FILE) & known


PROTOCOL = "[protocols.quick]\nepochs = 2\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("image-size", "image-sise", "There is no key of own-tasks.net 'image-sise'; did you mean 'image-size'"),
        ("image-size = 8", "image-size = 2", "own-tasks.net.image-size must be at least 8, got 2"),
        ("image-size = 8", 'image-size = "8"', "own-tasks.net.image-size must be a whole number, got '8'"),
        ('architecture = "my_network:make"', "", "own-tasks.net must have the key 'architecture'"),
        ("my_network:make", "my_network:maik", "the module 'my_network' has no 'maik'"),
        ("my_network:make", "my_netwrk:make", "there is no module 'my_netwrk' in the folder of the campaign's file"),
        ("my_network:make", "my_network:WIDTH", "it must be a function or class that makes a network, got 4"),
        ("my_network:make", "resnet65", "There is no architecture 'resnet65'; did you mean 'resnet56'"),
        ("my_network:make", "torchvision:resnet81", "There is no classifier of torchvision 'resnet81'; did you mean"),
        ("my_network:make", "torchvision:fcn_resnet50", "There is no classifier of torchvision 'fcn_resnet50'"),
        ("my_network:make", "my_network:Auxiliary", "in training it must return one tensor of scores"),
        ("my_network:make", "convnet_small", "convnet_small declares its sites itself; leave `sites` out"),
        ("image-size = 8", "options = { widht = 3 }", "unexpected keyword argument 'widht'"),
        ("image-size = 8", "options = { weights = 'x' }", "the option 'weights' is set by regarena; leave it out"),
        ("image-size = 8", "options = { width = {} }", "must be a number, text, true or false, or a list of these"),
        ("image-size = 8", "test-fraction = 1.0", "test-fraction must be below 1, got 1.0"),
        ("image-size = 8", "mean = [0.5]", "mean must be three numbers, for red, green and blue"),
        ("image-size = 8", "std = [0.0, 1.0, 1.0]", "std: each value must be above 0, got 0.0"),
        ('sites = ["branch"]', 'sites = ["brunch"]', "'brunch' chooses no site; the network has the places conv, head"),
        ('data = "images"', 'data = "imges"', "there is no folder .*imges. There is no data set 'imges'"),
        ('data = "images"', 'data = "."', "holds no images .* in a folder for each class"),
        ('data = "images"\nimage-size = 8', 'data = "cifar10"\nimage-size = 8', "the data set cifar10 sets it itself"),
        ('data = "images"\nimage-size = 8', 'data = "movielens_100k"', "movielens_100k holds none"),
        ('protocol = "quick"', 'protocol = "quik"', "There is no protocol 'quik'; did you mean 'quick'"),
        ('protocol = "quick"', "protocol = 3", "protocol must be a table or the name of one of"),
        (PROTOCOL, "[protocols.quick]\nepoch = 2\n", "no key of protocols.quick 'epoch'; did you mean 'epochs'"),
        (PROTOCOL, "[protocols.quick]\n", "protocols.quick must have the key 'epochs'"),
        (PROTOCOL, PROTOCOL + 'optimizer = "sgdm"', "optimizer must be one of sgd, adam, adamw, got 'sgdm'"),
        (PROTOCOL, PROTOCOL + 'optimizer = "adamw"\nmomentum = 0.9', "momentum goes with optimizer 'sgd' only"),
        (PROTOCOL, PROTOCOL + "decay = 0.1", "decay goes with schedule 'steps' only, got schedule 'cosine'"),
        (PROTOCOL, PROTOCOL + 'schedule = "steps"', "the schedule 'steps' needs milestones"),
        (PROTOCOL, PROTOCOL + 'schedule = "steps"\nmilestones = [30]', "each value must be below 1, got 30"),
        (PROTOCOL, PROTOCOL + 'schedule = "steps"\nmilestones = [0.7, 0.5]', "milestones must increase"),
        (PROTOCOL, PROTOCOL + "learning-rate = 0", "learning-rate must be above 0, got 0"),
        (PROTOCOL, PROTOCOL + "learning-rate = inf", "learning-rate must be a finite number, got inf"),
        (PROTOCOL, PROTOCOL + 'augmentation = ["crop"]', "offer the augmentations resized_crop, flip, got 'crop'"),
        ("own-tasks.net", "own-tasks.digits-mlp", "there is a task or suite named 'digits-mlp' already"),
        ("own-tasks.net", "own-tasks.overall", "rankings name their rows over all tasks 'overall'"),
        ("own-tasks.net", "own-task.net", "There is no key of a campaign 'own-task'; did you mean 'own-tasks'"),
        ('name = "mine"', 'tasks = ["nut"]', "There is no task 'nut'; did you mean 'net'"),
        ('name = "mine"', 'protocols = 3\nname = "mine"', "protocols must be a table, got 3"),
    ],
)  # fmt: skip
def test_whatever_a_task_may_not_be_is_refused_with_a_sentence(folder: Path, old: str, new: str, message: str) -> None:
    text = FILE.replace("image-size", 'sites = ["branch"]\nimage-size') if "sites" in old + message else FILE
    if old.startswith('name = "mine"') and "protocols" in new:
        text = text.replace(PROTOCOL, "").replace('"quick"', "{ epochs = 1 }")
    assert old in text
    with pytest.raises(BadInput, match=message) as raised:
        plan_of(text.replace(old, new))
    assert str(raised.value).startswith("mine.toml: ")
    assert "\n" not in str(raised.value)


def test_timm_that_is_not_installed_is_told_with_the_extra_that_installs_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # as Python notes a module that it cannot find
    with pytest.raises(BadInput, match=r"timm is not installed; `pip install regarena\[nets\]` installs it"):
        plan_of(FILE.replace("my_network:make", "timm:resnet18"))


def test_classes_with_too_few_images_are_named(folder: Path) -> None:
    for path in sorted((folder / "images" / "b").iterdir())[2:]:
        path.unlink()
    with pytest.raises(BadInput, match=r"each class needs at least 3 images, .*; b in .* has 2"):
        plan_of(FILE)


def test_a_task_of_a_file_is_tuned_by_its_name_there(folder: Path) -> None:
    Path("mine.toml").write_text(FILE)
    asked = asked_to_tune("mine.toml:net", ("none", "drop_path"), RunOptions())
    assert (asked.name, asked.suite.cells()) == ("tune-net", [("net", "none"), ("net", "drop_path")])
    assert asked.request().execution.data_folder_of("net") == folder / "images"
    assert asked.request().file_text == FILE
    with pytest.raises(BadInput, match="There is no task defined there 'nut'; did you mean 'net'"):
        asked_to_tune("mine.toml:nut", ("none",), RunOptions())
    with pytest.raises(BadInput, match=re.escape("mine.toml:NAME for a task that the file defines")):
        asked_to_tune("mine.toml", ("none",), RunOptions())


def test_the_template_for_own_networks_plans_a_campaign(folder: Path) -> None:
    networks = ["--architecture", "my_network:make", "--architecture", "torchvision:resnet18"]
    ended = CliRunner().invoke(app, ["init", "first.toml", *networks, "--images", "images"])
    assert ended.exit_code == 0, ended.output
    asked = asked_for("first.toml", RunOptions())
    assert list(asked.suite.definitions) == ["my-make", "my-resnet18"]
    content = tomllib.loads(Path("first.toml").read_text())
    assert content["protocols"]["main"].keys() >= {"epochs", "optimizer", "schedule", "batch-size", "learning-rate"}
    request = dataclasses.replace(asked.request(), only=("my-make",))
    assert not [cell.skip_reason for cell in plan_campaign(request, Store(request.results)).cells if cell.skip_reason]


def test_no_code_is_imported_for_a_file_that_names_none(folder: Path) -> None:
    before = list(sys.path)
    plan_of(FILE.replace("my_network:make", "torchvision:resnet18"))
    assert sys.path == before
    assert "my_network" not in sys.modules


@pytest.mark.slow
def test_a_campaign_on_own_network_and_images_runs_on_ray_resumes_and_keeps_its_file(folder: Path) -> None:
    (folder / "mine.toml").write_text(FILE)
    paths = [os.environ.get("PYTHONPATH", ""), str(Path(__file__).parents[3])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "140"}

    def regarena(*arguments: str) -> str:
        ended = subprocess.run(
            [COMMAND, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE_SECONDS,  # with all that a run prints and draws at its end
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout + ended.stderr

    budget = ("--seeds", "1", "--tune-trials", "2")
    regarena("run", "mine.toml", *budget)
    found = rows(folder / "results" / "mine")
    assert len(found) == 2 * (1 + 2 + 1)
    assert {row["status"] for row in found} == {"completed"}
    assert {(row["dataset"], row["architecture"]) for row in found} == {("images", "my_network:make")}
    assert len({row["dataset_fingerprint"] for row in found}) == 1
    campaign = json.loads((folder / "results" / "mine" / "campaign.json").read_text())
    assert campaign["requests"][0]["file"] == FILE
    serial = regarena("run", "mine.toml", *budget, "--serial", "--results", "serial")
    assert "drop_path" in serial
    values = [
        {row["trial_id"]: row["validation_value"] for row in rows(folder / name)} for name in ("results/mine", "serial")
    ]
    assert values[0] == values[1]
    assert "finished already" in regarena("run", "mine.toml", *budget)
    assert len(rows(folder / "results" / "mine")) == len(found)
    for command in ("status", "rank", "verify"):
        regarena(command, "results/mine")
    assert (folder / "results" / "mine" / "report.html").exists()
