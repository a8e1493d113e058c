"""Dropout in wide two-layer networks in the lazy regime: algorithm 4 of Mianjy's thesis on separable points."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from tasks.architectures.two_layer_relu import TwoLayerReLU
from tasks.datasets.dataset import fingerprint
from tasks.datasets.separable import direction, draw_points
from tasks.datasets.separable_stream import SeparableStream
from tasks.metrics import cross_entropy
from tasks.protocol_task import ProtocolTask
from tasks.protocols import Protocol
from tasks.regularizers.base import Scalar
from tasks.runtime.streams import stream_seed, torch_stream
from tasks.sites import MaskLaw, mask_law, measure_sites, watch_mask
from tasks.task import Regularizers, Rehearsal, Setting
from tasks.theory.lazy_dropout import active_width_bound, error_bound, lazy_constants, subnetwork_bound
from tasks.training import Training
from tasks.workload import Workload

NUM_TEST = 1000
NUM_PATTERNS = 200  # test points on which activation patterns are compared
FAILURE_PROBABILITY = 0.05  # delta of the bounds that hold with high probability
LEAST_KEEP_RATE = 0.5  # smallest keep rate of the suite; a margin at this rate implies one at larger rates


@dataclass(frozen=True, kw_only=True)
class LazyRegime(ProtocolTask):
    """Train the hidden layer of f(x) = a' relu(Wx) / sqrt(m) on a new separable point at each step.

    The loss is the logistic loss with logarithms to base 2. The value is `error`, the fraction of test points that the
    network in eval mode classifies wrongly. Validation and test are the same measurement.

    Further metrics, with w_r,1 the initial weights: `largest_move_times_sqrt_width` = sqrt(m) max_r ||w_r - w_r,1||;
    `flipped_share_times_sqrt_width` = sqrt(m) times the fraction of pairs of a unit and a test point for which the sign
    of w_r.x differs from the initial one; `largest_row_norm`; `subnetwork_error` of the last mask; `active_width` of
    that mask and its bound `active_width_bound`; `error_bound` and `subnetwork_bound` of Theorems 14 and 15 at this
    width, and `least_width`, from which on they are proved. There are no bounds if the step size exceeds that of the
    theorems, ln 2.
    """

    width: int
    protocol: Protocol
    dimension: int = 10
    separation: float = 0.3  # y v.x >= separation for the direction v of the data
    metric: str = "error"
    higher_is_better: bool = False
    architecture: str = "two_layer_relu"
    dataset: str = field(init=False)
    defaults: Mapping[str, Scalar] = field(init=False)

    def __post_init__(self) -> None:
        """Set the name of the data, and the limit c of the theorems as the default of max-norm."""
        object.__setattr__(self, "dataset", f"separable_stream_d{self.dimension}_margin{self.separation:g}")
        margin = _margin(LEAST_KEEP_RATE, self.separation)
        constants = lazy_constants(margin, self.dimension, self._step_size, self._num_steps("paper"), self.width)
        object.__setattr__(self, "defaults", {"max_norm.limit": constants.c})

    def dataset_fingerprint(self, data_dir: Path | None) -> str:
        """Hash of the test points and the separating direction."""
        return fingerprint(*self._test_points(), direction(self.dimension))

    def example_network(self) -> nn.Module:
        """The network with its sites measured."""
        return self._network(0, torch.device("cpu"))

    def prepare(self, regularizers: Regularizers, setting: Setting) -> Training:
        """The network, drawn from the seed, and measurements relative to its initial weights."""
        protocol = self.protocol.at(setting.scale, setting.switches)
        assert protocol.steps_per_epoch is not None
        network = self._network(setting.seed, setting.device)
        reading = self._reading(network, setting)
        splits = ("validation", "test") if setting.with_test else ("validation",)
        return Training(
            network,
            regularizers,
            SeparableStream(
                self.dimension,
                self.separation,
                protocol.batch_size,
                protocol.steps_per_epoch,
                setting.seed,
                setting.device,
            ),
            base_2_loss,
            lambda trained: dict.fromkeys(splits, reading(trained)),
            selection=(self.metric, self.higher_is_better),
            protocol=protocol,
            learning_rate=setting.learning_rate,
            seed=setting.seed,
        )

    def workload(self, scale: str, data_dir: Path | None = None) -> Workload:
        """The workload; one evaluation counts as one sample."""
        protocol = self.protocol.at(scale)
        num_samples = protocol.batch_size * (protocol.steps_per_epoch or 1)
        return Workload.of(protocol, num_train=num_samples, num_validation=1, num_test=0)

    def rehearse(self, regularizers: Regularizers, setting: Setting, max_batch_size: int | None = None) -> Rehearsal:
        """The training itself, which needs no files."""
        return Rehearsal(training=self.prepare(regularizers, setting), num_evaluated=1)

    @property
    def _step_size(self) -> float:
        return self.protocol.learning_rate

    def _num_steps(self, scale: str) -> int:
        protocol = self.protocol.at(scale)
        return protocol.epochs * (protocol.steps_per_epoch or 1)

    def _network(self, seed: int, device: torch.device) -> nn.Module:
        with torch.random.fork_rng(devices=[]):  # layers draw their weights from the global generator
            torch.manual_seed(stream_seed(seed, "weights"))
            network = TwoLayerReLU(
                num_classes=1, in_channels=self.dimension, image_size=1, width=self.width, top="frozen"
            )
        measure_sites(network, torch.zeros(1, self.dimension, 1, 1))
        return network.to(device)

    def _test_points(self) -> tuple[Tensor, Tensor]:
        """Inputs (n, d, 1, 1) and labels 0 or 1, the same for all trainings."""
        labels = torch.arange(NUM_TEST) % 2
        points = draw_points(labels, self.dimension, self.separation, torch_stream(0, f"data/{self.dataset}"))
        return points.float().view(-1, self.dimension, 1, 1), labels

    def _reading(self, network: nn.Module, setting: Setting) -> Callable[[nn.Module], dict[str, float]]:
        """A function that measures the network relative to its current weights."""
        assert isinstance(network, TwoLayerReLU)
        first = network.hidden.weight.detach().clone()
        inputs, labels = (each.to(setting.device) for each in self._test_points())
        points = inputs[:NUM_PATTERNS].flatten(1)
        patterns = points @ first.mT >= 0
        num_steps, root = self._num_steps(setting.scale), math.sqrt(self.width)

        def reading(trained: nn.Module) -> dict[str, float]:
            assert isinstance(trained, TwoLayerReLU)
            law = mask_law(trained.site) or MaskLaw(1.0, is_inverted=True)
            current = watch_mask(trained.site)()
            mask = first.new_ones(self.width) if current is None else current.to(first.dtype)
            weight = trained.hidden.weight.detach()
            hidden = (inputs.flatten(1) @ weight.mT).relu() * mask
            flipped = (points @ weight.mT >= 0) != patterns
            return {
                "error": _error(trained(inputs), labels),
                "subnetwork_error": _error(hidden @ trained.output.weight.mT, labels),
                "largest_move_times_sqrt_width": root * float((weight - first).norm(dim=1).max()),
                "flipped_share_times_sqrt_width": root * float(flipped.double().mean()),
                "largest_row_norm": float(weight.norm(dim=1).max()),
                "active_width": float(mask.sum()),
                **self._bounds(law.keep_rate, setting.learning_rate, num_steps),
                "steps_per_epoch": float(self.protocol.at(setting.scale).steps_per_epoch or 1),
            }

        return reading

    def _bounds(self, keep_rate: float, step_size: float, num_steps: int) -> dict[str, float]:
        """The bounds of the theorems; empty for step sizes outside their range."""
        if not (step_size <= math.log(2) and 2 * step_size * num_steps >= 1):
            return {}
        margin = _margin(keep_rate, self.separation)
        constants = lazy_constants(margin, self.dimension, step_size, num_steps, self.width)
        return {
            "active_width_bound": active_width_bound(keep_rate, self.width, num_steps, FAILURE_PROBABILITY),
            "error_bound": error_bound(constants.lam, step_size, num_steps),
            "subnetwork_bound": subnetwork_bound(constants.lam, step_size, num_steps, FAILURE_PROBABILITY),
            "least_width": float(constants.least_width),
        }


def base_2_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean log2(1 + e^-z) over the margins z of the target class; at least the 0-1 loss."""
    return cross_entropy(outputs, targets) / math.log(2)


def _margin(keep_rate: float, separation: float) -> float:
    """The (q, gamma)-margin of the data for the separating direction: `margin_of`, in closed form for all points."""
    return keep_rate * separation / 2


def _error(outputs: Tensor, labels: Tensor) -> float:
    """The fraction of points with y f(x) < 0, y = -1 or 1."""
    return float(((2 * labels - 1) * outputs.squeeze(1) < 0).double().mean())


LAZY_PROTOCOL = Protocol(
    source="Mianjy's thesis, section 5.2, algorithm 4 (one example a step, fixed top, max-norm at the c of Theorem 14, "
    "step size ln 2, the largest of the theorem); neither the thesis nor the paper runs it: points on the unit sphere "
    "of 10 dimensions with y v.x >= 0.3, and 3,000 steps",
    epochs=30,
    batch_size=1,
    learning_rate=math.log(2),
    momentum=0.0,
    nesterov=False,
    steps_per_epoch=100,
    evaluate_every_epochs=3,
    scales={"short": {}, "smoke": {}},
)

THESIS_FIG5_LAZY_WIDTH_100 = LazyRegime(width=100, protocol=LAZY_PROTOCOL)
"""100 ReLU units with a fixed top layer on separable points, one per step: movement of weights, and bounds."""

THESIS_FIG5_LAZY_WIDTH_1000 = LazyRegime(width=1_000, protocol=LAZY_PROTOCOL)
"""1,000 ReLU units with a fixed top layer on separable points, one per step: movement of weights, and bounds."""

THESIS_FIG5_LAZY_WIDTH_10000 = LazyRegime(width=10_000, protocol=LAZY_PROTOCOL)
"""10,000 ReLU units with a fixed top layer on separable points, one per step: movement of weights, and bounds."""
