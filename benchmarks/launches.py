"""On paper: how many kernels a step of each contestant launches more than its twin's, and how many graphs it has.

Kernels are counted on torch's `meta` device, whose tensors have shapes and no values, by the path that an accelerator
takes. An operator counts as one kernel; views and allocations count as none; a list of tensors takes one kernel for as
many tensors as fit. Casts of autocast are on both sides and are left out. Graphs are those into which `torch.compile`
cuts a pass in training mode, and the conv and dense layers in them; code between graphs is not compiled.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast, get_args

import torch
import torch._dynamo
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.sizes import sized
from tasks.datasets.batches import Batches
from tasks.experiments import TASKS
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Batch
from tasks.runtime.graphs import Graphs, graphs_of
from tasks.runtime.kernel_devices import kernels_on
from tasks.sites import Site
from tasks.task import Setting
from tasks.training import Training

META = torch.device("meta")
NETWORKS = sized(("cifar10-resnet56", "cifar10-preact_resnet18", "cifar10-lenet", "cifar10-zhai"), ("digits-convnet",))
CONTESTANTS = sized(tuple(REGULARIZERS), ("none", "dropout", "l1"))


class Goal(NamedTuple):
    """How many kernels a contestant may add. The products of a method are counted apart from all others."""

    forward: int = 2  # at a site
    backward: int = 2  # at a site
    a_step: int = 0  # in the backward pass besides, whatever the number of sites
    rest: int = 2  # beside the passes: their number, a schedule, the penalty, a list of parameters for the optimizer
    products: tuple[int, int] = (0, 0)  # at a site, forward and backward
    why: str = ""  # it is more than 2 at a site

    def __str__(self) -> str:
        """In words."""
        products = "+{}, +{} products".format(*self.products) if any(self.products) else ""
        return " ".join(filter(None, [f"<={self.forward}, <={self.backward}", products, self.why]))


MASKS: Mapping[str, Goal] = {
    **dict.fromkeys(
        (
            "dropout",
            "curriculum_dropout",
            "lazy_dropout",
            "gaussian_dropout",
            "generalized_dropout",
            "spatial_dropout",
            "dropconnect",
            "dropblock",
            "dropblock_sample",
            "drop_path",
            "shakedrop",
            "feature_map_distortion",
            "block_feature_map_distortion",
            "localdrop",
            "localdrop_fc_only",
        ),
        Goal(),
    ),
    # The penalties of all sites have one factor, whose gradient takes a kernel.
    "variational_dropout": Goal(a_step=1, rest=9),
    "adaptive_dropout_rc": Goal(a_step=1, rest=7),
    "concrete_dropout": Goal(
        backward=3, a_step=1, rest=9, why="(mask, sum over the batch for its rate, addition to the weight's gradient)"
    ),
    "sparse_variational_dropout": Goal(
        a_step=1, rest=9, products=(1, 2), why="(of squares and variances of weights, and their gradients)"
    ),
}
BATCH = sized(128, 4)
WITHOUT_KERNEL = {
    "detach", "empty", "empty_like", "empty_strided", "lift_fresh", "new_empty", "new_empty_strided", "resize_",
    "set_", "_reshape_alias", "_unsafe_view", "alias",
}  # fmt: skip
PRODUCTS = {"addmm", "bmm", "baddbmm", "convolution", "convolution_backward", "mm"}
TENSORS_OF_A_KERNEL = {1: 110, 2: 64, 3: 48, 4: 36, 5: 30}  # by the number of lists: torch's multi_tensor_apply

Phase = Literal["forward", "backward", "rest", "forward products", "backward products"]
PHASE_OF_PRODUCTS: Mapping[Phase, Phase] = {"forward": "forward products", "backward": "backward products"}
Row = Mapping[str, object]


def run() -> Iterator[Row]:
    """One row for each network and contestant, with the fused kernels."""
    with kernels_on("meta"):
        yield from _rows()


class Twin(NamedTuple):
    """What a network without a contestant does in a step."""

    kernels: Counter[Phase]
    graphs: Graphs
    code: Sequence[object]

    @classmethod
    def on(cls, task: str) -> Twin:
        """The one of this task."""
        return cls(
            kernels_of(training_of(task, "none")),
            compiled_of(training_of(task, "none")),
            code_of(training_of(task, "none").network),
        )


def _rows() -> Iterator[Row]:
    for task in NETWORKS:
        twin = Twin.on(task)
        for name in CONTESTANTS:
            if reason := TASKS[task].skip_reason(REGULARIZERS[name]()):
                yield {"network": task, "contestant": name, "skipped": reason}
                continue
            yield {"network": task, "contestant": name, **_measured(task, name, twin)}


def training_of(task: str, name: str) -> Training:
    """A training without values, in the middle of its schedule, at a step that is not one on keep rates.

    Raises:
        ValueError: if the task cannot be rehearsed.
    """
    setting = Setting(seed=0, scale="paper", learning_rate=1e-3, device=META)
    rehearsal = TASKS[task].rehearse([(name, REGULARIZERS[name]())], setting, max_batch_size=BATCH)
    if rehearsal is None:
        raise ValueError(f"The task {task} cannot be rehearsed.")
    training = rehearsal.training
    training.network.train()
    training.seek(training.protocol.epochs * len(training.batches) // 2 // 100 * 100 + 1)
    return training


def kernels_of(training: Training) -> Counter[Phase]:
    """Kernels of the second step, by phase: forward and backward pass, products in them, and all that is neither."""
    for group in training._optimizer.param_groups:
        group["foreach"] = True  # as torch chooses on a GPU
    training.step(_batch(training), epoch=1)  # which makes the state of the optimizer
    counter = KernelCounter()
    network, descent = training.network, training._descent
    forward, backward = network.forward, descent.backward
    network.forward = counter.within("forward", forward)
    descent.backward = counter.within("backward", backward)  # type: ignore[method-assign]  # for this training alone
    with counter:
        training.step(_batch(training), epoch=1)
    return counter.counts


def compiled_of(training: Training) -> Graphs:
    """The graphs of a pass in training mode."""
    torch._dynamo.reset()
    return graphs_of(training.network, training.batches.normalised(_batch(training).inputs))


class KernelCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # of torch
    """Counts the kernels that operators would launch within it, by phase."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self.counts: Counter[Phase] = Counter()
        self._phase: Phase = "rest"

    def within(self, phase: Phase, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as a phase of its own."""

        def called(*args: Any) -> Any:
            before, self._phase = self._phase, phase
            try:
                return function(*args)
            finally:
                self._phase = before

        return called

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        """Count, then go on."""
        is_product = func._schema.name.removeprefix("aten::") in PRODUCTS
        phase = PHASE_OF_PRODUCTS.get(self._phase, self._phase) if is_product else self._phase
        self.counts[phase] += num_kernels(func, args)
        return func(*args, **(kwargs or {}))


def num_kernels(operator: torch._ops.OpOverload, args: Sequence[Any]) -> int:
    """How many kernels an operator launches for these arguments, nearly: some take a second pass over their sums."""
    namespace, name = operator._schema.name.split("::")
    if namespace == "regarena":  # each of the fused masks; a module as an operator launches what it calls
        return int("module" not in name)
    if name in WITHOUT_KERNEL or operator.is_view:
        return 0
    if "_foreach" in name or name.startswith("_fused_"):
        lists = [each for each in args if isinstance(each, list | tuple) and each and isinstance(each[0], Tensor)]
        return math.ceil(len(lists[0]) / TENSORS_OF_A_KERNEL[min(len(lists), 5)]) if lists else 0
    if name == "convolution_backward":
        return sum(args[-1])  # which of the gradients of input, weight and bias are asked for
    return 1


def num_sites(network: nn.Module) -> int:
    """How many places a contestant acts on: sites that it filled, and weight layers whose class it changed."""
    modules, layers = list(network.modules()), (nn.Linear, nn.Conv2d)
    filled = sum(isinstance(module, Site) and len(module.fillings) > 0 for module in modules)
    return filled + sum(isinstance(module, layers) and type(module) not in layers for module in modules)


def code_of(network: nn.Module) -> list[object]:
    """All that a contestant may change in the code of a pass: modules, their classes and their hooks."""
    return [(type(each), *map(len, (each._forward_pre_hooks, each._forward_hooks))) for each in network.modules()]


def _measured(task: str, name: str, twin: Twin) -> Row:
    training = training_of(task, name)
    sites = num_sites(training.network)
    row: dict[str, object] = {"sites": sites}
    try:
        kernels = kernels_of(training)
    except (NotImplementedError, RuntimeError, ValueError) as error:  # it asks for values in every step
        row["not_counted"] = str(error).split("\n")[0][:80]
    else:
        more = Counter(kernels)
        more.subtract(twin.kernels)
        row |= {"kernels": kernels.total(), "ratio": kernels.total() / twin.kernels.total()}
        row |= {f"more_{phase.replace(' ', '_')}": more[phase] for phase in get_args(Phase)}
        if sites:
            row |= {f"{phase}_per_site": more[phase] / sites for phase in ("forward", "backward")}
        if name in MASKS:
            row["goal_per_site"] = str(MASKS[name])
    is_twins = code_of(training.network) == twin.code
    own = twin.graphs if is_twins else compiled_of(training_of(task, name))
    row |= {"graphs": own.num_graphs, "layers_in_graphs": own.layers_in_graphs}
    return row | {"twin_graphs": twin.graphs.num_graphs, "twin_layers_in_graphs": twin.graphs.layers_in_graphs}


def _batch(training: Training) -> Batch:
    split = cast(Batches, training.batches).split
    return Batch(split.inputs, split.targets)
