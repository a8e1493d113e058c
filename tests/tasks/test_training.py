"""The training loop: its hooks in order, its schedule, what it reports, and when it gives up."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
import torch
from tiny_tasks import (
    IMAGE_TASK,
    TINY_TASKS,
    prepared,
    tiny,
    trained,
    trained_in_two_parts,
    weights_of,
    with_pins,
)
from torch import Tensor, nn
from torch.linalg import LinAlgError  # type: ignore[attr-defined]  # exported, but not by a list of names

from harness.checks.tiny_tasks import CutAfter, CutOff
from tasks import classification
from tasks.datasets.batches import Split
from tasks.datasets.dataset import Splits
from tasks.datasets.in_memory import InMemory
from tasks.errors import Diverged
from tasks.experiments.demos.protocols import DIGITS
from tasks.optimizer import _parameter_groups
from tasks.protocols import Protocol
from tasks.regularizers.base import Batch, Context, History, Hooks, OptimizerSettings, Regularizer, Step
from tasks.regularizers.dropblock_sample import DropBlockSample
from tasks.regularizers.dropout import Dropout
from tasks.regularizers.early_stopping import EarlyStopping
from tasks.regularizers.localdrop import LocalDrop
from tasks.regularizers.nuclear_norm import NuclearNorm
from tasks.regularizers.weight_decay import WeightDecay
from tasks.regularizers.weighted_trace_norm import WeightedTraceNorm
from tasks.runtime.trained import Trained
from tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Recorder(Regularizer):
    """Writes down which hook is called, and changes nothing."""

    calls: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    stop_at: int = 10**9
    changes_weights: bool = False

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        self.calls.append("attach")
        return self

    def optimizer_settings(self, settings: OptimizerSettings) -> OptimizerSettings:
        self.calls.append("optimizer_settings")
        return settings

    def progress(self, fraction: float) -> None:
        self.calls.append("progress")

    def transform_raw(self, inputs: Tensor, step: Step) -> Tensor:
        self.calls.append("transform_raw")
        assert inputs.dtype == torch.uint8
        return inputs

    def transform_batch(self, batch: Batch, step: Step) -> Batch:
        self.calls.append("transform_batch")
        assert step.batch is None
        return Batch(batch.inputs, batch.targets)

    def penalty(self, step: Step) -> Tensor | None:
        self.calls.append("penalty")
        return None

    def compute_gradients(self, backward: Callable[[], Tensor], step: Step) -> Tensor:
        self.calls.append("compute_gradients")
        return backward()

    def after_step(self, step: Step) -> None:
        self.calls.append("after_step")
        self.steps.append(step)

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        self.calls.append("after_epoch")
        return {"recorder.epoch": float(epoch)}

    def should_stop(self, history: History) -> bool:
        self.calls.append("should_stop")
        return len(history.values) >= self.stop_at

    def finish(self, network: nn.Module) -> bool:
        self.calls.append("finish")
        return self.changes_weights


@dataclass(frozen=True, kw_only=True)
class Scripted(Regularizer):
    """Says when training diverges or how its weights are spoilt."""

    transform: Callable[[Batch, Step], Batch] = lambda batch, step: batch

    def transform_batch(self, batch: Batch, step: Step) -> Batch:
        return self.transform(batch, step)


NOT_CALLED = ("period_epochs", "period_steps", "state", "restore")  # in the course of a training
ONE_STEP = ["progress", "transform_raw", "transform_batch", "compute_gradients", "penalty", "after_step"]


def test_the_hooks_are_called_in_the_documented_order() -> None:
    recorder = Recorder()
    trained(tiny("digits-mlp", epochs=2, batch_size=64), recorder)
    epoch = [*ONE_STEP * 2, "after_epoch", "should_stop"]
    assert recorder.calls == ["attach", "optimizer_settings", *epoch * 2, "finish"]


def test_the_hooks_stand_in_their_class_in_the_order_of_their_calls() -> None:
    recorder = Recorder()
    trained(tiny("digits-mlp", epochs=1, batch_size=128), recorder)
    declared = [name for name in vars(Hooks) if not name.startswith("_") and name not in NOT_CALLED]
    # Gradients wrap the penalty: it is called from within.
    nested = [name for name in dict.fromkeys(recorder.calls) if name not in ("attach", "compute_gradients")]
    assert nested == [name for name in declared if name != "compute_gradients"]
    assert set(declared) <= set(recorder.calls)


def test_a_step_says_where_training_stands_and_holds_the_batch_trained_on() -> None:
    recorder = Recorder()
    training, _ = trained(tiny("digits-mlp", epochs=2, batch_size=32), recorder)
    steps = recorder.steps
    assert [step.index for step in steps] == list(range(8))
    assert [step.epoch for step in steps] == [1] * 4 + [2] * 4
    assert [step.progress for step in steps] == [index / 8 for index in range(8)]
    assert all(step.network is training.network for step in steps)
    assert all(step.batch is not None and len(step.batch.inputs) == 32 for step in steps)


def test_the_learning_rate_falls_at_the_milestones_of_the_protocol() -> None:
    recorder = Recorder()
    task = tiny("digits-mlp", epochs=4, batch_size=64, milestones=(0.5, 0.75), decay=0.1, learning_rate=0.2)
    trained(task, recorder)
    rates = [step.learning_rate for step in recorder.steps]
    assert rates == pytest.approx([0.2] * 4 + [0.02] * 2 + [0.002] * 2)


def test_without_momentum_a_step_goes_down_the_gradient_by_the_learning_rate() -> None:
    task = tiny("digits-mlp", epochs=1, batch_size=128, momentum=0.0, learning_rate=0.3, milestones=())
    training = prepared(task)
    before = weights_of(training.network)
    training.run_epoch(1)
    gradient = torch.cat([parameter.grad.flatten() for parameter in training.network.parameters()])
    torch.testing.assert_close(weights_of(training.network), before - 0.3 * gradient)


@pytest.mark.parametrize("name", TINY_TASKS)
def test_the_same_trial_twice_gives_the_same_values_bit_for_bit(name: str) -> None:
    task = TINY_TASKS[name]
    masks = with_pins(DropBlockSample(block_size=2), task)
    (one, first), (other, second) = trained(task, masks), trained(task, masks)
    assert torch.equal(weights_of(one.network), weights_of(other.network))
    assert first.curves == second.curves
    assert (first.final, first.best) == (second.final, second.best)


@pytest.mark.parametrize("name", TINY_TASKS)
def test_another_seed_gives_other_weights(name: str) -> None:
    task = TINY_TASKS[name]
    assert not torch.equal(weights_of(trained(task)[0].network), weights_of(trained(task, seed=1)[0].network))


@pytest.mark.parametrize("name", TINY_TASKS)
def test_evaluating_more_often_does_not_disturb_training(name: str) -> None:
    def weights(every: int) -> Tensor:
        task = tiny(name, epochs=4, evaluate_every_epochs=every)
        return weights_of(trained(task, with_pins(DropBlockSample(block_size=2), task))[0].network)

    assert torch.equal(weights(1), weights(4))


def test_each_point_of_the_curves_has_the_training_time_until_then_without_evaluations() -> None:
    outcome = prepared(IMAGE_TASK, Dropout()).run()
    seconds = [point.train_seconds for point in outcome.curves]
    assert None not in seconds
    assert seconds == sorted(seconds)
    assert {point.train_seconds for point in outcome.curves if point.epoch == 0} == {0.0}
    by_epoch = {epoch: {p.train_seconds for p in outcome.curves if p.epoch == epoch} for epoch in range(1, 3)}
    assert all(len(times) == 1 for times in by_epoch.values())
    assert seconds[-1] == outcome.train_seconds
    assert Trained.of(outcome.state()).curves == outcome.curves
    assert [point.train_seconds for point in Trained.of(outcome.state()).curves] == seconds


def test_the_curves_have_one_point_for_each_epoch_split_and_metric() -> None:
    task = tiny("digits-mlp", epochs=5, evaluate_every_epochs=2)
    _, outcome = trained(task, Recorder(changes_weights=True))
    assert max(Counter((point.epoch, point.split, point.metric) for point in outcome.curves).values()) == 1
    epochs = {(point.split, point.metric): [] for point in outcome.curves}
    for point in outcome.curves:
        epochs[point.split, point.metric].append(point.epoch)
    assert epochs["validation", "accuracy"] == epochs["test", "cross_entropy"] == [0, 2, 4, 5]
    assert epochs["train", "loss"] == epochs["regularizer", "recorder.epoch"] == [1, 2, 3, 4, 5]


def test_final_values_are_those_of_the_last_epoch_and_best_ones_of_the_best_validation() -> None:
    _, outcome = trained(tiny("digits-mlp", epochs=6))
    points = {(point.epoch, point.split): point.value for point in outcome.curves if point.metric == "accuracy"}
    best = max(range(1, 7), key=lambda epoch: points[epoch, "validation"])  # the first of equals
    for split in ("validation", "test"):
        assert outcome.final[split]["accuracy"] == points[6, split]
        assert outcome.best[split]["accuracy"] == points[best, split]
    assert (outcome.epochs_run, outcome.num_steps, outcome.stopped_early) == (6, 24, False)


def test_stopping_ends_training_and_is_told() -> None:
    _, outcome = trained(tiny("digits-mlp", epochs=6), Recorder(stop_at=2))
    assert (outcome.epochs_run, outcome.stopped_early) == (2, True)
    _, outcome = trained(tiny("digits-mlp", epochs=6), Recorder(stop_at=6))
    assert (outcome.epochs_run, outcome.stopped_early) == (6, False)


def test_early_stopping_goes_back_to_the_best_weights() -> None:
    task = tiny("digits-mlp", epochs=8)
    spoilt = Scripted(transform=lambda batch, step: spoil(batch) if step.epoch > 2 else batch)
    training, outcome = trained(task, spoilt, EarlyStopping(patience_fraction=0.25))
    values = [p.value for p in outcome.curves if (p.split, p.metric) == ("validation", "accuracy")][1:]
    best = values.index(max(values)) + 1  # the first point is the network before training
    assert (outcome.epochs_run, outcome.stopped_early) == (best + 2, True)
    assert {split: outcome.final[split] for split in outcome.best} == outcome.best
    twin = prepared(task, spoilt)
    for epoch in range(1, best + 1):
        twin.run_epoch(epoch)
    assert torch.equal(weights_of(training.network), weights_of(twin.network))


@pytest.mark.parametrize("epochs_left", [1, 4, 5], ids=lambda number: f"{number} epochs left")
def test_wherever_a_training_is_cut_off_its_end_is_the_same(epochs_left: int) -> None:
    task = tiny("digits-mlp", epochs=8, augmentation=("crop", "flip"), milestones=(0.3, 0.6))
    contestants = Dropout(drop_rate=0.1), spoilt_after(4), EarlyStopping(patience_fraction=0.25)
    whole, expected = trained(task, *contestants)
    assert expected.stopped_early, "two epochs after the best one, to whose weights it goes back"
    broken, outcome = trained_in_two_parts(task, *contestants, first_epochs=expected.epochs_run - epochs_left)
    assert torch.equal(weights_of(broken.network), weights_of(whole.network))
    assert outcome.curves == expected.curves
    assert (outcome.final, outcome.best, outcome.num_steps) == (expected.final, expected.best, expected.num_steps)


@pytest.mark.parametrize("pauses", [(1,), (2, 5), (3, 3)], ids=str)
def test_a_training_that_pauses_tells_what_the_whole_one_measures_there_and_ends_as_it(pauses: tuple[int, ...]) -> None:
    task = tiny("digits-mlp", epochs=8, augmentation=("crop", "flip"), milestones=(0.3, 0.6))
    contestants = Dropout(drop_rate=0.1), spoilt_after(4), EarlyStopping(patience_fraction=0.25)
    whole, expected = trained(task, *contestants)
    kept = CutAfter(10**9)
    for epoch in pauses:
        paused = prepared(task, *contestants).run(kept, until_epoch=epoch)
        measured = {(p.split, p.metric): p.value for p in expected.curves if p.epoch == epoch}
        assert paused.epochs_run == epoch
        assert paused.paused["validation"]["accuracy"] == measured["validation", "accuracy"]
    earlier = prepared(task, *contestants).run(kept, until_epoch=1)
    assert earlier.epochs_run == 1, "a state of a later part is not gone on with"
    kept_last = CutAfter(10**9)
    prepared(task, *contestants).run(kept_last, until_epoch=pauses[-1])
    training = prepared(task, *contestants)
    outcome = training.run(kept_last)
    assert torch.equal(weights_of(training.network), weights_of(whole.network))
    assert outcome.curves == expected.curves
    assert (outcome.final, outcome.best, outcome.paused) == (expected.final, expected.best, {})


def test_a_value_at_a_pause_that_is_not_finite_is_a_divergence() -> None:
    task = tiny("digits-mlp", epochs=4)
    training = prepared(task)
    training._evaluate = lambda network: {"validation": {"accuracy": math.nan}}
    with pytest.raises(Diverged, match="validation accuracy after epoch 1 is nan"):
        training.run(until_epoch=1)


def test_the_seconds_of_both_parts_of_a_training_count() -> None:
    task = tiny("digits-mlp", epochs=4)
    kept = CutAfter(2)
    with pytest.raises(CutOff):
        prepared(task).run(kept)
    before = Trained.of(kept.load()["trained"])
    after = prepared(task).run(kept)
    assert 0 < before.train_seconds < after.train_seconds
    assert 0 < before.evaluation_seconds < after.evaluation_seconds


def spoilt_after(epochs: int) -> Regularizer:
    return Scripted(transform=lambda batch, step: spoil(batch) if step.epoch > epochs else batch)


def spoil(batch: Batch) -> Batch:
    """Train towards the wrong classes."""
    return Batch(batch.inputs, batch.targets.roll(1, dims=1))


def test_a_loss_that_is_not_a_number_is_a_divergence_that_names_the_epoch() -> None:
    broken = Scripted(
        transform=lambda batch, step: Batch(batch.inputs * math.nan, batch.targets) if step.epoch == 2 else batch
    )
    with pytest.raises(Diverged, match="training loss of epoch 2 is nan"):
        trained(IMAGE_TASK, broken)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_validation_value_that_is_not_finite_is_a_divergence(value: float) -> None:
    training = prepared(IMAGE_TASK)
    training._evaluate = lambda network: {"validation": {"accuracy": value}}
    with pytest.raises(Diverged, match="validation accuracy after epoch 1"):
        training.run()


class Untouchable(Split):
    """A split that may stand there but not be read."""

    def in_order(self, batch_size: int = 1000) -> object:  # type: ignore[override]  # of one kind of samples
        raise AssertionError("the test split was read")


def test_a_trial_without_test_never_reads_the_test_split(monkeypatch: pytest.MonkeyPatch) -> None:
    splits_of = InMemory.splits

    def guarded(dataset: InMemory, *arguments: object) -> Splits:
        splits = splits_of(dataset, *arguments)
        return replace(splits, test=Untouchable(**vars(splits.test)))

    monkeypatch.setattr(InMemory, "splits", guarded)
    outcome = prepared(IMAGE_TASK, Dropout(), with_test=False).run()
    assert not any(point.split == "test" for point in outcome.curves)
    assert "test" not in {*outcome.final, *outcome.best}
    with pytest.raises(AssertionError, match="test split was read"):
        prepared(IMAGE_TASK, Dropout(), with_test=True).run()


def test_values_with_and_without_test_are_the_same() -> None:
    values = [
        [point for point in prepared(IMAGE_TASK, Dropout(), with_test=flag).run().curves if point.split != "test"]
        for flag in (True, False)
    ]
    assert values[0] == values[1]


def test_weight_decay_leaves_alone_what_regularizers_bring() -> None:
    network = prepared(IMAGE_TASK).network
    site = next(module for module in network.modules() if type(module).__name__ == "Site")
    brought = nn.Linear(2, 2)
    site.fill(brought)
    own, others = _parameter_groups(network, 0.1)
    assert (own["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert set(map(id, others["params"])) == set(map(id, brought.parameters()))
    assert len(own["params"]) + 2 == len(list(network.parameters()))


def test_the_number_of_parameters_is_that_of_the_network_without_its_regularizers() -> None:
    assert prepared(IMAGE_TASK, LocalDrop()).num_parameters == prepared(IMAGE_TASK).num_parameters


@pytest.mark.parametrize("progress", [0.0, 0.49, 0.5, 0.74, 0.75, 1.0])
def test_a_protocol_multiplies_by_its_decay_at_each_milestone_passed(progress: float) -> None:
    protocol = replace(DIGITS, milestones=(0.5, 0.75), decay=0.2)
    passed = int(progress >= 0.5) + int(progress >= 0.75)
    assert protocol.learning_rate_factor(progress) == pytest.approx(0.2**passed)


def test_a_scale_replaces_epochs_and_leaves_the_rest_and_an_unknown_one_is_refused() -> None:
    assert DIGITS.at("paper") is DIGITS
    smoke = DIGITS.at("smoke")
    changed = {f.name for f in dataclasses.fields(Protocol) if getattr(smoke, f.name) != getattr(DIGITS, f.name)}
    assert changed == {*DIGITS.scales["smoke"], "full_epochs"}
    with pytest.raises(ValueError, match=r"one of paper, .*, got 'tiny'"):
        DIGITS.at("tiny")


def test_the_optimizer_starts_from_the_protocol_and_regularizers_change_it() -> None:
    training = prepared(tiny("digits-mlp", momentum=0.7, nesterov=True), WeightDecay(rate=0.01))
    (group,) = training._optimizer.param_groups
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.7, True, 0.01)


def evaluated_splits(monkeypatch: pytest.MonkeyPatch, task: Task, regularizers: Sequence[Regularizer]) -> list[Split]:
    seen: list[Split] = []
    original = classification.evaluate
    monkeypatch.setattr(
        classification, "evaluate", lambda net, split, names: seen.append(split) or original(net, split, names)
    )
    prepared(task, *regularizers).run()
    return seen


def test_training_accuracy_is_read_once_at_the_end_and_on_training_images(monkeypatch: pytest.MonkeyPatch) -> None:
    training = prepared(IMAGE_TASK)
    seen = evaluated_splits(monkeypatch, IMAGE_TASK, [])
    assert len(seen[-1]) == len(training.batches.split)  # type: ignore[attr-defined]  # data in memory
    assert [len(split) for split in seen].count(len(training.batches.split)) == 1  # type: ignore[attr-defined]  # data in memory


@pytest.mark.parametrize(
    ("name", "regularizer"),
    [
        ("shallow-linear-dropblock", NuclearNorm()),
        ("synthetic-ratings-factors", WeightedTraceNorm()),
        ("digits-mlp", LocalDrop(m=1)),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_decomposition_of_weights_that_are_not_finite_is_a_divergence(name: str, regularizer: Regularizer) -> None:
    task = tiny(name, epochs=2, **({"batch_size": 128} if name == "digits-mlp" else {}))  # one step to an epoch
    with pytest.raises(Diverged, match="weights are no longer finite"):
        trained(task, LosesWeights(), regularizer)


@dataclass(frozen=True, kw_only=True)
class LosesWeights(Regularizer):
    def after_step(self, step: Step) -> None:
        with torch.no_grad():
            for parameter in step.network.parameters():
                parameter.fill_(math.nan)


def test_the_same_error_with_finite_weights_is_none() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Failing(Regularizer):
        def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
            raise LinAlgError("The algorithm failed to converge.")

    with pytest.raises(LinAlgError):
        prepared(tiny("digits-mlp", epochs=1), Failing()).run()
