"""Contestants that fail in every way, tiny tasks for them, and suites of both: a package as other people write them.

`arena.install_plugin` lays it out as an installed distribution, which the tables find by its entry points.
"""

from __future__ import annotations

import mmap
import os
import re
import resource
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, make_dataclass, replace
from pathlib import Path
from types import FrameType

import torch

from search_spaces.space import Real, Space
from tasks.classification import Classification
from tasks.datasets.image_folders import ImageFolders
from tasks.experiments.demos.tasks import DIGITS_CONVNET, DIGITS_MLP, MNIST_LENET
from tasks.protocols import Augmentation
from tasks.regularizers.base import Context, Hooks, Regularizer, Step
from tasks.runtime.switches import Switches
from tasks.suites import Group, Suite
from tasks.task import Regularizers, Setting
from tasks.training import Training

FOLDER_VARIABLE = "FAULTY_CONTESTANTS_FOLDER"  # trainings note there that they began
NODE_VARIABLE = "FAULTY_CONTESTANTS_NODE"  # which node of a cluster a training ran on
HOLD = "hold"  # while a file of this name is in that folder, `take_time` waits
VICTIM_VARIABLE = "FAULTY_CONTESTANTS_END_THE_COMMAND"  # not only the trial
FORTY_MEBIBYTES = 40 * 2**20
STEPS_PER_EPOCH = 2  # of the tiny tasks
LATE_EPOCH = 4


def note(line: str) -> None:
    """Append a line to the log of executions; whole, though many processes write it."""
    if folder := os.environ.get(FOLDER_VARIABLE):
        log = os.open(Path(folder) / "executions.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, f"{line}\n".encode())
        os.close(log)


def folder_holds_trials() -> bool:
    """True while a test wants `take_time` to wait."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return folder is not None and (Path(folder) / HOLD).exists()


def happens_first_time(name: str) -> bool:
    """True for one caller only, in whatever process."""
    try:
        os.close(os.open(Path(os.environ[FOLDER_VARIABLE]) / name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def parent_of(pid: int) -> int:
    """The parent of a process."""
    return int(re.findall(r"^PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[0])


@dataclass(frozen=True, kw_only=True)
class TinyClassification(Classification):
    """A classification that notes each training that it prepares."""

    __hash__ = Classification.__hash__

    def prepare(self, regularizers: Regularizers, setting: Setting) -> Training:
        fields = " ".join(f"{name} {vars(part)}" for name, part in regularizers)
        node = os.environ.get(NODE_VARIABLE, "")
        note(
            f"{self.architecture} {setting.seed} {setting.learning_rate!r} {setting.with_test} {fields} {node}".strip()
        )
        return super().prepare(regularizers, setting)


def tiny(task: Classification, epochs: int = 2, augmentation: tuple[Augmentation, ...] = ()) -> TinyClassification:
    """The task with epochs of two steps."""
    small = {"epochs": epochs, "batch_size": 64, "max_train_samples": 128, "evaluate_every_epochs": 1}
    protocol = replace(task.protocol, scales={"smoke": small, "short": small}, augmentation=augmentation)
    return TinyClassification(**{**vars(task), "protocol": protocol})


TINY_MLP = tiny(DIGITS_MLP)
"""Two epochs of two steps on digits, with the dense net."""

LONG_MLP = tiny(DIGITS_MLP, epochs=7, augmentation=("crop", "flip"))
"""Seven epochs of two steps on digits."""

TINY_NET = tiny(DIGITS_CONVNET)
"""Two epochs of two steps on digits, with the convolutional net."""


class TinyPacks(TinyClassification):
    """The same, for trials that train three seeds at once."""

    __hash__ = Classification.__hash__

    def seeds_together(self, regularizers: Regularizers, switches: Switches) -> int:
        return 3


TINY_PACKS = TinyPacks(**vars(TINY_MLP))
"""Two epochs of two steps on digits, with the dense net, three seeds in one process."""

TINY_MNIST = tiny(MNIST_LENET)
"""Two epochs of two steps on MNIST."""

FOUR_FOLDERS = ImageFolders(
    name="four-folders",
    num_classes=4,
    shape=(3, 8, 8),
    validation_fraction=0.25,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    files=("four-folders/train/CLASS/*.png", "four-folders/val/CLASS/*.png"),
    folders=("four-folders",),
    num_train=1000,
    num_test=1000,
)
"""Image files that are streamed."""

TINY_FOLDERS = tiny(replace(DIGITS_CONVNET, dataset="four-folders"))
"""Two epochs of two steps on streamed images."""


class _Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class _Unstoppable(BaseException):
    pass


@dataclass(frozen=True, kw_only=True)
class Faulty(Regularizer):
    """Does what its field `how` says, in the first step of training."""

    how: str = "idle"
    strength: float = 0.5

    def after_step(self, step: Step) -> None:
        FAULTS[self.how](step)


@dataclass(frozen=True, kw_only=True)
class OddOnesOut(Regularizer):
    """Diverges for odd seeds."""

    def attach(self, network: torch.nn.Module, context: Context) -> Hooks:
        return Faulty(how="diverge" if context.seed % 2 else "idle")


@dataclass(frozen=True, kw_only=True)
class TooStrong(Regularizer):
    """Diverges where it is stronger than by default."""

    strength: float = 0.5

    def after_step(self, step: Step) -> None:
        FAULTS["diverge" if self.strength > 0.5 else "idle"](step)


def raise_plainly(step: Step) -> None:
    raise ValueError("this regularizer is at fault")


def raise_once(step: Step) -> None:
    if happens_first_time("raise_once"):
        raise_plainly(step)


def raise_surrogates(step: Step) -> None:
    raise ValueError("half a character: \udcff, and the folder " + str(Path.home() / "secret"))


def raise_unprintable(step: Step) -> None:
    raise _Unprintable


def diverge(step: Step) -> None:
    with torch.no_grad():
        for parameter in step.network.parameters():
            parameter.mul_(float("nan"))


def hang(step: Step) -> None:
    while True:
        time.sleep(3600)


def hang_holding_the_lock(step: Step) -> None:
    re.match(r"(a+)+$", "a" * 64 + "b")  # 2^64 steps inside one call of C, which never gives up the interpreter's lock


def end_process(step: Step) -> None:
    os._exit(7)


def exit_politely(step: Step) -> None:
    sys.exit(3)


def interrupt_itself(step: Step) -> None:
    raise KeyboardInterrupt("nobody pressed a key")


def end_by_its_own_kind(step: Step) -> None:
    raise _Unstoppable("no Exception")


def talk_at_length(step: Step) -> None:
    raise ValueError("x" * 20_000_000)


def hang_amid_its_answer(step: Step) -> None:
    """Write a part of an answer into the pipe of the trial's process, as one that stops there does."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and "sender" not in frame.f_locals:
        frame = frame.f_back
    assert frame is not None
    os.write(frame.f_locals["sender"].fileno(), bytes([0, 0, 1, 0]))
    time.sleep(3600)


def kill_process(step: Step) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave_a_child(step: Step) -> None:
    if os.fork() == 0:  # it holds open every pipe of the trial's process, but for what reaches the terminal
        os.close(1), os.close(2)
        note(f"left behind {os.getpid()}")
        time.sleep(600)
    os._exit(5)


def hog(step: Step) -> None:
    held = []
    while len(held) < 1000:
        held.append(torch.ones(FORTY_MEBIBYTES // 4))


def hog_shared(step: Step) -> None:
    """Memory that the process's own limit does not count."""
    held = []
    while len(held) < 20:
        held.append(mmap.mmap(-1, FORTY_MEBIBYTES))
        held[-1].write(b"x" * FORTY_MEBIBYTES)
    time.sleep(60)


def crash_once(step: Step) -> None:
    if happens_first_time("crash_once"):
        os._exit(9)


def kill_fork_server_once(step: Step) -> None:
    if happens_first_time("kill_fork_server_once"):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)


def kill_worker_once(step: Step) -> None:
    """End the process that asked for this trial: a Ray worker, or the command itself under --serial."""
    if happens_first_time("kill_worker_once"):
        os.kill(parent_of(os.getppid()), signal.SIGKILL)
        time.sleep(60)


def kill_worker_always(step: Step) -> None:
    os.kill(parent_of(os.getppid()), signal.SIGKILL)
    time.sleep(60)


def break_off_late_once(step: Step) -> None:
    """End a process after some epochs, which are noted as they begin: the trial's, or the command's under --serial."""
    if step.index % STEPS_PER_EPOCH == 0:
        note(f"epoch {step.epoch}")
    if step.epoch == LATE_EPOCH and happens_first_time("break_off_late_once"):
        os.kill(parent_of(os.getppid()) if VICTIM_VARIABLE in os.environ else os.getpid(), signal.SIGKILL)
        time.sleep(60)


def ask_for_memory_again(step: Step) -> None:
    """Note how many pages the system had to hand out for memory that was freed before."""
    torch.ones(FORTY_MEBIBYTES // 4)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(FORTY_MEBIBYTES // 4)
    note(f"pages {resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before}")


def leave_a_file(step: Step) -> None:
    os.close(tempfile.mkstemp(prefix="left-")[0])


def take_time(step: Step) -> None:
    time.sleep(0.05)
    while folder_holds_trials():
        time.sleep(0.05)


def idle(step: Step) -> None:
    pass


FAULTS = {
    function.__name__: function
    for function in (
        raise_plainly,
        raise_once,
        raise_surrogates,
        raise_unprintable,
        diverge,
        hang,
        hang_holding_the_lock,
        end_process,
        exit_politely,
        interrupt_itself,
        end_by_its_own_kind,
        talk_at_length,
        hang_amid_its_answer,
        kill_process,
        leave_a_child,
        hog,
        hog_shared,
        crash_once,
        kill_fork_server_once,
        kill_worker_once,
        kill_worker_always,
        break_off_late_once,
        ask_for_memory_again,
        leave_a_file,
        take_time,
        idle,
    )
}

CONTESTANTS = {
    how: make_dataclass(how, [("how", str, how)], bases=(Faulty,), frozen=True, kw_only=True) for how in FAULTS
}
"""One regularizer for each fault, of the fault's name."""

globals().update({f"contestant_{how}": cls for how, cls in CONTESTANTS.items()})  # where entry points look

SPACE: Space = {"strength": Real(low=0.1, high=1.0, source="nothing depends on it")}

NO_SPACE: Space = {}

WELL = Suite(
    groups=(Group(tasks=("tiny-mlp", "tiny-net"), regularizers=("none", "dropblock")),),
    scale="smoke",
    tune_trials=10,  # the last two are proposed by the model of what came before
    tune_width=4,
    seeds=2,
    timing_tasks=("tiny-mlp",),
    timing_repeats=1,
)
"""What works."""

FAULTS_ALL = Suite(
    groups=(
        Group(
            tasks=("tiny-mlp",),
            regularizers=(
                "none",
                "raise_plainly",
                "raise_surrogates",
                "diverge",
                "hang",
                "end_process",
                "kill_process",
                "kill_worker_once",
                "kill_worker_always",
                "hog",
            ),
        ),
    ),
    scale="smoke",
    tune_trials=0,
    seeds=1,
)
"""What fails, in every way."""

SLOW = Suite(
    groups=(Group(tasks=("tiny-mlp", "tiny-net"), regularizers=("take_time",)),),
    scale="smoke",
    tune_trials=3,
    seeds=2,
)
"""What takes its time."""

ON_MNIST = Suite(
    groups=(Group(tasks=("tiny-mnist",), regularizers=("none",)),),
    scale="smoke",
    tune_trials=0,
    seeds=1,
)
"""On files."""

ON_FOLDERS = Suite(
    groups=(Group(tasks=("tiny-folders",), regularizers=("none",)),),
    scale="smoke",
    tune_trials=0,
    seeds=2,
)
"""On images that are streamed."""

PACKS = Suite(
    groups=(Group(tasks=("tiny-packs",), regularizers=("none", "odd_ones_out", "crash_once")),),
    scale="smoke",
    tune_trials=0,
    seeds=7,
)
"""Several seeds in one process; well, with some that fail, and in a process that crashes."""

ENTRY_POINTS = {
    "regularizers": {how: f"contestant_{how}" for how in FAULTS}
    | {"odd_ones_out": "OddOnesOut", "too_strong": "TooStrong"},
    "search_spaces": dict.fromkeys(FAULTS, "SPACE") | {"odd_ones_out": "NO_SPACE", "too_strong": "SPACE"},
    "tasks": {
        "tiny-mlp": "TINY_MLP",
        "long-mlp": "LONG_MLP",
        "tiny-net": "TINY_NET",
        "tiny-mnist": "TINY_MNIST",
        "tiny-folders": "TINY_FOLDERS",
        "tiny-packs": "TINY_PACKS",
    },
    "datasets": {"four-folders": "FOUR_FOLDERS"},
    "suites": {
        "well": "WELL",
        "faults": "FAULTS_ALL",
        "slow": "SLOW",
        "on-mnist": "ON_MNIST",
        "on-folders": "ON_FOLDERS",
        "packs": "PACKS",
    },
}
