"""Laws of contestants on tiny tasks: what training with a regularizer does, and what it must leave alone."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from harness.checks.entrant import Entrant, probes, settings_in_words
from harness.checks.law import noting
from harness.checks.tiny_tasks import (
    TINY_TASKS,
    prepared,
    tasks_for,
    trained,
    trained_in_two_parts,
    weights_after,
    weights_of,
    with_pins,
)
from harness.contestants import BASELINE
from search_spaces.space import Space
from tasks.regularizers.base import Batch, Context, Scalar, Step
from tasks.regularizers.chain import Chain
from tasks.regularizers.none import Unregularized
from tasks.runtime.trained import Trained
from tasks.training import Training

BASELINE_PAIR = (BASELINE, Unregularized())


def trains_like_the_baseline_when_switched_off(entrant: Entrant) -> Iterator[str]:
    """With the values of `off`, training ends in the baseline's weights, bit for bit."""
    if not entrant.cls.off:
        return
    off = entrant.cls(**entrant.cls.off)
    for name, task in tasks_for(off).items():
        with noting(f"on {name}"):
            weights = weights_after(task, (entrant.name, off))
        if not torch.equal(weights, baseline_weights(name)):
            values = settings_in_words(entrant.cls.off)
            yield f"{entrant.called} with {values} trains otherwise than `{BASELINE}` on {name}."


def passes_values_through_unchanged_in_eval_mode(entrant: Entrant) -> Iterator[str]:
    """In eval mode the network computes what it does without it, unless it declares `eval_is_identity = False`."""
    if not entrant.cls.eval_is_identity:
        return
    for name, task in entrant.tasks.items():
        with noting(f"on {name}"):
            plain, regularized = prepared(task), prepared(task, entrant.on(task))
        regularized.hooks.progress(0.5)
        plain.network.eval()
        regularized.network.eval()
        raw = next(plain.batches.epoch())
        x = plain.batches.normalised(raw.inputs)
        if not torch.equal(weights_of(plain.network), weights_of(regularized.network)):
            yield f"{entrant.called} changes the weights of the network before training on {name}."
        elif not torch.equal(plain.network(x), regularized.network(x)):
            yield (
                f"{entrant.called} changes what the network computes in eval mode on {name}; declare eval_is_identity "
                "= False if that is meant."
            )


def leaves_inputs_that_are_indices_as_they_are(entrant: Entrant) -> Iterator[str]:
    """Where inputs are whole numbers, such as users and items, it does not change them, with any setting."""
    for name, task in entrant.tasks.items():
        for values in ({}, *_some_of(entrant.space)):
            with noting(f"on {name}"):
                training = prepared(task, entrant.on(task, **values))
                inputs = training.batches.normalised(next(training.batches.epoch()).inputs)
                if inputs.is_floating_point():
                    break
                changed = training.hooks.transform_batch(Batch(inputs, inputs), _first_step(training)).inputs
            if not torch.equal(changed, inputs):
                where = f" with {settings_in_words(values)}" if values else ""
                yield (
                    f"{entrant.called}{where} changes the inputs of {name}, which are indices; declare acts_on = "
                    '("input",), which skips such tasks, or return a batch as it is where its inputs are no floats.'
                )
                break


def gives_the_same_weights_twice(entrant: Entrant) -> Iterator[str]:
    """The same trial on the same machine ends in the same weights, bit for bit."""
    if not torch.equal(weights_after(entrant.home, entrant.on(entrant.home)), entrant.weights):
        yield f"{entrant.called} trains to other weights when the same trial runs again; draw from step.rng or masks()."


def ends_after_a_break_as_without_one(entrant: Entrant) -> Iterator[str]:
    """A training that is cut off and continued from a checkpoint ends the same, bit for bit."""
    task, contestant = entrant.home, entrant.on(entrant.home)
    whole, expected = entrant.trained
    broken, outcome = trained_in_two_parts(lambda: prepared(task, contestant))
    states = whole.network.state_dict().values(), broken.network.state_dict().values()
    if not all(map(torch.equal, *states)) or _without_times(outcome) != _without_times(expected):
        yield (
            f"{entrant.called} ends otherwise when a training is cut off and goes on from a checkpoint; `state` and "
            "`restore` of its hooks must keep all that they remember."
        )


def draws_from_its_seed_alone(entrant: Entrant) -> Iterator[str]:
    """The same seed gives the same draws, another seed others (if it draws at all)."""
    first, second = two_gradients(entrant, seed=0)
    if not torch.equal(first, two_gradients(entrant, seed=0)[0]):
        yield f"{entrant.called} gives other gradients for the same seed."
    draws_at_all = not torch.equal(first, second)
    if torch.equal(first, two_gradients(entrant, seed=1)[0]) == draws_at_all:
        yield f"{entrant.called} does not draw from the seed of the trial: seeds 0 and 1 give the same gradients."


def _global_states() -> tuple[bytes, bytes]:
    """The states of the global generators of torch and numpy."""
    return torch.get_rng_state().numpy().tobytes(), pickle.dumps(np.random.get_state())  # noqa: NPY002  # read only


def neither_reads_nor_moves_the_global_generators(entrant: Entrant) -> Iterator[str]:
    """Its draws must not shift those of other code, nor depend on them."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002  # the global generator is the subject here
    before = _global_states()
    first = two_gradients(entrant, seed=0)[0]
    moved = _global_states() != before
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002  # likewise
    if moved or not torch.equal(first, two_gradients(entrant, seed=0)[0]):
        yield f"{entrant.called} draws from a global generator; draw from step.rng, or from context.masks(...)."


def ends_in_finite_values_with_its_defaults(entrant: Entrant) -> Iterator[str]:
    """On every tiny task that it fits, the final weights and all logged values are finite."""
    for name, task in entrant.tasks.items():
        with noting(f"on {name}"):
            training, outcome = entrant.trained if task is entrant.home else trained(task, entrant.on(task))
        if not torch.isfinite(weights_of(training.network)).all():
            yield f"{entrant.called} ends in weights that are not finite on {name}."
        if strange := [point for point in outcome.curves if not math.isfinite(point.value)]:
            yield f"{entrant.called} logs {strange[0].metric} = {strange[0].value} on {name}."


def is_not_changed_by_the_baseline_beside_it(entrant: Entrant) -> Iterator[str]:
    """Combined with the baseline, before and after it, it trains as alone."""
    beside = weights_after(entrant.home, BASELINE_PAIR, entrant.on(entrant.home), BASELINE_PAIR)
    if not torch.equal(beside, entrant.weights):
        yield f"{entrant.called} trains otherwise beside `{BASELINE}` than alone."


def changes_training_unless_it_says_otherwise(entrant: Entrant) -> Iterator[str]:
    """With its defaults or some values of its space, training differs from the baseline's; never if `only_measures`."""
    if entrant.name == BASELINE:
        return
    name = next(name for name, task in entrant.tasks.items() if task is entrant.home)
    expected = baseline_weights(name)
    if entrant.cls.only_measures:
        if not torch.equal(entrant.weights, expected):
            yield f"{entrant.called} declares only_measures, but changes the training on {name}."
        return
    if not torch.equal(entrant.weights, expected):
        return
    for values in ({}, *_some_of(entrant.space)):
        regularizer = entrant.cls(**values)
        for other, task in entrant.tasks.items():
            if task.skip_reason(regularizer) is None and not torch.equal(
                weights_after(task, (entrant.name, with_pins(regularizer, task))), baseline_weights(other)
            ):
                return
    yield (
        f"{entrant.called} changes nothing: training with it on {name} ends in the weights of `{BASELINE}` bit for "
        "bit, by default and in its search space. Override the hook that acts, or declare only_measures."
    )


def says_in_one_sentence_where_it_makes_no_sense(entrant: Entrant) -> Iterator[str]:
    """The reasons of `skip_reason` are single sentences, and some tiny task does not skip it."""
    reasons = [task.skip_reason(entrant.cls()) for task in TINY_TASKS.values()]
    if None not in reasons:
        yield f"{entrant.called} fits none of the tasks {', '.join(TINY_TASKS)}: {reasons[0]}"
    for reason in filter(None, reasons):
        if not reason.endswith(".") or "\n" in reason or entrant.called not in reason:
            yield f"skip_reason must give one sentence that names {entrant.called}, got {reason!r:.200}."


@cache
def baseline_weights(task: str) -> Tensor:
    """The weights of the baseline on one of the tiny tasks."""
    return weights_after(TINY_TASKS[task], BASELINE_PAIR)


def two_gradients(entrant: Entrant, seed: int) -> tuple[Tensor, Tensor]:
    """Gradients of two successive steps on the same batch and weights, which differ only by the random draws."""
    training = prepared(entrant.home)
    context = Context(
        seed=seed,
        device=torch.device("cpu"),
        name="",
        num_train_samples=training.batches.num_samples,
        num_epochs=1,
        num_steps=2,
        learning_rate=0.1,
        input_space=training.batches.input_space,
    )
    chain = Chain.attach([entrant.on(entrant.home)], training.network, context)
    chain.progress(0.5)
    raw = next(training.batches.epoch())
    gradients = []
    for index in range(2):
        step = replace(_first_step(training), index=index)
        inputs = training.batches.normalised(chain.transform_raw(raw.inputs, step))
        step = replace(step, batch=chain.transform_batch(Batch(inputs, raw.targets), step))
        chain.compute_gradients(lambda step=step: _backward(training.network, chain, step), step)  # type: ignore[misc]  # bound now
        gradients.append(torch.cat([p.grad.flatten() for p in training.network.parameters() if p.grad is not None]))
    return gradients[0], gradients[1]


def _first_step(training: Training) -> Step:
    return Step(
        network=training.network.train(),
        loss=training._batch_loss,
        rng=np.random.default_rng(0),
        index=0,
        epoch=1,
        progress=0.5,
        learning_rate=0.1,
    )


def _backward(network: nn.Module, chain: Chain, step: Step) -> Tensor:
    network.zero_grad()
    assert step.batch is not None
    loss, penalty = step.loss(step.batch), chain.penalty(step)
    (loss if penalty is None else loss + penalty).backward()  # type: ignore[no-untyped-call]  # torch has no type
    return loss.detach()


def _some_of(space: Space) -> Iterator[dict[str, Scalar]]:
    """Both corners of a space and its middle, then each end of each range alone."""
    values = {field: probes(scope) for field, scope in space.items()}
    for place in (0, -1, 1):
        if values:
            yield {field: each[min(place, len(each) - 1)] for field, each in values.items()}
    yield from ({field: value} for field, each in values.items() for value in each)


def _without_times(outcome: Trained) -> dict[str, object]:
    return {name: value for name, value in vars(outcome).items() if not name.endswith("_seconds")}
