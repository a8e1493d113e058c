"""Switches change how steps are executed, and results by no more than rounding."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from slow_params import slow_but
from tiny_tasks import IMAGE_TASK, TINY_TASKS, home_of, prepared, tasks_for, tiny, trained, weights_of, with_pins
from torch import Tensor, nn

from tasks.regularizers import REGULARIZERS
from tasks.regularizers.dropout import Dropout
from tasks.regularizers.l1 import L1
from tasks.regularizers.localdrop import LocalDrop
from tasks.regularizers.sam import SAM
from tasks.runtime.forward import execute_by
from tasks.runtime.switches import Switches
from tasks.runtime.trained import Trained
from tasks.sites import trained_layers
from tasks.task import Task

CPU = torch.device("cpu")
ALL_OFF = Switches()
EACH = [
    Switches(),
    Switches(precision="bf16"),
    Switches(precision="fp16", channels_last=True),
    Switches(channels_last=True, compile=True),
    Switches(precision="bf16", channels_last=True, compile=True, cuda_graphs=True),
    Switches(tf32=True, deterministic=True),
]


SHORT = {"epochs": 1, "evaluate_every_epochs": 1}  # where every contestant is trained in two ways


def shortened(task: Task) -> Task:
    """The task with a training of one epoch."""
    return replace(task, protocol=replace(task.protocol, **SHORT))  # type: ignore[attr-defined]  # every task here has a protocol


def executed(task: Task, **switches: object) -> Task:
    """The task, whose protocol asks for these switches."""
    return replace(task, protocol=replace(task.protocol, switches=Switches(**switches)))  # type: ignore[attr-defined]  # every task here has a protocol


@pytest.mark.parametrize("switches", EACH, ids=lambda switches: switches.text or "none")
def test_switches_come_back_from_their_text(switches: Switches) -> None:
    assert Switches.of(switches.text) == switches
    assert Switches.of("fp32") == ALL_OFF


@pytest.mark.parametrize("text", ["fp8", "bf16,compile", "fast", "Compile"])
def test_a_text_that_names_no_switch_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Switches are fp32, .*tf32, deterministic, device_decoding, got"):
        Switches.of(text)


def test_without_switches_the_network_is_left_as_it_is() -> None:
    network = nn.Linear(2, 2)
    execute_by(ALL_OFF, network, CPU)
    assert "forward" not in vars(network)


def test_what_only_a_gpu_has_is_refused_on_a_processor() -> None:
    switches = Switches(compile=True, cuda_graphs=True, tf32=True, device_decoding=True)
    with pytest.raises(ValueError, match="The switches cuda_graphs, tf32, device_decoding need a CUDA device, got cpu"):
        execute_by(switches, nn.Linear(2, 2), CPU)


@pytest.fixture
def arithmetic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[bool]]]:
    """Reads what torch keeps for the process, which is set back after the test."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    yield lambda: [convolutions.allow_tf32, products.allow_tf32, torch.are_deterministic_algorithms_enabled()]
    convolutions.allow_tf32, products.allow_tf32 = before
    torch.use_deterministic_algorithms(False)


def test_factors_are_rounded_to_tf32_only_if_it_is_asked_for(arithmetic: Callable[[], list[bool]]) -> None:
    """Torch allows it in convolutions by default, so that they would be 1,000 times less exact than dense layers."""
    network, gpu = nn.Linear(2, 2), torch.device("cuda")
    for asked in (False, True, False):
        execute_by(Switches(tf32=asked), network, gpu)
        assert arithmetic() == [asked, asked, False]
    assert "forward" not in vars(network), "nothing else changes"


def test_determinism_is_a_property_of_one_training(arithmetic: Callable[[], list[bool]]) -> None:
    execute_by(Switches(deterministic=True), nn.Linear(2, 2), CPU)
    assert arithmetic() == [False, False, True]
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    execute_by(Switches(), nn.Linear(2, 2), CPU)
    assert arithmetic() == [False, False, False]


@pytest.mark.parametrize(("precision", "digits"), [("bf16", 8), ("fp16", 11)])
def test_layers_compute_in_the_precision_asked_for_and_outputs_come_in_32_bits(precision: str, digits: int) -> None:
    network, inputs = nn.Linear(3, 2, bias=False), torch.tensor([[1.0, 1 / 3, 0.1]])
    exact = network(inputs)
    execute_by(Switches(precision=precision), network, CPU)
    outputs = network(inputs)
    assert outputs.dtype == torch.float32
    error = (outputs - exact).abs().max()
    assert 0 < error < 4 * 2**-digits
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    assert torch.equal(outputs, outputs.to(dtype).float())


def test_channels_last_reaches_images_and_kernels_and_leaves_values_as_they_are() -> None:
    seen: list[bool] = []

    class Watched(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.is_contiguous(memory_format=torch.channels_last))
            return super().forward(x)

    network, images = Watched(3, 4, 3), torch.rand(2, 3, 8, 8)
    expected = network(images)
    execute_by(Switches(channels_last=True), network, CPU)
    torch.testing.assert_close(network(images), expected)
    assert seen == [False, True]
    assert network.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_copy_of_the_network_computes_with_weights_of_its_own() -> None:
    network = nn.Linear(2, 2)
    execute_by(Switches(precision="bf16", compile=True), network, CPU, backend="eager")
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.weight.zero_()
        other.bias.zero_()
    assert torch.equal(other(torch.ones(1, 2)), torch.zeros(1, 2))
    assert not torch.equal(network(torch.ones(1, 2)), torch.zeros(1, 2))


@pytest.mark.parametrize("name", slow_but(sorted(REGULARIZERS), ["none", "dropblock", "localdrop", "sam"]))
def test_every_contestant_trains_in_bf16_to_nearly_the_same_values(name: str) -> None:
    for task in map(shortened, tasks_for(REGULARIZERS[name]()).values()):
        contestant = (name, with_pins(REGULARIZERS[name](), task))
        _, plain = trained(task, contestant)
        training, half = trained(executed(task, precision="bf16"), contestant)
        assert all(parameter.dtype == torch.float32 for parameter in training.network.parameters())
        losses = [[p.value for p in outcome.curves if p.metric == "loss"] for outcome in (plain, half)]
        assert all(map(math.isfinite, losses[1]))
        assert losses[1] == pytest.approx(losses[0], rel=0.1)
        has_products = bool(trained_layers(training.network))  # autocast leaves elementwise operations in 32 bits
        assert (losses[1] != losses[0]) or not has_products


@pytest.mark.parametrize(
    "name",
    slow_but(
        [name for name in sorted(REGULARIZERS) if "digits-convnet" in tasks_for(REGULARIZERS[name]())],
        ["none", "dropblock", "localdrop", "sam"],
    ),
)
def test_every_contestant_trains_with_channels_last_to_the_same_values_but_for_rounding(name: str) -> None:
    task = shortened(IMAGE_TASK)
    (_, plain), (_, other) = (
        trained(each, (name, REGULARIZERS[name]())) for each in (task, executed(task, channels_last=True))
    )
    values = [[p.value for p in outcome.curves if p.metric in ("loss", "cross_entropy")] for outcome in (plain, other)]
    assert values[1] == pytest.approx(values[0], rel=1e-3)


@pytest.mark.parametrize(
    "name",
    slow_but(["none", "dropout", "dropblock", "localdrop", "variational_dropout", "sam"], ["dropout"]),
)
def test_a_compiled_network_trains_to_the_same_weights(name: str) -> None:
    """The compiler's front end, which reads the code; what its back end makes of it is torch's own affair."""
    torch._dynamo.reset()
    task = home_of(name)
    contestant = (name, with_pins(REGULARIZERS[name](), task))
    plain, _ = trained(task, contestant)
    compiled = prepared(task, contestant)
    execute_by(Switches(compile=True), compiled.network, CPU, backend="eager")
    compiled.run()
    torch.testing.assert_close(weights_of(compiled.network), weights_of(plain.network))


WITH_STATE = ["none", "dropblock", "localdrop", "early_stopping", "nuclear_norm", "rademacher_probe"]


@pytest.mark.parametrize("name", WITH_STATE)
def test_a_warm_up_leaves_no_trace(name: str) -> None:
    task = home_of(name)
    contestant = (name, with_pins(REGULARIZERS[name](), task))
    cold, expected = trained(task, contestant)
    warm = prepared(task, contestant)
    warm.warm_up()
    assert warm.run().curves == expected.curves
    assert torch.equal(weights_of(warm.network), weights_of(cold.network))


@pytest.mark.parametrize(
    "regularizers",
    [(), (SAM(),), (Dropout(), SAM(rho=0.1), L1(rate=1e-4)), (LocalDrop(keep_interval_steps=1, m=1),)],
    ids=["none", "sam", "three", "localdrop"],
)
def test_fp16_trains_with_whatever_wraps_the_gradients(regularizers: tuple[object, ...]) -> None:
    task = tiny("digits-mlp", epochs=4)
    _, plain = trained(task, *regularizers)
    _, half = trained(executed(task, precision="fp16"), *regularizers)
    losses = [[p.value for p in outcome.curves if p.metric == "loss"] for outcome in (plain, half)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0]


def test_a_training_in_fp16_that_is_cut_off_goes_on_with_its_scale() -> None:
    task = executed(TINY_TASKS["digits-mlp"], precision="fp16")
    first, second = prepared(task), prepared(task)
    first._descent.scale, first._descent.num_good_steps = 128.0, 7  # type: ignore[attr-defined]  # of half precision
    second.restore(first.state(Trained()))
    assert (second._descent.scale, second._descent.num_good_steps) == (128.0, 7)  # type: ignore[attr-defined]  # of half precision
