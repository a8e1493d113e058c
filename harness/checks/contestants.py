"""The laws of contestants: what every regularizer must fulfil."""

from __future__ import annotations

import dataclasses
import math
import pickle
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, get_type_hints

import numpy as np
import torch
from torch import Tensor, nn

from harness.checks.law import Law
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
from harness.field_docs import field_docs
from harness.spaces import fault_of_space, space_of
from search_spaces.space import Choice, Integer, Range, Space
from tasks.regularizers import REGULARIZERS
from tasks.regularizers.base import Batch, Chain, Context, Regularizer, Scalar, Step
from tasks.regularizers.none import Unregularized
from tasks.runtime.trained import Trained
from tasks.task import Task
from tasks.training import Training

BASELINE_PAIR = (BASELINE, Unregularized())
NO_NUMBERS = (math.nan, math.inf, -math.inf, -1.0, 1e30)  # values that few fields allow


@dataclass(frozen=True)
class Entrant:
    """The subject of these laws: a regularizer's name and class, and results that several laws use."""

    name: str
    cls: type[Any]

    @classmethod
    def of(cls, name: str) -> Entrant:
        """The regularizer of that name in the table."""
        return cls(name, REGULARIZERS[name])

    @property
    def called(self) -> str:
        """The name of its class, for messages."""
        return self.cls.__name__

    @cached_property
    def space(self) -> Space:
        """Its search space."""
        return space_of(self.name)

    @cached_property
    def kinds(self) -> dict[str, object]:
        """Its fields and the types that they are declared with."""
        hints = get_type_hints(self.cls)
        return {field.name: hints[field.name] for field in dataclasses.fields(self.cls)}

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The tiny tasks that do not skip it with its defaults."""
        return tasks_for(self.cls())

    @property
    def home(self) -> Task:
        """The first of these tasks, on which most laws train.

        Raises:
            LookupError: if all of them skip it.
        """
        if not self.tasks:
            raise LookupError(f"{self.called} is skipped on all of the tasks {', '.join(TINY_TASKS)}")
        return next(iter(self.tasks.values()))

    def on(self, task: Task, **values: Scalar) -> tuple[str, Regularizer]:
        """Its name, and a regularizer with these values, or the task's where the task pins a field."""
        return self.name, with_pins(self.cls(**values), task)

    @cached_property
    def trained(self) -> tuple[Training, Trained]:
        """A training on `home` with its defaults, and its results."""
        return trained(self.home, self.on(self.home))

    @cached_property
    def weights(self) -> Tensor:
        """The weights at the end of that training."""
        return weights_of(self.trained[0].network)

    def complaint(self, field: str, value: object) -> str | None:
        """The message with which it refuses a value; None if it accepts it."""
        try:
            self.cls(**{field: value})
        except ValueError as error:
            return str(error)
        return None


def is_a_frozen_keyword_only_dataclass(entrant: Entrant) -> Iterator[str]:
    """So its fields are the arguments of its constructor, and nothing changes them."""
    cls = entrant.cls
    if not (issubclass(cls, Regularizer) and dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen):
        yield f"{entrant.called} must be a frozen dataclass and a Regularizer."
    elif positional := [field.name for field in dataclasses.fields(cls) if not field.kw_only]:
        yield f"{entrant.called} takes {', '.join(positional)} by position; declare it with kw_only=True."


def has_defaults_of_the_types_that_its_fields_declare(entrant: Entrant) -> Iterator[str]:
    """Each field is a number, text or boolean."""
    for field, kind in entrant.kinds.items():
        default = vars(entrant.cls())[field]
        if type(default) is not (kind if isinstance(kind, type) else str):
            yield f"{entrant.called}.{field} is declared as {kind}, and its default is {default!r}."


def says_what_it_computes_and_where_that_comes_from(entrant: Entrant) -> Iterator[str]:
    """The attributes `formula` and `source`, which its card shows."""
    for attribute in ("formula", "source"):
        if not getattr(entrant.cls, attribute).strip():
            yield f"{entrant.called}.{attribute} is empty; its card shows it."


def begins_its_docstring_with_one_sentence(entrant: Entrant) -> Iterator[str]:
    """Lists show this sentence; they read it without importing the module."""
    first = (entrant.cls.__doc__ or "").strip().split("\n")[0]
    if not first.endswith(".") or first.startswith(f"{entrant.called}("):  # what a dataclass without one gets
        yield f"The docstring of {entrant.called} must begin with one line that is a sentence, got {first!r:.100}."


def trains_like_the_baseline_when_switched_off(entrant: Entrant) -> Iterator[str]:
    """With the values of `off`, bit for bit."""
    if not entrant.cls.off:
        return
    off = entrant.cls(**entrant.cls.off)
    for name, task in tasks_for(off).items():
        if not torch.equal(weights_after(task, (entrant.name, off)), baseline_weights(name)):
            yield f"{entrant.called} with {_settings(entrant.cls.off)} trains otherwise than `{BASELINE}` on {name}."


def passes_values_through_unchanged_in_eval_mode(entrant: Entrant) -> Iterator[str]:
    """Unless it declares `eval_is_identity = False`."""
    if not entrant.cls.eval_is_identity:
        return
    for name, task in entrant.tasks.items():
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


def gives_the_same_weights_twice(entrant: Entrant) -> Iterator[str]:
    """For the same trial on the same machine, bit for bit."""
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
    """So its draws do not shift those of other code."""
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
    """On every tiny task that it fits."""
    for name, task in entrant.tasks.items():
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


def names_only_its_fields_in_its_space(entrant: Entrant) -> Iterator[str]:
    """And each range has a source."""
    if fault := fault_of_space(entrant.space, entrant.cls):
        yield f"The search space of {entrant.name} does not fit: {fault}."


def is_constructed_by_every_corner_of_its_space(entrant: Entrant) -> Iterator[str]:
    """And by the middle of each range."""
    space = {field: probes(scope) for field, scope in entrant.space.items()}
    candidates: list[dict[str, Scalar]] = [{field: value} for field, values in space.items() for value in values]
    for corner in (0, -1):
        candidates.append({field: values[corner] for field, values in space.items()})
    for values in candidates:
        try:
            kept = vars(entrant.cls(**values))
        except ValueError as error:
            yield f"{entrant.called} refuses {_settings(values)}, which its search space proposes: {error}"
            continue
        if changed := [field for field, value in values.items() if kept[field] != value]:
            yield f"{entrant.called} changes {changed[0]} from what its search space proposes."


def refuses_bad_numbers_by_class_and_field(entrant: Entrant) -> Iterator[str]:
    """It refuses NaN; other extreme numbers it may accept, or refuse by a message that names class and field."""
    for field, kind in entrant.kinds.items():
        if kind is not float:
            continue
        for value in NO_NUMBERS:
            complaint = entrant.complaint(field, value)
            if complaint is None and math.isnan(value):
                yield f"{entrant.called}.{field} takes nan; refuse it with a ValueError in __post_init__."
            if complaint is not None and f"{entrant.called}.{field}" not in complaint:
                yield f"What refuses {field} = {value} must name {entrant.called}.{field}, got {complaint!r:.200}."


def enforces_the_range_behind_each_field(entrant: Entrant) -> Iterator[str]:
    """The comment behind a field, such as `# in [0, 1)` or `# >= 0`, is the range that is allowed."""
    for field, note in field_docs(entrant.cls).items():
        allowed, refused = probes_of_range(note, whole=entrant.kinds[field] is int)
        for value in allowed:
            if complaint := entrant.complaint(field, value):
                yield f"{entrant.called}.{field} refuses {value}, which is within {note!r}: {complaint}"
        for value in refused:
            complaint = entrant.complaint(field, value)
            if complaint is None:
                yield f"{entrant.called}.{field} takes {value}, which is not within {note!r}."
            elif not _is_good_complaint(complaint, f"{entrant.called}.{field}", str(value)):
                yield (
                    f"What refuses {field} = {value} must be one sentence that names {entrant.called}.{field} and ends "
                    f"with 'got {value}.', got {complaint!r:.200}."
                )


def takes_no_fraction_for_a_whole_number_and_no_text_for_a_number(entrant: Entrant) -> Iterator[str]:
    """Values may come from command lines and files, in other types than the field's."""
    others: dict[object, tuple[object, ...]] = {int: (2.5, 2.0, True, "2"), float: ("0.5", None)}
    for field, kind in entrant.kinds.items():
        for value in others.get(kind, ()):
            try:
                complaint = entrant.complaint(field, value)
            except TypeError as error:
                complaint = f"TypeError: {error}"
            owner = f"{entrant.called}.{field}"
            if complaint is None:
                yield f"{owner} takes {value!r}; refuse it with a ValueError in __post_init__."
            elif not (_is_good_complaint(complaint, f"{owner} must be ", repr(value))):
                yield (
                    f"What refuses {field} = {value!r} must read '{owner} must be ..., got {value!r}.', got "
                    f"{complaint!r:.200}."
                )


LAWS: tuple[Law[Entrant], ...] = (
    is_a_frozen_keyword_only_dataclass,
    has_defaults_of_the_types_that_its_fields_declare,
    says_what_it_computes_and_where_that_comes_from,
    begins_its_docstring_with_one_sentence,
    says_in_one_sentence_where_it_makes_no_sense,
    names_only_its_fields_in_its_space,
    is_constructed_by_every_corner_of_its_space,
    refuses_bad_numbers_by_class_and_field,
    enforces_the_range_behind_each_field,
    takes_no_fraction_for_a_whole_number_and_no_text_for_a_number,
    ends_in_finite_values_with_its_defaults,
    changes_training_unless_it_says_otherwise,
    trains_like_the_baseline_when_switched_off,
    passes_values_through_unchanged_in_eval_mode,
    gives_the_same_weights_twice,
    ends_after_a_break_as_without_one,
    draws_from_its_seed_alone,
    neither_reads_nor_moves_the_global_generators,
    is_not_changed_by_the_baseline_beside_it,
)


@cache
def baseline_weights(task: str) -> Tensor:
    """The weights of the baseline on one of the tiny tasks."""
    return weights_after(TINY_TASKS[task], BASELINE_PAIR)


def probes_of_range(note: str, *, whole: bool) -> tuple[list[float], list[float]]:
    """(allowed values, refused values) of the range at the beginning of a note; both are empty for other notes.

    Allowed ones are the included ends, then one inside; refused ones are just outside. `whole` gives integers.
    """
    if whole:
        inside, outside = probes_of_range(note, whole=False)
        below = [math.floor(value) for value in outside if value < min(inside)]
        above = [math.ceil(value) for value in outside if max(inside) < value < math.inf]
        return [int(value) for value in inside if value.is_integer()], [*below, *above]
    interval = re.match(r"in ([\[(])(-?[\d.]+), ([\d.]+)([\])])", note)
    if interval:
        low, high = float(interval[2]), float(interval[3])
        ends = [(low, interval[1] == "["), (high, interval[4] == "]")]
        inside = [value for value, included in ends if included] + [(low + high) / 2]
        return inside, [value for value, included in ends if not included] + [low - 0.1, high + 0.1]
    bound = re.match(r"(?:gamma |gamma or alpha |l )?(>=?) (-?[\d.]+(?:e-?\d+)?)", note)
    if bound:
        least = float(bound[2])
        if bound[1] == ">=":
            return [least, least + 1], [least - 0.1, least - 1, math.inf]
        return [least + 1], [least, least - 0.1]
    return [], []


def probes(scope: Range) -> list[Scalar]:
    """Both ends and the middle of a range, or all options."""
    if isinstance(scope, Choice):
        return list(scope.options)
    middle = math.sqrt(scope.low * scope.high) if scope.log else (scope.low + scope.high) / 2
    return [scope.low, round(middle) if isinstance(scope, Integer) else middle, scope.high]


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
        step = Step(
            network=training.network.train(),
            loss=training._batch_loss,
            rng=np.random.default_rng(0),
            index=index,
            epoch=1,
            progress=0.5,
            learning_rate=0.1,
        )
        inputs = training.batches.normalised(chain.transform_raw(raw.inputs, step))
        step = replace(step, batch=chain.transform_batch(Batch(inputs, raw.targets), step))
        chain.compute_gradients(lambda step=step: _backward(training.network, chain, step), step)  # type: ignore[misc]  # bound now
        gradients.append(torch.cat([p.grad.flatten() for p in training.network.parameters() if p.grad is not None]))
    return gradients[0], gradients[1]


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


def _settings(values: Any) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def _is_good_complaint(complaint: str, begin: str, value: str) -> bool:
    return begin in complaint and complaint.endswith(f"got {value}.") and "\n" not in complaint
