"""What only a GPU shows: number formats, laws of masks, who waits, cost of contestants, bits, neighbours.

On a machine without a GPU it rehearses on the processor, in small sizes: it then shows that every check runs, and its
times mean nothing. The column `calculated` assumes 5 microseconds for a launch of a kernel, and 3.35 TB/s of memory.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from benchmarks.processes import process
from benchmarks.sizes import IS_TINY, sized
from harness.contestants import Contestant
from harness.execution import Execution
from harness.provenance import hardware_key
from harness.records import TrialRecord, TrialSpec
from harness.times.timing import synchronise
from harness.workers.isolation import run_isolated
from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.fused.choice import has_fused_maps
from tasks.regularizers.fused.masks import masked_blocks
from tasks.regularizers.parts.masking import apply_mask, block_mask
from tasks.regularizers.spectra.thresholding import shrink_small_singular_values
from tasks.runtime.streams import MaskStream
from tasks.runtime.switches import Switches
from tasks.runtime.trained import Trained
from tasks.task import Setting
from tasks.theory.drop_rates import keep_matrix
from tasks.training import Training

HAS_GPU = torch.cuda.is_available() and not IS_TINY
DEVICE = torch.device("cuda" if HAS_GPU else "cpu")
BATCH = 128 if HAS_GPU else 4
STEPS, ROUNDS, WARM_UP = (30, 5, 12) if HAS_GPU else (1, 1, 1)
DEEP, WIDE = ("cifar10-resnet56", "cifar10-zhai") if HAS_GPU else ("digits-convnet", "digits-mlp")
Figures = tuple[float | None, float | None]
CONTESTANTS: Mapping[str, Figures] = sized(
    {  # of the deep network in bf16 with channels last: time of a step over the twin's before and as a goal
        "dropblock": (1.25, 1.05),
        "spatial_dropout": (1.10, 1.05),
        "drop_path": (1.15, None),
        "shakedrop": (1.24, None),
        "block_feature_map_distortion": (1.48, 1.10),
        "variational_dropout": (1.62, 1.10),
        "localdrop": (1.35, 1.05),
        "adaptive_dropout_rc": (1.42, None),
        "sam": (1.96, None),
    },
    {"dropblock": (1.25, 1.05)},
)
ON_WIDE = sized(("dropout", "dropblock", "localdrop", "variational_dropout", "autoaugment"), ("dropout",))
SHAPES = [(2048, 2048), (64, 64, 3, 3), (128, 96, 5, 5)] if HAS_GPU else [(64, 64), (16, 16, 3, 3)]

Row = Mapping[str, object]
T = TypeVar("T")


def run() -> Iterator[Row]:
    """One row per check; a check that fails is a row with its error, and the others go on."""
    torch.set_num_threads(1)
    yield {"check": "hardware", "measured": hardware_key(DEVICE.type, 1), "is_rehearsal": not HAS_GPU}
    for check in (arithmetic, laws, spectra, waits, costs, bits, resumption, neighbours):
        try:
            yield from check()
        except Exception as error:
            yield {"check": check.__name__, "error": f"{type(error).__name__}: {str(error)[:200]}"}


def training_of(task: str, name: str = "none", switches: str = "") -> Training:
    """A training on random images, in the middle of its schedule.

    Raises:
        ValueError: if the task cannot be rehearsed.
    """
    setting = Setting(seed=0, scale="paper", learning_rate=1e-3, device=DEVICE, switches=Switches.of(switches))
    rehearsal = TASKS[task].rehearse([(name, REGULARIZERS[name]())], setting, max_batch_size=BATCH)
    if rehearsal is None:
        raise ValueError(f"The task {task} cannot be rehearsed.")
    training = rehearsal.training
    training.network.train()
    training.seek(training.protocol.epochs * len(training.batches) // 2)
    return training


def stepper(training: Training) -> Callable[[], Tensor]:
    """A function that makes one step on the same batch."""
    batch = next(iter(training.batches.epoch()))
    return lambda: training.step(batch, epoch=1)


def arithmetic() -> Iterator[Row]:
    """Relative errors of a convolution and a product in fp32: 1e-7 in 32 bits, 3e-4 in TF32."""
    training_of(WIDE)  # which sets the arithmetic of the process
    x, w = torch.randn(64, 64, 32, 32, device=DEVICE), torch.randn(64, 64, 3, 3, device=DEVICE)
    convolution, exact = torch.nn.functional.conv2d(x, w), torch.nn.functional.conv2d(x.double(), w.double())
    yield {"check": "error of a convolution in fp32", "measured": _relative(convolution, exact), "expected": "<=1e-6"}
    a = torch.randn(512, 512, device=DEVICE)
    yield {
        "check": "error of a product in fp32",
        "measured": _relative(a @ a, a.double() @ a.double()),
        "expected": "<=1e-6",
    }


def laws() -> Iterator[Row]:
    """Frequencies of the masks' draws, the mean that a mask keeps in bf16, and a stream that resumes."""
    stream = MaskStream(0, "gpu", DEVICE)
    for rate in (0.0, 1e-3, 0.1, 0.5, 0.9, 1.0):
        share = float(stream.bernoulli((2000, 1000), rate).double().mean())
        expected = f"{rate:g} +- {4 * (rate * (1 - rate) / 2e6) ** 0.5:.1g}"
        yield {"check": f"share of Bernoulli draws at {rate:g}", "measured": share, "expected": expected}
    marginals = block_mask(stream, (4096, 64, 8, 8), 0.1, 5).double().mean((0, 1)).cpu()
    error = float((marginals - keep_matrix(0.1, 5, 8, 8)).abs().max())
    yield {"check": "error of DropBlock's keep rates", "measured": error, "expected": "<=2e-3"}
    maps = torch.ones(4096, 64, 8, 8, device=DEVICE)
    if has_fused_maps(maps, overlap=True):
        fused = masked_blocks(maps, stream, 0.1, 5, is_realised=False).double().mean((0, 1)).cpu()
        error = float((fused - keep_matrix(0.1, 5, 8, 8)).abs().max())
        yield {"check": "error of the fused DropBlock's keep rates", "measured": error, "expected": "<=2e-3"}
    else:
        yield {"check": "fused masks", "measured": "not used here", "expected": "used on a GPU with Triton"}
    values = (1 + torch.rand(8, 64, 32, 32, device=DEVICE)).bfloat16()
    keep = stream.bernoulli(tuple(values.shape), 0.9)
    mean = float(apply_mask(values, keep, 1 / 0.9).double().mean() / (values.double() * keep).mean() * 0.9)
    yield {"check": "mean of a bf16 mask over the exact one", "measured": mean, "expected": "1 +- 3e-4"}
    before = stream.state()
    first = stream.normal((1000,))
    stream.restore(before)
    yield {"check": "a stream resumes", "measured": bool(torch.equal(first, stream.normal((1000,)))), "expected": True}


def spectra() -> Iterator[Row]:
    """Milliseconds of the shrinkage of singular values, and its error against a decomposition in 64 bits."""
    for shape in SHAPES:
        weight = torch.randn(shape, device=DEVICE) / shape[-1] ** 0.5
        num_kept, threshold = (shape[-1] * 15 // 16, 0.05) if len(shape) == 2 else (1, 0.1)
        shrink_small_singular_values(weight, num_kept, threshold)
        seconds, shrunk = _timed(partial(shrink_small_singular_values, weight, num_kept, threshold))
        u, sigma, v = torch.linalg.svd(weight.double().cpu(), full_matrices=False)
        sigma[..., num_kept:] = (sigma[..., num_kept:] - threshold).clamp(min=0)
        exact, start = (u * sigma[..., None, :]) @ v, weight.double().cpu()
        error = float((shrunk.weight.double().cpu() - exact).norm() / (exact - start).norm())
        yield {"check": f"shrinkage of {shape}", "ms": seconds * 1e3, "measured": error, "expected": "<=1e-3"}


def waits() -> Iterator[Row]:
    """Number of calls of one step that make the processor wait for the GPU, by torch's own watch."""
    cells = [(DEEP, name) for name in ("none", *CONTESTANTS)] + [(WIDE, name) for name in ("none", *ON_WIDE)]
    for task, name in cells:
        training = training_of(task, name)
        step = stepper(training)
        for _ in range(WARM_UP):
            step()
        training.seek(1)  # LocalDrop's rates have every tenth step
        with _synchronising_calls() as seen:
            step()
        row = {
            "check": f"waits in a step of {name} on {task}",
            "measured": sum(seen.values()),
            "expected": expected_waits(name),
        }
        yield {**row, "where": ", ".join(seen)} if seen else row


def expected_waits(name: str) -> int | str:
    """How often a step may make the processor wait: never, unless the contestant's class says why in `host_waits`."""
    reason: int | str = getattr(REGULARIZERS[name], "host_waits", 0)
    return reason


def costs() -> Iterator[Row]:
    """Time of a step over the twin's, in turns, and how many kernels it launches."""
    others: Mapping[str, Figures] = {name: (None, None) for name in ON_WIDE}
    for task, switches, names in ((DEEP, "bf16+channels_last", CONTESTANTS), (WIDE, "", others)):
        twin = stepper(training_of(task, switches=switches))
        yield {"check": f"kernels of a step on {task}", "measured": _num_kernels(twin)}
        for name, (before, goal) in names.items():
            step = stepper(training_of(task, name, switches))
            for each in (step, twin):
                for _ in range(WARM_UP):
                    each()
            ratios, seconds = [], []
            for _ in range(ROUNDS):
                ours, theirs = (_timed(partial(_repeat, each))[0] for each in (step, twin))
                ratios.append(ours / theirs)
                seconds.append(theirs / STEPS)
            yield {
                "check": f"step of {name} on {task} in {switches or 'fp32'}",
                "measured": statistics.median(ratios),
                "twin_ms": statistics.median(seconds) * 1e3,
                "kernels": _num_kernels(step),
                "calculated": before,
                "goal": goal,
            }


def bits() -> Iterator[Row]:
    """Whether 20 steps give the same weights again, without and with --deterministic."""
    for switches, expected in (("", "False on a GPU, True on a processor"), ("deterministic", True)):
        ends = []
        for _ in range(2):
            training = training_of(DEEP, switches=switches)
            step = stepper(training)
            for _ in range(sized(20, 2)):
                step()
            ends.append(torch.cat([p.detach().flatten() for p in training.network.parameters()]))
        yield {
            "check": f"the same bits twice, {switches or 'by default'}",
            "measured": bool(torch.equal(*ends)),
            "largest_difference": float((ends[0] - ends[1]).abs().max()),
            "expected": expected,
        }


def resumption() -> Iterator[Row]:
    """Whether a restored training makes the next step as the saved one does."""
    for name in ("none", "dropblock", "localdrop"):
        saved, restored = (training_of(DEEP, name, "deterministic") for _ in range(2))
        batch = next(iter(saved.batches.epoch()))
        for _ in range(3):
            saved.step(batch, epoch=1)
        restored.restore(saved.state(Trained()))
        losses = [float(each.step(batch, epoch=1)) for each in (saved, restored)]
        yield {"check": f"{name} goes on as saved", "measured": losses[0] == losses[1], "expected": True}


def neighbours() -> Iterator[Row]:
    """Trials in processes of their own, alone and four on one GPU."""
    with ExitStack() as stack:
        executors = [stack.enter_context(process(as_a_trial=False)) for _ in range(4 if HAS_GPU else 2)]
        for number in (1, len(executors)):
            started = time.perf_counter()
            futures = [executor.submit(_trial, seed) for seed, executor in enumerate(executors[:number])]
            records = [future.result() for future in futures]
            yield {
                "check": f"{number} trial(s) at once",
                "measured": ", ".join(Counter(record.status for record in records)),
                "seconds": time.perf_counter() - started,
                "setup_seconds": records[0].values.get("setup_seconds"),
                "peak_gib": (records[0].values.get("peak_memory_bytes") or 0) / 2**30,
                "expected": "completed",
            }


def _trial(seed: int) -> TrialRecord:
    task, name = "digits-convnet", "dropblock"
    spec = TrialSpec(
        task=task,
        regularizer=name,
        hyperparameters=Contestant(name).resolve(TASKS[task], "smoke"),
        seed=seed,
        role="default",
        scale="smoke",
        code_hash="",
    )
    return run_isolated(spec, Execution(device=DEVICE.type, gpu_fraction=0.25 if HAS_GPU else 0.0))


class _synchronising_calls:
    """A context that yields the places of the calls within it that wait for the GPU, with their number."""

    def __enter__(self) -> Counter[str]:
        self.seen: Counter[str] = Counter()
        self._warnings = warnings.catch_warnings(record=True)
        self._caught = self._warnings.__enter__()
        warnings.simplefilter("always")
        if HAS_GPU:
            torch.cuda.set_sync_debug_mode("warn")
        return self.seen

    def __exit__(self, *_: object) -> None:
        if HAS_GPU:
            torch.cuda.set_sync_debug_mode("default")
        for each in self._caught or ():
            if "synchroniz" in str(each.message):
                self.seen[f"{Path(each.filename).name}:{each.lineno}"] += 1
        self._warnings.__exit__(None, None, None)


def _num_kernels(step: Callable[[], object]) -> int:
    """Number of kernels that one step launches; without a GPU the number of its operations."""
    from torch.profiler import ProfilerActivity, profile

    step()
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if HAS_GPU else [])]) as profiled:
        step()
        synchronise(DEVICE)
    events = profiled.events() or []
    return len([each for each in events if not HAS_GPU or str(each.device_type).endswith("CUDA")])


def _repeat(step: Callable[[], object]) -> None:
    for _ in range(STEPS):
        step()


def _timed(action: Callable[[], T]) -> tuple[float, T]:
    """Seconds of an action, with all that it queues on the device, and its result."""
    synchronise(DEVICE)
    started = time.perf_counter()
    result = action()
    synchronise(DEVICE)
    return time.perf_counter() - started, result


def _relative(value: Tensor, exact: Tensor) -> float:
    return float((value - exact).norm() / exact.norm())
