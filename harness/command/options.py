"""The options of the command, and the request that they add up to. Light: heavy imports stand in the function."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import BadInput
from harness.execution import CHECKPOINT_SECONDS

if TYPE_CHECKING:
    from harness.request import Request


class ScaleName(StrEnum):
    """How much of a protocol is run."""

    paper = "paper"
    short = "short"
    smoke = "smoke"


class PrecisionName(StrEnum):
    """Number format of forward and backward passes."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class TableName(StrEnum):
    """What `list` lists."""

    tasks = "tasks"
    suites = "suites"
    regularizers = "regularizers"
    architectures = "architectures"
    datasets = "datasets"


SuiteName = Annotated[str, typer.Argument(metavar="SUITE", help="A name from `regarena list suites`.")]
Folders = Annotated[list[str], typer.Argument(metavar="DIR...", help="Results folders, or URIs such as s3://...")]
Results = Annotated[str | None, typer.Option(help="Results folder or URI. [default: results/SUITE]")]
ScaleOption = Annotated[ScaleName | None, typer.Option(help="How much of the protocol is run. [default: the suite's]")]
TuneTrials = Annotated[int | None, typer.Option(help="Tune trials of each cell. [default: the suite's]")]
Seeds = Annotated[int | None, typer.Option(help="Default and confirm trials of each cell. [default: the suite's]")]
Only = Annotated[
    str | None, typer.Option(help="Only these tasks or regularizers, comma-separated; others may join so.")
]
Skip = Annotated[str | None, typer.Option(help="Without these tasks or regularizers, comma-separated.")]
Data = Annotated[Path | None, typer.Option(help="Folder of data sets in torchvision's layout.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch data sets that are missing into that folder.")]
Seed = Annotated[int, typer.Option(help="Seed of the campaign: another one draws other seeds and proposals.")]
Address = Annotated[str | None, typer.Option(help="Join the Ray cluster at this address (HOST:PORT or auto).")]
Serial = Annotated[bool, typer.Option("--serial", help="Without Ray, one trial after the other; same values.")]
TrialSeconds = Annotated[float | None, typer.Option(help="End a trial that runs longer.", min=0.001)]
TrialMemory = Annotated[float | None, typer.Option(help="GiB a trial may take. [default: its share]", min=0.001)]
Gpus = Annotated[float | None, typer.Option(help="GPUs of one trial, may be a fraction. [default: 0.25 if any]", min=0)]
Cpus = Annotated[float, typer.Option(help="CPUs of one trial, which are also its threads.", min=0.1)]
CheckpointSeconds = Annotated[float, typer.Option(help="Least time between checkpoints of one trial.", min=0)]
PrecisionOption = Annotated[PrecisionName | None, typer.Option(help="Number format. [default: the protocol's]")]
ChannelsLast = Annotated[bool, typer.Option("--channels-last", help="Lay images and conv layers out channels last.")]
Compiled = Annotated[bool, typer.Option("--compile", help="Compile networks with torch.compile.")]
CudaGraphs = Annotated[bool, typer.Option("--cuda-graphs", help="Replay compiled networks as CUDA graphs.")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Run trials again that ended without a result.")]
NoToken = Annotated[bool, typer.Option("--allow-no-token", help="Join a cluster that has no token.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]

DEFAULT_GPU_FRACTION = 0.25


def request_of(
    suite: str,
    results: str | None = None,
    scale: ScaleName | None = None,
    tune_trials: int | None = None,
    seeds: int | None = None,
    only: str | None = None,
    skip: str | None = None,
    data: Path | None = None,
    download: bool = False,
    address: str | None = None,
    serial: bool = False,
    trial_seconds: float | None = None,
    trial_memory: float | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    gpus_per_trial: float | None = None,
    cpus_per_trial: float = 1.0,
    precision: PrecisionName | None = None,
    channels_last: bool = False,
    compiled: bool = False,
    cuda_graphs: bool = False,
    seed: int = 0,
    retry_failed: bool = False,
    allow_no_token: bool = False,
    made: object = None,
) -> Request:
    """What the options ask for; names and values are checked here or in what is made of them."""
    from harness.execution import Execution
    from harness.plan import Budget
    from harness.request import Cluster, Request
    from tasks.suites import SUITES, Suite

    _must_be_finite(
        trial_seconds=trial_seconds,
        trial_memory=trial_memory,
        checkpoint_seconds=checkpoint_seconds,
        gpus_per_trial=gpus_per_trial,
        cpus_per_trial=cpus_per_trial,
    )
    for option, text, wanted in (
        ("--results", results, "a folder or URI"),
        ("--address", address, "HOST:PORT or auto"),
    ):
        if text is not None and not text.strip():  # as from a variable that a script forgot to set
            raise BadInput(f"{option} takes {wanted}, got {text!r}.")
    if serial and (address is not None or allow_no_token):
        raise BadInput("--serial runs here without Ray, and --address joins a cluster of it; give one of them.")
    if download and data is None:
        raise BadInput("--download needs the folder to put data sets into: --data DIR.")
    chosen = made if isinstance(made, Suite) else SUITES[suite]
    chosen_scale = scale.value if scale else chosen.scale
    if data is not None and not data.is_dir() and (data.exists() or not download):
        raise BadInput(f"--data must be a folder that exists, got {data}.")
    asked = {
        "precision": precision.value if precision else "",
        "channels_last": channels_last,
        "compile": compiled,
        "cuda_graphs": cuda_graphs,
    }
    return Request(
        suite_name=suite,
        suite=chosen,
        results=results or str(Path("results") / suite),
        budget=Budget(
            scale=chosen_scale,  # type: ignore[arg-type]  # Budget checks it
            tune_trials=chosen.tune_trials_for(chosen_scale) if tune_trials is None else tune_trials,
            seeds=chosen.seeds_for(chosen_scale) if seeds is None else seeds,
            timing_repeats=chosen.timing_repeats_for(chosen_scale),
            seed=seed,
        ),
        only=_names("--only", only),
        skip=_names("--skip", skip),
        serial=serial,
        cluster=Cluster(
            address=address,
            cpus_per_trial=cpus_per_trial,
            gpus_per_trial=gpus_per_trial,
            allow_no_token=allow_no_token,
        ),
        execution=Execution(
            data_dir=str(data.absolute()) if data else None,
            gpu_fraction=DEFAULT_GPU_FRACTION,
            cpu_threads=max(1, int(cpus_per_trial)),
            trial_seconds=trial_seconds,
            memory_bytes=int(trial_memory * 2**30) if trial_memory else None,
            checkpoint_seconds=checkpoint_seconds,
        ),
        switches={name: value for name, value in asked.items() if value},
        retry_failed=retry_failed,
        download=download,
    )


def _must_be_finite(**numbers: float | None) -> None:
    for name, number in numbers.items():
        if number is not None and not math.isfinite(number):
            raise BadInput(f"--{name.replace('_', '-')} must be a finite number, got {number}.")


def _names(option: str, text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    names = tuple(filter(None, (name.strip() for name in text.split(","))))
    if not names:  # likewise: the whole suite is not what it meant
        raise BadInput(f"{option} takes names of tasks or regularizers, separated by commas, got {text!r}.")
    return names
