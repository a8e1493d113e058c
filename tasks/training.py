"""The training loop of all tasks, which calls the regularizers' hooks in their order."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tasks.datasets.batches import TrainingData
from tasks.datasets.pseudo_epochs import PseudoEpochs
from tasks.errors import Diverged
from tasks.optimizer import descent_by, optimizer_by
from tasks.protocols import Protocol
from tasks.regularizers.base import Batch, Context, History, Regularizer, Step
from tasks.regularizers.chain import Chain
from tasks.runtime.checkpointing import NOWHERE, Checkpoints
from tasks.runtime.divergence import divergence_named
from tasks.runtime.forward import execute_by
from tasks.runtime.graphs import Graphs, graphs_of
from tasks.runtime.state import State, Stateful, attributes_of, restore_attributes
from tasks.runtime.streams import Streams
from tasks.runtime.switches import Switches
from tasks.runtime.trained import Trained, number_of

Evaluate = Callable[[nn.Module], Mapping[str, Mapping[str, float]]]  # network -> split -> metric -> value
LossFunction = Callable[[Tensor, Tensor], Tensor]
OwnStep = Callable[[Batch, Step], Tensor]  # moves the weights by one step on the batch, returns its mean loss, detached
MakeOwnStep = Callable[[nn.Module], OwnStep | None]  # from the network with its sites filled


class Training:
    """A network, its regularizers, its data and its optimizer: everything that one training needs.

    Args:
        network: with its sites measured; the regularizers are attached to it here.
        regularizers: (name, regularizer) pairs, applied in this order.
        batches: the training data.
        loss: mean loss of outputs and targets.
        evaluate: measures the network on the splits it may see; called in eval mode without gradients. One that
            remembers earlier measurements has `state` and `restore` (see `tasks.runtime.state`).
        selection: (metric, higher_is_better) on the split `validation`, which selects the best epoch.
        protocol: epochs, optimizer and schedule, at the scale of this training.
        learning_rate: the initial learning rate.
        seed: of every random stream.
        evaluate_at_end: measures the trained network once, at the end: metrics that are too expensive for every
            evaluation, such as errors under attack, or that are of the training data. Called in eval mode without
            gradients; `torch.enable_grad` enables them. Its values are added to the final values of each split.
        own_step: returns a kernel of the task that makes a step of plain gradient descent, masks of the sites included;
            or None where it does not support their fillings. The kernel is used if no regularizer adds to the loss or
            changes the gradients, and the optimizer is SGD without momentum and weight decay; all other hooks are
            called. It receives the learning rate of the step.
        loss_of_labels: the same loss, up to rounding, from outputs and labels (B,), int64. It is faster, and used if
            all targets are one-hot and no regularizer changed those of the batch.
    """

    def __init__(
        self,
        network: nn.Module,
        regularizers: Sequence[tuple[str, Regularizer]],
        batches: TrainingData,
        loss: LossFunction,
        evaluate: Evaluate,
        *,
        selection: tuple[str, bool],
        protocol: Protocol,
        learning_rate: float,
        seed: int,
        evaluate_at_end: Evaluate | None = None,
        own_step: MakeOwnStep | None = None,
        loss_of_labels: LossFunction | None = None,
    ) -> None:
        batches = PseudoEpochs(batches, protocol.steps_per_epoch) if protocol.steps_per_epoch else batches
        self.network, self.batches, self.protocol = network, batches, protocol
        self.num_parameters = sum(each.numel() for each in network.parameters() if each.requires_grad)
        self._loss, self._evaluate, self._selection = loss, evaluate, selection
        self._loss_of_labels = loss_of_labels if batches.have_labels else None
        self._labels: _Labels | None = None  # of this step
        self._evaluate_at_end = evaluate_at_end
        self._num_steps = protocol.epochs * len(batches)
        self._evaluated_epochs = protocol.evaluated_epochs()
        self._index = 0
        self._streams = Streams()
        context = Context(
            seed=seed,
            device=batches.device,
            name="",
            num_train_samples=batches.num_samples,
            num_epochs=protocol.epochs,
            num_steps=self._num_steps,
            learning_rate=learning_rate,
            full_epochs=protocol.full_epochs,
            streams=self._streams,
            input_space=batches.input_space,
        )
        self.hooks = Chain.attach(regularizers, network, context)  # hook 1: attach to the network
        self._shows_batch = own_step is not None or self.hooks.listen_to("penalty", "compute_gradients", "after_step")
        self._streams.number_passes_of(network)
        execute_by(protocol.switches, network, batches.device)
        self.optimizer_settings = self.hooks.optimizer_settings(protocol.optimizer_settings(learning_rate))  # hook 2
        self._optimizer = optimizer_by(self.optimizer_settings, network)
        self._descent = descent_by(protocol.switches, self._optimizer)
        is_plain = (
            self.hooks.leaves_gradients_alone
            and self.optimizer_settings.reason_against_plain_steps() is None
            and protocol.switches == Switches()
        )
        self._own_step = own_step(network) if own_step and is_plain else None

    def run(self, checkpoints: Checkpoints = NOWHERE, until_epoch: int | None = None) -> Trained:
        """Train to the end, or until a regularizer stops it; resume from a checkpoint in `checkpoints`, if any.

        With `until_epoch` it pauses after that epoch, evaluates, and saves its state. A training constructed with the
        same arguments resumes from there and gives the same results, bit for bit, as one without a pause.

        Raises:
            Diverged: when the loss of an epoch, or the value that selects the best one, is not finite, or when a hook
                or an evaluation fails because the weights are not.
        """
        with divergence_named(self.network):
            return self._run(checkpoints, until_epoch)

    def _run(self, checkpoints: Checkpoints, until_epoch: int | None) -> Trained:
        saved = checkpoints.load()
        if saved is not None and until_epoch is not None and saved["trained"]["epochs_run"] > until_epoch:
            saved = None  # the checkpoint is past the pause: train up to the pause again
        trained = self._begin(saved)
        metric, higher_is_better = self._selection
        values = trained.values("validation", metric)
        for epoch in range(trained.epochs_run + 1, self.protocol.epochs + 1):
            if epoch - 1 == until_epoch:
                return self._paused(trained, checkpoints)
            checkpoints.offer(epoch - 1, partial(self.state, trained))
            loss, seconds = self.run_epoch(epoch)
            trained.train_seconds += seconds
            trained.num_steps += len(self.batches)
            trained.epochs_run = epoch
            started = time.perf_counter()
            logged = self.hooks.after_epoch(epoch, self.network)  # hook 8: weight surgery
            trained.train_seconds += time.perf_counter() - started
            trained.add_points(epoch, {"train": {"loss": loss}, "regularizer": logged})
            if epoch not in self._evaluated_epochs:
                continue
            trained.final = self._measure(epoch, trained)
            values.append(finite(trained.final["validation"][metric], f"validation {metric} after", epoch))
            history = History(
                network=self.network,
                values=values,
                higher_is_better=higher_is_better,
                num_evaluations=len(self._evaluated_epochs),
            )
            if history.newest_is_best:
                trained.best = trained.final
            if self.hooks.should_stop(history):  # hook 9
                trained.stopped_early = epoch < self.protocol.epochs
                break
        if self.hooks.finish(self.network):
            trained.final = self._measure(None, trained)
        self._measure_at_end(trained)
        return trained

    def run_epoch(self, epoch: int) -> tuple[float, float]:
        """All steps of one epoch; returns the mean training loss and the seconds they took."""
        return self.run_steps(self.batches.epoch(), epoch)

    def seek(self, index: int) -> None:
        """Set the step counter to `index`, so that schedules have their values of that step. Used to measure times."""
        self._index = index

    def evaluate(self) -> Mapping[str, Mapping[str, float]]:
        """One evaluation of the current network."""
        return self._measure(None, Trained())

    def run_steps(self, batches: Iterable[Batch], epoch: int) -> tuple[float, float]:
        """One step on each of these batches; returns the mean training loss and the seconds they took.

        Raises:
            Diverged: when that loss is not finite, or when a step fails because the weights are not.
        """
        started = time.perf_counter()
        if not self.hooks.listen_to("transform_raw"):
            self.batches.normalise_ahead()  # before the first of `batches` is made
        self.network.train()
        with divergence_named(self.network):
            losses = [self.step(batch, epoch) for batch in batches]
        loss = float(torch.stack(losses).mean())  # waits for the device, once per epoch
        seconds = time.perf_counter() - started
        return finite(loss, "training loss of", epoch), seconds

    def step(self, raw: Batch, epoch: int) -> Tensor:
        """One optimizer step on a batch of raw inputs; returns the loss without penalties, detached."""
        progress = self._index / self._num_steps
        self._set_learning_rate(progress)
        self.hooks.progress(progress)  # hook 3: schedules
        step = Step(
            network=self.network,
            loss=self._batch_loss,
            rng=_NO_STREAM,
            index=self._index,
            epoch=epoch,
            progress=progress,
            learning_rate=self._optimizer.param_groups[0]["lr"],
            gradients=self._descent.gradients,
        )
        inputs = self.hooks.transform_raw(raw.inputs, step)  # hook 4: augment images while they are bytes
        if self._loss_of_labels is not None:
            self._labels = _Labels.of(raw.targets)
        batch = Batch(self.batches.normalised(inputs), raw.targets)
        batch = self.hooks.transform_batch(batch, step)  # hook 5: augment, soften, attack
        if self._shows_batch:
            step = Step(**{**vars(step), "batch": batch})

        def backward() -> Tensor:
            self._optimizer.zero_grad(set_to_none=True)
            loss = self._batch_loss(batch)
            penalty = self.hooks.penalty(step)  # hook 6
            self._descent.backward(loss if penalty is None else loss + penalty)
            return loss.detach()

        if self._own_step is not None:
            loss = self._own_step(batch, step)
        else:
            loss = self.hooks.compute_gradients(backward, step)
            self._descent.step()
        self.hooks.after_step(step)  # hook 7: projections, alternating steps
        self._index += 1
        return loss

    def warm_up(self) -> None:
        """Run one training step and one batch in eval mode, so that all code is compiled, then restore the state."""
        for batch in self._rehearsed_batch():
            self.network.eval()
            with torch.no_grad():
                self.network(self.batches.normalised(batch.inputs))
            self.network.train()
            self.step(batch, epoch=1)

    def graphs(self) -> Graphs | None:
        """The graphs of a training pass, None without `--compile`; leaves the state as it is."""
        found = None
        for batch in self._rehearsed_batch() if self.protocol.switches.compile else ():
            self.network.train()
            found = graphs_of(self.network, self.batches.normalised(batch.inputs))
        return found

    def _rehearsed_batch(self) -> Iterator[Batch]:
        """Yield one batch; restore the state when the caller has finished with it."""
        before = copy.deepcopy(self.state(Trained()))
        yield from itertools.islice(self.batches.epoch(), 1)
        self.restore(before)

    def state(self, trained: Trained) -> State:
        """Everything that the next epochs depend on, and the results so far, between two epochs; tensors not copied."""
        return {
            "trained": trained.state(),
            "index": self._index,
            "weights": self.network.state_dict(),
            "buffers": dict(self.network.named_buffers()),  # state_dict leaves out the non-persistent ones
            "attributes": {name: attributes_of(module) for name, module in self.network.named_modules()},
            "descent": attributes_of(self._descent),
            "batches": self.batches.state(),
            "streams": self._streams.state(),
            "hooks": self.hooks.state(),
            "evaluation": self._evaluate.state() if isinstance(self._evaluate, Stateful) else {},
        }

    def restore(self, state: State) -> Trained:
        """Set the state of a training that was constructed with the same arguments; it resumes bit for bit."""
        self.network.load_state_dict(state["weights"])
        with torch.no_grad():
            for name, buffer in self.network.named_buffers():
                buffer.copy_(state["buffers"][name])
        for name, module in self.network.named_modules():
            restore_attributes(module, state["attributes"][name])
        restore_attributes(self._descent, state["descent"])
        self.batches.restore(state["batches"])
        self._streams.restore(state["streams"])
        self.hooks.restore(state["hooks"])
        if isinstance(self._evaluate, Stateful):
            self._evaluate.restore(state["evaluation"])
        self._index = state["index"]
        return Trained.of(state["trained"])

    def _begin(self, saved: State | None) -> Trained:
        """Restore the saved training; without one, evaluate the untrained network."""
        if saved is not None:
            return self.restore(saved)
        trained = Trained()
        self._measure(0, trained)
        return trained

    def _paused(self, trained: Trained, checkpoints: Checkpoints) -> Trained:
        """Save the state, then evaluate: in this order the evaluation does not affect the training that resumes."""
        checkpoints.keep(trained.epochs_run, partial(self.state, trained))
        metric, _ = self._selection
        trained.paused = self._measure(None, trained)
        finite(trained.paused["validation"][metric], f"validation {metric} after", trained.epochs_run)
        return trained

    def _batch_loss(self, batch: Batch) -> Tensor:
        outputs = self.network(batch.inputs)
        if self._loss_of_labels is not None and self._labels is not None and self._labels.are_those_of(batch.targets):
            return self._loss_of_labels(outputs, self._labels.labels)
        return self._loss(outputs, batch.targets)

    def _set_learning_rate(self, progress: float) -> None:
        learning_rate = self.optimizer_settings.learning_rate * self.protocol.learning_rate_factor(progress)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate

    @torch.no_grad()
    def _measure(self, epoch: int | None, trained: Trained) -> Mapping[str, Mapping[str, float]]:
        """Evaluate, and add the values to the curves at `epoch`; None adds no point: curves have one per epoch."""
        started = time.perf_counter()
        self.network.eval()
        with divergence_named(self.network):
            measured = self._evaluate(self.network)
        trained.evaluation_seconds += time.perf_counter() - started
        if epoch is not None:
            trained.add_points(epoch, measured)
        return measured

    @torch.no_grad()
    def _measure_at_end(self, trained: Trained) -> None:
        """Add the values of `evaluate_at_end` to the final values of each split."""
        if self._evaluate_at_end is None:
            return
        started = time.perf_counter()
        self.network.eval()
        for split, metrics in self._evaluate_at_end(self.network).items():
            trained.final = {**trained.final, split: {**trained.final.get(split, {}), **metrics}}
        trained.evaluation_seconds += time.perf_counter() - started


class _Labels(NamedTuple):
    """The labels of one-hot targets; valid until a regularizer replaces or changes the targets."""

    targets: Tensor
    version: int  # of the targets' content
    labels: Tensor

    @classmethod
    def of(cls, targets: Tensor) -> _Labels:
        """The labels of targets (B, K)."""
        return cls(targets, targets._version, targets.argmax(1))

    def are_those_of(self, targets: Tensor) -> bool:
        """Whether these targets are still the ones that the labels were read from."""
        return targets is self.targets and targets._version == self.version


_NO_STREAM = np.random.default_rng(0)  # replaced by each regularizer's own stream before a hook sees it


def finite(value: object, what: str, epoch: int) -> float:
    """`value` as a number.

    Raises:
        Diverged: if it is not finite; the message says `what` it is of which epoch.
    """
    number = number_of(value, f"{what} epoch {epoch}")
    if not np.isfinite(number):
        raise Diverged(f"The {what} epoch {epoch} is {number}.")
    return number
