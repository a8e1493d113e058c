"""What the switches of execution gain: a training step with them against the plain one, interleaved.

On the processor: in a process as the harness starts one for a trial, whose memory is kept between steps, against a
process by default; then with channels last in 32-bit floats, and in bf16. CPU time of one thread, as a trial has it;
bf16 is meant for processors that multiply matrices of such numbers themselves (AMX); it gains less where they only know
such numbers (avx512_bf16), and loses where they do not. On a GPU, if there is one: ResNet-56 on CIFAR-10's shapes in
bf16, compiled, with our loading, augmentation and hooks, against a bare loop over one batch that lies there already.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, count, islice

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.processes import process
from benchmarks.sizes import IS_TINY, sized
from harness.provenance import hardware_key
from harness.times.timing import synchronise
from tasks.classification import Classification
from tasks.experiments import TASKS
from tasks.regularizers.base import Batch
from tasks.runtime.forward import execute_by
from tasks.runtime.switches import Switches
from tasks.task import Setting
from tasks.training import Training

NETWORKS = {"resnet56": "cifar10-resnet56", "zhai_cnn": "cifar10-zhai"}  # as the tasks train them
GOALS = {  # network -> switches: how many times as fast as without, in a process by default
    "resnet56": {"": 1.0, "channels_last": 1.25, "bf16+channels_last": 2.5},
    "zhai_cnn": {"": 1.0, "channels_last": 1.4, "bf16+channels_last": 2.5},
}
PLAIN = "plainly, in a process by default"
ROUNDS = sized(5, 1)
GPU_TASK, GPU_SWITCHES, GPU_GOAL = "cifar10-resnet56", Switches(precision="bf16", compile=True), 0.6
GPU_STEPS, GPU_ROUNDS = 100, 5


def run() -> Iterable[Mapping[str, object]]:
    """One row for each network and switch, then one of the GPU."""
    torch.set_num_threads(1)
    for network in sized(list(NETWORKS), ["resnet56"]):
        yield from _on_the_processor(network)
    if torch.cuda.is_available() and not IS_TINY:
        yield _on_a_gpu(torch.device("cuda"))
    else:
        yield {"measured": f"{GPU_TASK} in {GPU_SWITCHES.text} against a bare loop: not measured, there is no GPU here"}


def _on_the_processor(network: str) -> Iterable[Mapping[str, object]]:
    """All switches of one network take turns, each in a process of its own, with the plain way."""
    goals = sized(GOALS[network], {"channels_last": 1.0})
    with ExitStack() as stack:
        executors = {PLAIN: stack.enter_context(process(as_a_trial=False))}
        executors |= {text: stack.enter_context(process()) for text in goals}
        for text, executor in executors.items():
            executor.submit(_prepare, network, "" if text == PLAIN else text).result()
        turns = [
            {text: executor.submit(_step).result() for text, executor in executors.items()} for _ in range(ROUNDS + 1)
        ]
    del turns[0]  # which warmed up
    for text, goal in goals.items():
        yield {
            "measured": f"{network} in {text or 'fp32'}, in a trial's process",
            "seconds_per_step": statistics.median(turn[text] for turn in turns),
            "ratio": statistics.median(turn[PLAIN] / turn[text] for turn in turns),
            "goal": f">={goal:g}",
            "num_rounds": len(turns),
        }


_measured: tuple[Training, Iterator[Batch]]  # of a process that measures


def _prepare(network: str, switches: str) -> None:
    """Make the training of this process, and its batches."""
    global _measured
    training = _training(NETWORKS[network], Switches.of(switches), torch.device("cpu"))
    training.network.train()
    _measured = training, chain.from_iterable(training.batches.epoch() for _ in count())


def _step() -> float:
    """CPU seconds of its next step."""
    training, batches = _measured
    batch = next(batches)
    started = time.process_time()
    training.step(batch, epoch=1)
    return time.process_time() - started


def _on_a_gpu(device: torch.device) -> Mapping[str, object]:
    """Images per second of a whole training over those of the bare loop."""
    training = _training(GPU_TASK, GPU_SWITCHES, device)
    batches = chain.from_iterable(training.batches.epoch() for _ in count())
    bare = _bare_loop(training, device)
    ratios, rates = [], []
    for turn in range(GPU_ROUNDS + 1):  # the first one compiles
        ours = _seconds(lambda: training.run_steps(islice(batches, GPU_STEPS), epoch=1), device)
        theirs = _seconds(lambda: bare(GPU_STEPS), device)
        if turn:
            ratios.append(theirs / ours)
            rates.append(GPU_STEPS * training.batches.batch_size / ours)
    return {
        "measured": f"{GPU_TASK} in {GPU_SWITCHES.text} against a bare loop, on {hardware_key(str(device), 1)}",
        "images_per_second": statistics.median(rates),
        "ratio": statistics.median(ratios),
        "goal": f">={GPU_GOAL:g}",
        "num_rounds": len(ratios),
    }


def _training(task_name: str, switches: Switches, device: torch.device) -> Training:
    """The task's training on made-up images of CIFAR's shape."""
    task = TASKS[task_name]
    assert isinstance(task, Classification)
    batch_size = sized(task.protocol.batch_size, 2)
    protocol = replace(task.protocol, preprocessing="standard", scales={}, batch_size=batch_size)
    on_synthetic = replace(task, dataset="synthetic", protocol=protocol)
    return on_synthetic.prepare(
        [], Setting(seed=0, scale="paper", learning_rate=0.01, switches=switches, device=device)
    )


def _bare_loop(training: Training, device: torch.device) -> Callable[[int], None]:
    """Forward, backward and step of the same network, executed alike, on one random batch."""
    task = TASKS[GPU_TASK]
    assert isinstance(task, Classification)
    network: nn.Module = replace(task, dataset="synthetic").network(seed=0).to(device)
    execute_by(GPU_SWITCHES, network, device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    inputs = torch.randn(training.batches.batch_size, 3, 32, 32, device=device)
    targets = torch.randint(10, (len(inputs),), device=device)

    def loop(num_steps: int) -> None:
        network.train()
        for _ in range(num_steps):
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(network(inputs), targets).backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            optimizer.step()

    return loop


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    synchronise(device)
    started = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - started
