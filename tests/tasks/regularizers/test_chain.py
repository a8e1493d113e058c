"""A chain of regularizers asks each of its parts, in order, and gives each a stream of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from tiny_tasks import IMAGE_TASK, prepared, weights_after
from torch import Tensor, nn

from tasks.regularizers.base import Batch, Context, History, Hooks, OptimizerSettings, Regularizer, Step
from tasks.regularizers.chain import Chain
from tasks.regularizers.dropout import Dropout
from tasks.regularizers.label_smoothing import LabelSmoothing
from tasks.regularizers.weight_decay import WeightDecay


@dataclass(frozen=True, kw_only=True)
class Part(Regularizer):
    """Leaves its letter wherever it is asked."""

    letter: str = ""
    asked: list[str] = field(default_factory=list)
    stops: bool = False

    def optimizer_settings(self, settings: OptimizerSettings) -> OptimizerSettings:
        return OptimizerSettings(learning_rate=settings.learning_rate * 10 + ord(self.letter) - ord("a") + 1)

    def progress(self, fraction: float) -> None:
        self.asked.append(f"{self.letter} progress")

    def transform_raw(self, inputs: Tensor, step: Step) -> Tensor:
        self.asked.append(f"{self.letter} raw {step.rng.random()}")
        return inputs * 2 + 1

    def transform_batch(self, batch: Batch, step: Step) -> Batch:
        self.asked.append(f"{self.letter} batch {step.rng.random()}")
        return Batch(batch.inputs * 2 + 1, batch.targets)

    def penalty(self, step: Step) -> Tensor | None:
        return torch.tensor(float(ord(self.letter) - ord("a") + 1)) if self.letter != "c" else None

    def compute_gradients(self, backward: Callable[[], Tensor], step: Step) -> Tensor:
        self.asked.append(f"{self.letter} before")
        loss = backward()
        self.asked.append(f"{self.letter} after")
        return loss

    def after_step(self, step: Step) -> None:
        self.asked.append(f"{self.letter} after_step")

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        return {self.letter: float(epoch)}

    def should_stop(self, history: History) -> bool:
        self.asked.append(f"{self.letter} should_stop")
        return self.stops

    def finish(self, network: nn.Module) -> bool:
        self.asked.append(f"{self.letter} finish")
        return self.stops


def chain_of(*parts: Part, seed: int = 0) -> Chain:
    context = Context(
        seed=seed,
        device=torch.device("cpu"),
        name="",
        num_train_samples=1,
        num_epochs=1,
        num_steps=1,
        learning_rate=1.0,
    )
    return Chain.attach([(part.letter, part) for part in parts], nn.Identity(), context)


def step_of() -> Step:
    return Step(
        network=nn.Identity(),
        loss=lambda batch: batch.inputs.sum(),
        rng=np.random.default_rng(0),
        index=0,
        epoch=1,
        progress=0.0,
    )


def three_parts(stops: str = "") -> tuple[list[str], Chain]:
    asked: list[str] = []
    return asked, chain_of(*(Part(letter=letter, asked=asked, stops=letter == stops) for letter in "abc"))


def test_settings_and_batches_pass_through_the_parts_in_order() -> None:
    _, chain = three_parts()
    assert chain.optimizer_settings(OptimizerSettings(learning_rate=0.0)).learning_rate == 123
    assert chain.transform_raw(torch.zeros(1), step_of()).tolist() == [7]
    assert chain.transform_batch(Batch(torch.zeros(1), torch.zeros(1)), step_of()).inputs.tolist() == [7]


def test_every_part_is_told_in_order() -> None:
    asked, chain = three_parts()
    chain.progress(0.5)
    chain.after_step(step_of())
    assert asked == [f"{letter} {hook}" for hook in ("progress", "after_step") for letter in "abc"]


def test_penalties_add_up_and_none_at_all_is_none() -> None:
    asked, chain = three_parts()
    assert float(chain.penalty(step_of()) or 0) == 3
    assert chain_of(Part(letter="c", asked=asked)).penalty(step_of()) is None


def test_the_first_part_wraps_the_gradients_of_all_others() -> None:
    asked, chain = three_parts()
    loss = chain.compute_gradients(lambda: torch.tensor(5.0), step_of())
    assert float(loss) == 5
    assert asked == ["a before", "b before", "c before", "c after", "b after", "a after"]


def test_what_the_parts_report_after_an_epoch_is_joined() -> None:
    assert three_parts()[1].after_epoch(7, nn.Identity()) == {"a": 7.0, "b": 7.0, "c": 7.0}


@dataclass(frozen=True, kw_only=True)
class Logging(Regularizer):
    """Logs under a key that others use, too."""

    key: str = "rate"
    value: float = 0.0

    def after_epoch(self, epoch: int, network: nn.Module) -> Mapping[str, float]:
        return {self.key: self.value}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("rate",), {"rate": 0.0}),
        (("rate", "rate"), {"a.rate": 0.0, "b.rate": 1.0}),
        (("rate", "loss"), {"a.rate": 0.0, "b.loss": 1.0}),
        (("rate/site.1", "rate/site.1"), {"a.rate/site.1": 0.0, "b.rate/site.1": 1.0}),
        (("a.rate", "b.rate"), {"a.rate": 0.0, "b.rate": 1.0}),
        (("base.rate", "base.rate"), {"a.base.rate": 0.0, "b.base.rate": 1.0}),
    ],
)
def test_two_parts_that_log_one_key_do_not_overwrite_each_other(
    keys: tuple[str, ...], expected: dict[str, float]
) -> None:
    parts = [
        (name, Logging(key=key, value=float(place))) for place, (name, key) in enumerate(zip("ab", keys, strict=False))
    ]
    context = Context(
        seed=0,
        device=torch.device("cpu"),
        name="",
        num_train_samples=1,
        num_epochs=1,
        num_steps=1,
        learning_rate=1.0,
    )
    assert Chain.attach(parts, nn.Identity(), context).after_epoch(1, nn.Identity()) == expected


@pytest.mark.parametrize("stops", ["", "a", "c"])
def test_any_part_can_stop_or_change_weights_and_every_one_is_asked(stops: str) -> None:
    asked, chain = three_parts(stops)
    history = History(network=nn.Identity(), values=[0.5], higher_is_better=True, num_evaluations=1)
    assert chain.should_stop(history) == bool(stops)
    assert chain.finish(nn.Identity()) == bool(stops)
    assert asked == [f"{letter} {hook}" for hook in ("should_stop", "finish") for letter in "abc"]


def test_each_part_draws_from_its_own_stream_whoever_stands_beside_it() -> None:
    asked, chain = three_parts()
    chain.transform_batch(Batch(torch.zeros(1), torch.zeros(1)), step_of())
    alone: list[str] = []
    chain_of(Part(letter="b", asked=alone)).transform_batch(Batch(torch.zeros(1), torch.zeros(1)), step_of())
    assert alone == [asked[1]]
    assert len({call.split()[-1] for call in asked}) == 3


def test_an_empty_chain_does_nothing() -> None:
    chain = chain_of()
    settings = OptimizerSettings(learning_rate=0.1)
    assert chain.optimizer_settings(settings) is settings
    assert chain.penalty(step_of()) is None
    assert chain.after_epoch(1, nn.Identity()) == {}
    assert not chain.finish(nn.Identity())


def test_parts_of_a_combination_act_together() -> None:
    both = weights_after(IMAGE_TASK, Dropout(), WeightDecay(rate=0.1))
    assert not torch.equal(both, weights_after(IMAGE_TASK, Dropout()))
    assert not torch.equal(both, weights_after(IMAGE_TASK, WeightDecay(rate=0.1)))
    # These two touch different things and draw nothing from each other, so their order is of no account.
    assert torch.equal(both, weights_after(IMAGE_TASK, WeightDecay(rate=0.1), Dropout()))


def test_masks_of_one_part_are_not_shifted_by_another() -> None:
    together, alone = prepared(IMAGE_TASK, LabelSmoothing(), Dropout()), prepared(IMAGE_TASK, Dropout())
    batch = next(alone.batches.epoch())
    inputs = alone.batches.split.normalised(batch.inputs)  # type: ignore[attr-defined]  # data in memory
    outputs = [training.network.train()(inputs) for training in (together, alone)]
    assert torch.equal(*outputs)


@pytest.mark.parametrize(
    ("values", "higher", "expected"),
    [
        ([0.5], True, True),
        ([0.5, 0.6], True, True),
        ([0.5, 0.5], True, False),
        ([0.5, 0.4], True, False),
        ([0.5, 0.4], False, True),
        ([0.4, 0.9, 0.4], False, False),
    ],
)
def test_a_value_is_the_best_when_it_beats_all_before_it(values: list[float], higher: bool, expected: bool) -> None:
    history = History(network=nn.Identity(), values=values, higher_is_better=higher, num_evaluations=3)
    assert history.newest_is_best == expected


def test_hooks_do_nothing_by_default() -> None:
    hooks, batch = Hooks(), Batch(torch.zeros(1), torch.zeros(1))
    assert hooks.transform_batch(batch, step_of()) is batch
    assert hooks.transform_raw(batch.inputs, step_of()) is batch.inputs
    assert hooks.penalty(step_of()) is None
    assert float(hooks.compute_gradients(lambda: torch.tensor(2.0), step_of())) == 2
    assert not hooks.should_stop(History(network=nn.Identity(), values=[], higher_is_better=True, num_evaluations=1))
