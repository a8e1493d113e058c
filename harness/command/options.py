"""The options of run, plan and tune, and the request that they make. Heavy imports stand inside the functions.

To add an option, add a field to `RunOptions` and use it in `request_of`.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints

import typer

from harness.errors import BadInput
from harness.execution import AUTO, CHECKPOINT_SECONDS
from harness.results.location_rule import check_location
from harness.times.limits import IN_WORDS as LIMIT_IN_WORDS

if TYPE_CHECKING:
    from harness.request import Request
    from tasks.suites import Suite


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


class RuleName(StrEnum):
    """Which tune trial is confirmed; `harness.search.selection` has the same names."""

    best_validation = "best_validation"
    best_epoch = "best_epoch"
    one_standard_error = "one_standard_error"
    oracle = "oracle"


DEFAULT_GPU_FRACTION = 0.25  # on Ray; a trial of a serial run is alone on its GPU
MAX_MEMORY_GIB = 2.0**20  # a pebibyte; the kernel cannot hold far larger limits

_T = TypeVar("_T", int, float)

_RUNNING = ("run", "tune")
_OF_A_SUITE = ("run", "plan")
_ALL = ("run", "plan", "tune")


def option(
    text: str,
    *flags: str,
    default: Any = None,
    unset: str = "",
    of: tuple[str, ...] = _ALL,
    takes: str = "",
    instead_of: str = "",
    is_location: bool = False,
    **parameters: Any,
) -> Any:
    """A field of `RunOptions`.

    Args:
        text: the option's text in --help.
        flags: the option's name, if it differs from the field's; a boolean needs it to have no --no-... form.
        default: the value if the option is not given: None, or False for a boolean, so that a value given is known
            as such and goes before that of a campaign's file.
        unset: what a default of None means, as --help says it.
        of: the commands that have the option.
        takes: what the option takes, for the message that refuses a blank text; "" allows blank text.
        instead_of: the field of an option that cannot be given together with it; "" without one.
        is_location: whether it takes folders or URIs.
        parameters: further arguments of `typer.Option`.
    """
    metadata = {"text": text, "flags": flags, "unset": unset, "of": of, "takes": takes, "is_location": is_location}
    more = {"instead_of": instead_of, "parameters": parameters}
    return field(default=default, metadata={**metadata, **more})


def share_of_gpu(text: str | float) -> float:
    """The value of `--gpus-per-trial`.

    Raises:
        BadInput: if it is neither a number of at least 0 nor auto.
    """
    if text in ("auto", AUTO):
        return AUTO
    try:
        share = -math.inf if isinstance(text, bool) else float(text)
    except (TypeError, ValueError):
        share = -math.inf
    if not 0 <= share < math.inf:
        raise BadInput(f"--gpus-per-trial must be a number of at least 0, such as 0.25, or auto, got {text!r}.")
    return share


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of run, plan and tune: name, type and default of a field are the option's.

    Raises:
        BadInput: for a number that is not finite, a blank text, or what cannot be the name of a folder.
    """

    results: str | None = option(
        "Results folder or URI.", unset="results/SUITE; for tune results/tune-TASK", is_location=True
    )
    scale: ScaleName | None = option("How much of the protocol is run.", unset="the suite's; for tune short")  # noqa: RUF009  # a field
    tune_trials: int | None = option(
        "Tune trials of each cell (a regularizer on a task).", unset="the suite's; for tune 30",
        instead_of="tune_epochs",
    )  # fmt: skip
    tune_epochs: int | None = option(
        "Epochs of all tune trials of a cell together, in place of a number of trials.", unset="the suite's",
        instead_of="tune_trials",
    )  # fmt: skip
    tune_width: int | None = option(
        "Tune trials of a cell that run at once, on any machine.",
        unset="the campaign's; for a new one the suite's",
    )
    halving: bool = option("Stop the worse tune trials at 1/9 and 1/3 of their epochs.", "--halving", default=False)
    seeds: int | None = option(
        "Number of seeds: default trials of each cell, and confirm trials of its winner.",
        unset="the suite's; for tune 5",
    )
    splits: int | None = option("Number of train/validation splits; every seed runs on each.", unset="1")
    select: RuleName | None = option(  # noqa: RUF009  # a field
        "Which tune trial is confirmed; oracle looks at test data.", unset="best_validation"
    )
    only: str | None = option(
        "Only these tasks or regularizers, comma-separated; may name ones that the suite lacks.", of=_OF_A_SUITE,
        takes="names of tasks or regularizers, separated by commas",
    )  # fmt: skip
    skip: str | None = option(
        "Without these tasks or regularizers, comma-separated.", of=_OF_A_SUITE,
        takes="names of tasks or regularizers, separated by commas",
    )  # fmt: skip
    sources: list[str] | None = option(  # noqa: RUF009  # a field
        "Use the trials of this results folder, which is only read; may be repeated.", "--from", of=_OF_A_SUITE,
        unset="those of the run before", metavar="DIR", is_location=True,
    )  # fmt: skip
    data: str | None = option("Folder of data sets in torchvision's layout.", metavar="DIR", is_location=True)
    download: bool = option(
        "Fetch data sets that are missing into that folder.", "--download", default=False, of=_RUNNING
    )
    address: str | None = option(
        "Join the Ray cluster at this address (HOST:PORT or auto).", of=_RUNNING, takes="HOST:PORT or auto"
    )
    wait_for_nodes: float | None = option(
        "Seconds to wait until a node has room for a trial, on a cluster that starts nodes on demand.",
        unset="0", of=_RUNNING, min=0,
    )  # fmt: skip
    serial: bool = option("Run one trial after the other, without Ray; same values.", "--serial", default=False)
    workers: int | None = option("Most trials that run at once.", unset="as many as there is room for", min=1)
    trial_seconds: float | None = option(
        "End a trial that runs for more seconds than this.", unset=LIMIT_IN_WORDS, of=_RUNNING, min=0
    )
    trial_memory: float | None = option(
        "Memory that a trial may take, in GiB.",
        unset="its share of the machine's",
        of=_RUNNING,
        min=0.001,
        max=MAX_MEMORY_GIB,
    )
    checkpoint_seconds: float | None = option(
        "Least number of seconds between checkpoints of a trial.", unset=f"{CHECKPOINT_SECONDS:g}", of=_RUNNING, min=0
    )
    gpus_per_trial: float | None = option(
        "Share of a GPU that one trial takes, 0 to 1; auto chooses it by the memory that trials need.",
        unset="0.25 if there are GPUs, with --serial 1", parser=share_of_gpu, metavar="SHARE|auto",
    )  # fmt: skip
    cpus_per_trial: float | None = option("CPUs that one trial takes; also its number of threads.", unset="1", min=0.1)
    precision: PrecisionName | None = option("Number format of training steps.", unset="the protocol's")  # noqa: RUF009  # a field
    channels_last: bool = option("Lay images and conv layers out channels last.", "--channels-last", default=False)
    compiled: bool = option("Compile networks with torch.compile.", "--compile", default=False)
    cuda_graphs: bool = option("Replay compiled networks as CUDA graphs.", "--cuda-graphs", default=False)
    tf32: bool = option("Round 32-bit factors to TF32 on a GPU.", "--tf32", default=False)
    deterministic: bool = option(
        "Use only algorithms that repeat bit for bit on a GPU.", "--deterministic", default=False
    )
    device_decoding: bool = option("Decode JPEG files on the GPU.", "--device-decoding", default=False)
    seed: int | None = option("Seed of the campaign, which sets the trials' seeds and the searches.", unset="0")
    retry_failed: bool = option(
        "Run trials again that ended without a result.", "--retry-failed", default=False, of=_RUNNING
    )
    allow_no_token: bool = option("Join a cluster that has no token.", "--allow-no-token", default=False, of=_RUNNING)

    def __post_init__(self) -> None:
        """Check each value on its own."""
        for each in dataclasses.fields(self):
            value, takes = getattr(self, each.name), each.metadata["takes"]
            flag = flag_of(each)
            if isinstance(value, float) and not math.isfinite(value):
                raise BadInput(f"{flag} must be a finite number, got {value}.")
            if takes and value is not None and not value.strip(" ,\t\n"):  # a variable that a script forgot to set
                raise BadInput(f"{flag} takes {takes}, got {value!r}.")
            if each.metadata["is_location"]:
                for text in [value] if isinstance(value, str) else value or []:
                    check_location(text, flag)


def flag_of(option: dataclasses.Field[Any]) -> str:
    """An option's name on the command line."""
    flags = option.metadata["flags"]
    return str(flags[0]) if flags else f"--{option.name.replace('_', '-')}"


def with_run_options(command: Literal["run", "plan", "tune"]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the options of `command` parameters of a function, which receives them as its parameter `options`."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        fields = [each for each in dataclasses.fields(RunOptions) if command in each.metadata["of"]]
        types = get_type_hints(RunOptions)
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(function, eval_str=True).parameters.values():
            if parameter.name == "options":
                parameters += [_parameter(each, types[each.name]) for each in fields]
            else:
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

        def call(**values: Any) -> None:
            options = RunOptions(**{each.name: values.pop(each.name) for each in fields})
            function(options=options, **values)

        call.__name__, call.__doc__ = function.__name__, function.__doc__
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # Typer reads it
        return call

    return decorate


def _parameter(option: dataclasses.Field[Any], type_: Any) -> inspect.Parameter:
    """A parameter for Typer, made from a field of `RunOptions`."""
    metadata = option.metadata
    text = f"{metadata['text']} [default: {metadata['unset']}]" if metadata["unset"] else metadata["text"]
    annotation = Annotated[type_, typer.Option(*metadata["flags"], help=text, **metadata["parameters"])]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=annotation)


def request_of(name: str, suite: Suite, options: RunOptions) -> Request:
    """The request to run a suite with these options; without an option, the suite's own value is taken.

    Raises:
        BadInput: for options that exclude each other, or a value that is not allowed.
    """
    from harness.execution import Execution
    from harness.plan import Budget
    from harness.request import Cluster, Request

    _check_together(options)
    data = Path(options.data) if options.data else None
    if data is not None and not data.is_dir() and (data.exists() or not options.download):
        raise BadInput(f"--data must be an existing folder (--download creates it), got {data}.")
    cpus_per_trial = _given_or(options.cpus_per_trial, 1.0)
    switches = {
        "precision": options.precision.value if options.precision else "",
        "channels_last": options.channels_last,
        "compile": options.compiled,
        "cuda_graphs": options.cuda_graphs,
        "tf32": options.tf32,
        "deterministic": options.deterministic,
        "device_decoding": options.device_decoding,
    }
    return Request(
        suite_name=name,
        suite=suite,
        results=options.results or str(Path("results") / name),
        sources=tuple(options.sources or ()),
        budget=Budget.of(
            suite,
            options.scale.value if options.scale else None,
            options.halving,
            tune_trials=options.tune_trials,
            tune_epochs=options.tune_epochs,
            tune_width=options.tune_width,
            seeds=options.seeds,
            splits=options.splits,
            seed=options.seed,
        ),
        tune_width_is_asked=options.tune_width is not None,
        only=_names(options.only),
        skip=_names(options.skip),
        select=(options.select or RuleName.best_validation).value,
        serial=options.serial,
        cluster=Cluster(
            address=options.address,
            max_workers=options.workers,
            cpus_per_trial=cpus_per_trial,
            gpus_per_trial=options.gpus_per_trial,
            wait_seconds=options.wait_for_nodes or 0.0,
            allow_no_token=options.allow_no_token,
        ),
        execution=Execution(
            data_dir=str(data.absolute()) if data else None,
            gpu_fraction=1.0 if options.serial else DEFAULT_GPU_FRACTION,
            cpu_threads=max(1, int(cpus_per_trial)),
            trial_seconds=options.trial_seconds or None,
            known_limit=options.trial_seconds is None,
            memory_bytes=int(options.trial_memory * 2**30) if options.trial_memory else None,
            checkpoint_seconds=_given_or(options.checkpoint_seconds, CHECKPOINT_SECONDS),
        ),
        switches={name: value for name, value in switches.items() if value},
        retry_failed=options.retry_failed,
        download=options.download,
    )


def _check_together(options: RunOptions) -> None:
    if options.tune_trials is not None and options.tune_epochs is not None:
        raise BadInput(
            "A search has a number of trials or of epochs: give one of --tune-trials and --tune-epochs, got "
            f"{options.tune_trials} and {options.tune_epochs}."
        )
    if options.serial and (options.address is not None or options.allow_no_token):
        raise BadInput("--serial runs without Ray; leave out --address and --allow-no-token, which join a Ray cluster.")
    if options.serial and options.workers is not None and options.workers > 1:
        raise BadInput(f"--serial runs one trial at a time; leave out --workers, got {options.workers}.")
    if options.wait_for_nodes and options.address is None:
        raise BadInput("--wait-for-nodes waits for nodes of a Ray cluster: give its --address as well.")
    if options.download and options.data is None:
        raise BadInput("--download needs the folder to put data sets into: --data DIR.")


def _given_or(value: _T | None, default: _T) -> _T:
    return default if value is None else value


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in (text or "").split(","))))
