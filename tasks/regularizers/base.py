"""What a regularizer is: frozen hyperparameters, sites to fill, and the hooks that the training loop calls.

A regularizer is a frozen dataclass; its fields are at once the constructor, the keys of its search space and the
stored hyperparameters. The state of a training (masks, counters) is created by `attach`. Most regularizers need one or
two hooks:

* masks and noise fill sites (`fill`); a schedule changes their rates (`progress`);
* penalties add to the loss (`penalty`); attacks and augmentations change the batch (`transform_batch`), or its bytes
  before they are normalised (`transform_raw`);
* projections and alternating steps follow a step (`after_step`), thresholding of weights follows an epoch
  (`after_epoch`);
* methods that change the gradient step itself wrap it (`compute_gradients`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tasks.input_space import InputSpace
from tasks.regularizers.hook_names import changes_training, check_names
from tasks.runtime.state import State, attributes_of, restore_attributes
from tasks.runtime.streams import MaskStream, Streams, torch_stream
from tasks.sites import Site, sites_of

Scalar = float | int | str | bool
OptimizerName = Literal["sgd", "adam", "adamw"]


class Batch(NamedTuple):
    """Inputs (B, ...) and targets (B, K): class probabilities, or the regression target."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """The optimizer and its settings; `weight_decay` is coupled: weight_decay w is added to the gradient of w.

    `sgd` is stochastic gradient descent with momentum; at momentum 0, w <- w - lr (g + weight_decay w). `adam` is Adam
    with the decay rates 0.9 and 0.999 (Kingma and Ba 2015, algorithm 1); it ignores momentum and nesterov. `adamw` is
    Adam with decoupled weight decay instead: w <- w - lr weight_decay w beside the step (Loshchilov and Hutter 2019,
    algorithm 2).
    """

    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    optimizer: OptimizerName = "sgd"

    def reason_against_plain_steps(self) -> str | None:
        """Why a step is more than w <- w - lr g; None if it is that."""
        if self.optimizer != "sgd":
            return f"the optimizer must be sgd, got {self.optimizer}"
        if self.momentum or self.weight_decay:
            return f"momentum and weight decay must be 0, got {self.momentum} and {self.weight_decay}"
        return None


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a regularizer knows when it is attached. Some fields are used by regularizers of other packages only."""

    seed: int
    device: torch.device
    name: str  # of the regularizer; part of the names of its random streams
    num_train_samples: int
    num_epochs: int
    num_steps: int
    learning_rate: float
    full_epochs: int | None = None  # epochs of the same training at scale `paper`; None: num_epochs
    streams: Streams = field(default_factory=Streams)  # of all regularizers of the training
    input_space: InputSpace | None = None  # the units of the inputs; None where they are unknown

    def scaled_epochs(self, epochs: int) -> int:
        """Convert a period in epochs at scale `paper` to this training: the same fraction of its epochs, at least 1."""
        return max(1, round(epochs * self.num_epochs / (self.full_epochs or self.num_epochs)))

    def masks(self, purpose: str) -> MaskStream:
        """A new stream of masks or noise; `purpose` names it among this regularizer's streams (e.g. a site's name)."""
        return self.streams.masks(self.seed, f"{self.name}/{purpose}", self.device)

    def generator(self, purpose: str) -> torch.Generator:
        """A new torch generator on the training's device, for draws other than masks; `purpose` as for `masks`.

        If it is an attribute of the hooks, its state is restored when a training resumes (see `Hooks.state`).
        """
        return torch_stream(self.seed, f"{self.name}/{purpose}", self.device)


def gradients_of(objective: Tensor, variables: Sequence[Tensor]) -> Sequence[Tensor | None]:
    """The gradient for each variable; None where the objective does not depend on it."""
    return torch.autograd.grad(objective, list(variables), allow_unused=True)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of training, as a hook sees it."""

    network: nn.Module
    loss: Callable[[Batch], Tensor]  # mean loss of the network on a batch, in its current mode (train or eval)
    rng: np.random.Generator  # this regularizer's own stream
    index: int  # from 0, over the whole training
    epoch: int  # from 1
    progress: float  # in [0, 1)
    batch: Batch | None = None  # the transformed batch; None while it is being transformed
    learning_rate: float = 0.0
    gradients: Callable[[Tensor, Sequence[Tensor]], Sequence[Tensor | None]] = gradients_of
    """For hooks with variables of their own: `gradients_of`, with loss scaling if the training needs it (fp16)."""


@dataclass(frozen=True, kw_only=True)
class History:
    """The validation values so far, one per evaluation, and the network they belong to."""

    network: nn.Module
    values: Sequence[float]
    higher_is_better: bool
    num_evaluations: int  # planned, over the whole training

    @property
    def newest_is_best(self) -> bool:
        """Whether the last value is strictly better than all earlier ones."""
        if len(self.values) < 2:
            return True
        *earlier, newest = self.values
        return newest > max(earlier) if self.higher_is_better else newest < min(earlier)


class Hooks:
    """The methods that the training loop calls, in this order. By default they do nothing.

    Raises:
        TypeError: when a subclass is defined, for a public name that is nearly a hook's (a misspelled hook would never
            be called), or for a hook with other parameters.
    """

    def __init_subclass__(cls, **options: object) -> None:
        """Check the names of the subclass."""
        super().__init_subclass__(**options)
        check_names(cls, next(base for base in cls.__mro__[1:] if base in _INTERFACES))

    def optimizer_settings(self, settings: OptimizerSettings) -> OptimizerSettings:
        """Return the settings to use for the optimizer; called once, before training."""
        return settings

    def progress(self, fraction: float) -> None:
        """Update schedules; called before every step with the fraction in [0, 1) of the training that is done."""

    def transform_raw(self, inputs: Tensor, step: Step) -> Tensor:
        """Return changed inputs, in the form in which the data set stores them: uint8 images before normalisation."""
        return inputs

    def transform_batch(self, batch: Batch, step: Step) -> Batch:
        """Return the batch to train on: with augmented inputs, softened targets, adversarial examples."""
        return batch

    def penalty(self, step: Step) -> Tensor | None:
        """A scalar to add to the loss; None adds nothing."""
        return None

    def compute_gradients(self, backward: Callable[[], Tensor], step: Step) -> Tensor:
        """Fill the gradients and return the loss. `backward` clears them and runs one forward and backward pass."""
        return backward()

    def after_step(self, step: Step) -> None:
        """Called after the optimizer's step: projections, and steps on variables of the regularizer's own."""

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        """Called after an epoch (from 1): thresholding of weights. The returned values are stored in the curves."""
        return {}

    def period_epochs(self) -> int:
        """Period of `after_epoch`: m for a regularizer that acts after every m-th epoch.

        Training does not use it; timing does, so that it measures whole periods.
        """
        return 1

    def period_steps(self) -> int:
        """Period of `after_step`: n for a regularizer that acts after every n-th step."""
        return 1

    def should_stop(self, history: History) -> bool:
        """Whether to stop after the evaluation just made."""
        return False

    def finish(self, network: nn.Module) -> bool:
        """Called after training. Returns whether it changed the weights, which are then evaluated again."""
        return False

    def state(self) -> State:
        """The state of these hooks between two epochs, for checkpoints.

        The network, including the fillings of its sites, and the streams of `Context.masks` are saved in any case. By
        default the state is every plain attribute (see `tasks.runtime.state`). Override `state` and `restore` for
        anything else: objects of other types, modules outside of the network, objects created during training.
        """
        return attributes_of(self)

    def restore(self, state: State) -> None:
        """Set a state that hooks attached with the same arguments returned."""
        restore_attributes(self, state)


def overrides(hooks: Hooks, name: str) -> bool:
    """Whether these hooks have their own form of the hook `name`; the others need not be called in every step."""
    return getattr(type(hooks), name) is not getattr(Hooks, name)


_INTERFACES: list[type] = [Hooks]  # the classes whose public names `check_names` compares with a subclass's


class Regularizer(Hooks):
    """A regularization method. Subclasses are frozen, keyword-only dataclasses whose defaults are the paper's values.

    Class attributes:
        acts_on: kinds of sites it needs; a network that has none of them is skipped with a reason. Empty if it needs
            no site (penalties, optimizer settings).
        also_acts_on: other sites that it fills if there are any, in words, for `regarena show`.
        acts_on_tokens: whether it may fill dense sites that hold several vectors for each sample, (T, D), as in
            transformers; if not, a network whose chosen sites hold some is skipped with a reason.
        needs_layer_behind: whether it also needs the weight layer that reads a site; skipped where no site has one.
        needs_class_targets: whether targets must be class probabilities; a regression task skips it then.
        needs_input_units: whether it must know the units of the inputs (`Context.input_space`); a task with unknown
            units skips it then.
        off: field values that switch it off; training is then the baseline's, bit for bit.
        eval_is_identity: whether its sites pass values through unchanged in eval mode, as inverted masks do; False for
            those that multiply by keep rates there.
        only_measures: whether it only logs; training with it is the baseline's, bit for bit.
        source: paper, with section or equation.
        formula: what it computes, in one line.
    """

    acts_on: ClassVar[tuple[str, ...]] = ()
    also_acts_on: ClassVar[str] = ""
    acts_on_tokens: ClassVar[bool] = False
    needs_layer_behind: ClassVar[bool] = False
    needs_class_targets: ClassVar[bool] = False
    needs_input_units: ClassVar[bool] = False
    off: ClassVar[Mapping[str, Scalar]] = {}
    eval_is_identity: ClassVar[bool] = True
    only_measures: ClassVar[bool] = False
    source: ClassVar[str] = ""
    formula: ClassVar[str] = ""

    def chosen_sites(self, network: nn.Module) -> list[Site]:
        """The sites that it fills; override to make the place a hyperparameter."""
        return sites_of(network, self.acts_on)

    def skip_reason(self, network: nn.Module) -> str | None:
        """Why this regularizer makes no sense in `network` (sites measured), or None if it does."""
        chosen = self.chosen_sites(network)
        if chosen and self.needs_layer_behind and all(site.next_layer is None for site in chosen):
            return f"{type(self).__name__} needs a site that one weight layer reads; the network has none."
        if not self.acts_on or chosen:
            return None
        kinds = " or ".join(self.acts_on)
        if sites_of(network, self.acts_on):
            return f"{type(self).__name__} as set here chooses none of the network's {kinds} sites."
        article = "an" if kinds.startswith("input") else "a"
        return f"{type(self).__name__} needs {article} {kinds} site; the network has none."

    def reason_against_inputs(self, space: InputSpace | None) -> str | None:
        """Why it cannot act on inputs of this space (None if their units are unknown), or None if it can."""
        if self.needs_input_units and space is None:
            return f"{type(self).__name__} needs the units of the inputs; whitening mixes pixels, so none are left."
        return None

    def reason_against_tokens(self, network: nn.Module) -> str | None:
        """Why it cannot act in `network` (sites measured) because of sites that hold tokens, or None if it can."""
        if self.acts_on_tokens:
            return None
        for site in self.chosen_sites(network):
            if site.holds_tokens:
                return (
                    f"{type(self).__name__} needs dense sites with one vector per sample; {site.name} holds tokens, "
                    f"{site.shape}."
                )
        return None

    def idle_reason(self, num_epochs: int) -> str | None:
        """Why training for `num_epochs` with this regularizer equals the baseline's; None if it differs."""
        name = type(self).__name__
        if self.only_measures:
            return f"{name} only measures."
        if not changes_training(type(self), Regularizer):
            return f"{name} overrides no hook that can change training."
        if self.off and all(getattr(self, field) == value for field, value in self.off.items()):
            return f"{name} is switched off by its defaults."
        return None

    def fields_without_effect(self) -> Mapping[str, str]:
        """Fields that change nothing at these values, and for each the field whose value makes it so.

        A search leaves them out where that other field is not tuned.
        """
        return {}

    def fill(self, site: Site, context: Context) -> nn.Module | None:
        """The module to place in `site`, or None for nothing."""
        return None

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """Fill the sites and return the hooks of this training; by default the regularizer itself."""
        for site in self.chosen_sites(network):
            filling = self.fill(site, context)
            if filling is not None:
                site.fill(filling)
        return self


_INTERFACES.append(Regularizer)
