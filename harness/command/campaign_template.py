"""The commented example of a campaign's file that `regarena init` writes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from harness.errors import BadInput

SUFFIX = ".toml"

TEMPLATE = """\
# A campaign: every contestant on every task, tuned alike, confirmed on fresh seeds.
#   regarena plan {file}      what would run, and how long it may take
#   regarena run {file}       run it; the same command again resumes

name = "{name}"
tasks = ["digits-mlp"]                      # `regarena list tasks`
contestants = [                             # `regarena list regularizers`; + combines several
    "none",                                 # the baseline with which all others are compared
    "dropout",
    "dropout+weight_decay",
]
timing-tasks = []                           # tasks on which training steps are timed

# Contestants that compete only on some tasks, or at given values of their hyperparameters:
# [[groups]]
# tasks = ["digits-convnet"]
# contestants = ["dropblock"]
# grid = {{ drop_rate = [0.1, 0.2] }}

[options]                                   # those of `regarena run`; the command line overrides them
scale = "short"                             # paper, short (about a tenth of the protocol) or smoke (seconds)
tune-trials = 18                            # of each contestant on each task
# tune-epochs = 500                         # in place of it: epochs of all of these together
tune-width = 9                              # how many of these run at once, on any machine
halving = false                             # true: tune trials with worse values stop early
seeds = 5                                   # trials of the defaults, and again of the tuned winner
select = "best_validation"                  # the rule that picks the winner
# data = "data"                             # folder of data sets, for tasks that read files
# results = "results/{name}"

# Tasks with a network and images of your own: `regarena init FILE.toml --architecture timm:resnet18 --images DIR`
"""

OWN_TEMPLATE = """\
# A campaign on networks and images of your own.
#   regarena plan {file}      what would run, and how long it may take
#   regarena run {file}       run it; the same command again resumes

name = "{name}"
contestants = ["none", "dropout", "drop_path", "label_smoothing"]      # `regarena list regularizers`
{tasks}
[protocols.main]
epochs = 20
batch-size = 32
optimizer = "sgd"                           # or adam, adamw
learning-rate = 0.02                        # the default; tuned for each contestant
momentum = 0.9                              # of sgd
weight-decay = 0.0
schedule = "cosine"                         # or cyclic; or steps, with milestones = [0.5, 0.75] and decay = 0.1
augmentation = ["resized_crop", "flip"]     # of images from a folder; [] is none

[options]                                   # those of `regarena run`; the command line overrides them
scale = "paper"                             # the protocol in full; short: a tenth of the epochs; smoke: seconds
tune-trials = 8                             # of each contestant on each task
seeds = 3                                   # trials of the defaults, and again of the tuned winner
"""

OWN_TASK = """
[own-tasks.{name}]
architecture = {architecture}
# A folder of images with one folder for each class, or train and val of these; or a name from `regarena list datasets`.
data = {data}
image-size = 64                             # images are scaled and cropped to 64 x 64 pixels
# sites = ["dense", "branch"]               # where regularizers act; default all: conv, dense, mlp, attention, head,
#                                             branch, or modules by name, such as "layer3.*"
# options = {{ drop_rate = 0.0 }}             # further arguments of the architecture
protocol = "main"
"""


def write_template(path: Path, architectures: Sequence[str] = (), images: str | None = None) -> None:
    """Write a commented example of a campaign's file.

    Args:
        path: of the file.
        architectures: networks of own tasks; without some, and without `images`, the tasks are regarena's.
        images: folder of the images of these tasks.

    Raises:
        BadInput: if the file exists, its name does not end in .toml, or it cannot be written.
    """
    if path.suffix != SUFFIX:
        raise BadInput(f"The name of a campaign's file must end in {SUFFIX}, got {path}.")
    text = TEMPLATE
    fields = {"file": shlex.quote(str(path)), "name": _campaign_name(path.stem)}
    if architectures or images:
        names = _names(architectures or ("torchvision:resnet18",))
        data = json.dumps(images or "images")
        tasks = [
            OWN_TASK.format(name=name, architecture=json.dumps(network), data=data) for name, network in names.items()
        ]
        text, fields = OWN_TEMPLATE, {**fields, "tasks": "".join(tasks)}
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text.format(**fields))
    except FileExistsError:
        raise BadInput(f"{path} exists already; choose another name.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}).") from error


def _campaign_name(stem: str) -> str:
    """A name that a campaign may have: the file's, with other signs than letters, digits, '-', '_' and '.' as '-'."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-")
    return name if name[:1].isalpha() else f"campaign-{name}".rstrip("-")


def _names(architectures: Sequence[str]) -> dict[str, str]:
    """A name for the task of each network, "my-..." so that it is none of regarena's tasks.

    >>> _names(["timm:resnet18", "torchvision:resnet18"])
    {'my-resnet18': 'timm:resnet18', 'my-resnet18-2': 'torchvision:resnet18'}
    """
    names: dict[str, str] = {}
    for network in dict.fromkeys(architectures):
        name = "my-" + re.sub(r"[^A-Za-z0-9_.-]", "-", network.rpartition(":")[2])
        count = sum(known == name or known.startswith(f"{name}-") for known in names) + 1
        names[name if count == 1 else f"{name}-{count}"] = network
    return names
