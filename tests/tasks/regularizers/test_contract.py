"""What every regularizer promises, measured for each by standing in the table."""

from __future__ import annotations

import dataclasses
import math
import re
from functools import cache
from typing import get_type_hints

import numpy as np
import pytest
import torch
from tiny_tasks import (
    TINY_TASKS,
    home_of,
    prepared,
    tasks_for,
    trained,
    trained_in_two_parts,
    weights_after,
    weights_of,
    with_pins,
)
from torch import Tensor, nn

from harness.command.field_docs import field_docs
from harness.spaces import space_of
from search_spaces.space import Choice, Integer, Range
from tasks.regularizers import ONLY_MEASURE, REGULARIZERS
from tasks.regularizers.base import Batch, Chain, Context, Regularizer, Scalar, Step
from tasks.regularizers.none import Unregularized
from tasks.runtime.trained import Trained
from tasks.training import Training

NAMES = sorted(REGULARIZERS)
SWITCHABLE = [name for name in NAMES if REGULARIZERS[name].off]
INVERTED = [name for name in NAMES if REGULARIZERS[name].eval_is_identity]
CELLS = [(name, task) for name in NAMES for task in tasks_for(REGULARIZERS[name]())]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_frozen_keyword_only_dataclass(name: str) -> None:
    regularizer = REGULARIZERS[name]
    assert issubclass(regularizer, Regularizer)
    assert dataclasses.is_dataclass(regularizer)
    assert regularizer.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(regularizer))


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_a_scalar_with_a_default_of_its_own_type(name: str) -> None:
    for field, kind in field_types(REGULARIZERS[name]).items():
        default = vars(REGULARIZERS[name]())[field]
        assert type(default) is (kind if isinstance(kind, type) else str), f"{field}: {kind} = {default!r}"


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_computes_and_where_that_comes_from(name: str) -> None:
    regularizer = REGULARIZERS[name]
    assert regularizer.formula.strip()
    assert regularizer.source.strip()


@pytest.mark.parametrize("name", NAMES)
def test_its_docstring_begins_with_one_sentence(name: str) -> None:
    first = (REGULARIZERS[name].__doc__ or "").split("\n")[0]
    assert first.endswith((".", ".)"))
    assert not first.startswith(f"{REGULARIZERS[name].__name__}(")  # what a dataclass without a docstring gets
    assert first == REGULARIZERS.summary(name)


def test_those_that_only_measure_are_left_out_of_suites_of_all_contestants() -> None:
    assert {name for name in NAMES if REGULARIZERS[name].only_measures} == set(ONLY_MEASURE)


@pytest.mark.parametrize("name", SWITCHABLE)
def test_switched_off_trains_exactly_like_the_baseline(name: str) -> None:
    off = REGULARIZERS[name](**REGULARIZERS[name].off)
    for task_name, task in tasks_for(off).items():
        assert torch.equal(weights_after(task, (name, off)), baseline_weights(task_name))


@pytest.mark.parametrize("name", INVERTED)
def test_eval_mode_passes_values_through_unchanged(name: str) -> None:
    for task in tasks_for(REGULARIZERS[name]()).values():
        regularizer = with_pins(REGULARIZERS[name](), task)
        plain, regularized = prepared(task), prepared(task, (name, regularizer))
        regularized.hooks.progress(0.5)
        plain.network.eval()
        regularized.network.eval()
        x = first_batch(plain).inputs
        assert torch.equal(weights_of(plain.network), weights_of(regularized.network))
        assert torch.equal(plain.network(x), regularized.network(x))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_trial_twice_gives_the_same_weights_bit_for_bit(name: str) -> None:
    task = home_of(name)
    assert torch.equal(weights_after(task, (name, with_pins(REGULARIZERS[name](), task))), default_weights(name))


@pytest.mark.parametrize("name", NAMES)
def test_cut_off_and_gone_on_with_elsewhere_it_ends_bit_for_bit_as_without_a_break(name: str) -> None:
    task = home_of(name)
    contestant = (name, with_pins(REGULARIZERS[name](), task))
    whole, expected = trained(task, contestant)
    broken, outcome = trained_in_two_parts(task, contestant)
    assert all(map(torch.equal, whole.network.state_dict().values(), broken.network.state_dict().values()))
    assert outcome.curves == expected.curves
    assert without_times(outcome) == without_times(expected)


@pytest.mark.parametrize("name", NAMES)
def test_its_draws_follow_from_the_seed_and_differ_between_seeds(name: str) -> None:
    first, second = two_gradients(name, seed=0)
    draws_at_all = not torch.equal(first, second)
    assert torch.equal(first, two_gradients(name, seed=0)[0])
    assert torch.equal(first, two_gradients(name, seed=1)[0]) != draws_at_all


@pytest.mark.parametrize("name", NAMES)
def test_it_neither_reads_nor_moves_the_global_generators(name: str) -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002  # the global generator is the subject here
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = two_gradients(name, seed=0)[0]
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert torch.equal(first, two_gradients(name, seed=0)[0])


@pytest.mark.parametrize(("name", "task"), CELLS, ids=[f"{name}-on-{task}" for name, task in CELLS])
def test_a_few_steps_with_its_defaults_end_in_finite_values(name: str, task: str) -> None:
    regularizer = with_pins(REGULARIZERS[name](), TINY_TASKS[task])
    training, outcome = trained(TINY_TASKS[task], (name, regularizer))
    assert torch.isfinite(weights_of(training.network)).all()
    assert all(math.isfinite(point.value) for point in outcome.curves)


@pytest.mark.parametrize("name", NAMES)
def test_the_baseline_beside_it_changes_nothing(name: str) -> None:
    task = home_of(name)
    contestant, none = (name, with_pins(REGULARIZERS[name](), task)), ("none", Unregularized())
    assert torch.equal(weights_after(task, none, contestant), default_weights(name))
    assert torch.equal(weights_after(task, contestant, none), default_weights(name))


@pytest.mark.parametrize("name", NAMES)
def test_where_it_makes_no_sense_it_says_why_in_one_sentence(name: str) -> None:
    reasons = [task.skip_reason(REGULARIZERS[name]()) for task in TINY_TASKS.values()]
    assert None in reasons
    for reason in reasons:
        assert reason is None or (reason.endswith(".") and "\n" not in reason and REGULARIZERS[name].__name__ in reason)


@pytest.mark.parametrize("name", NAMES)
def test_its_search_space_names_only_its_fields_and_gives_sources(name: str) -> None:
    fields = {field.name for field in dataclasses.fields(REGULARIZERS[name])}
    assert set(space_of(name)) <= fields
    assert all(scope.source.strip() for scope in space_of(name).values())


@pytest.mark.parametrize("name", NAMES)
def test_all_corners_and_the_middle_of_its_space_construct_it(name: str) -> None:
    space = {field: probes(scope) for field, scope in space_of(name).items()}
    for field, values in space.items():
        for value in values:
            assert vars(REGULARIZERS[name](**{field: value}))[field] == value
    REGULARIZERS[name](**{field: values[0] for field, values in space.items()})
    REGULARIZERS[name](**{field: values[-1] for field, values in space.items()})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 1e30], ids=str)
def test_a_bad_number_is_taken_or_refused_with_class_and_field(name: str, value: float) -> None:
    for field, kind in field_types(REGULARIZERS[name]).items():
        if kind is float:
            complaint = complaint_about(name, field, value)
            assert complaint or not math.isnan(value), f"{field} takes NaN"
            assert complaint is None or f"{REGULARIZERS[name].__name__}.{field}" in complaint


def without_times(outcome: Trained) -> dict[str, object]:
    return {name: value for name, value in vars(outcome).items() if not name.endswith("_seconds")}


@pytest.mark.parametrize("name", NAMES)
def test_the_range_behind_a_field_is_the_range_enforced(name: str) -> None:
    regularizer = REGULARIZERS[name]
    kinds = field_types(regularizer)
    for field, note in field_docs(regularizer).items():
        allowed, refused = probes_of_range(note, whole=kinds[field] is int)
        for value in allowed:
            assert complaint_about(name, field, value) is None, f"{field} = {value} is within {note!r}"
        for value in refused:
            complaint = complaint_about(name, field, value)
            assert complaint is not None, f"{field} = {value} is not within {note!r}"
            assert f"{regularizer.__name__}.{field}" in complaint
            assert complaint.endswith(f"got {value}.")
            assert "\n" not in complaint


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_number_takes_no_fraction_and_a_number_takes_no_text(name: str) -> None:
    for field, kind in field_types(REGULARIZERS[name]).items():
        for value in {int: (2.5, 2.0, True, "2"), float: ("0.5", None)}.get(kind, ()):  # type: ignore[call-overload]
            complaint = complaint_about(name, field, value)
            assert complaint is not None, f"{field} takes {value!r}"
            assert f"{REGULARIZERS[name].__name__}.{field} must be " in complaint
            assert complaint.endswith(f"got {value!r}.")


def test_every_rate_refuses_1_and_minus_a_tenth_unless_all_may_be_dropped() -> None:
    rates = [
        (name, field, note)
        for name in NAMES
        for field, note in field_docs(REGULARIZERS[name]).items()
        if field.endswith("_rate") or field == "drop_rate"
    ]
    assert len(rates) >= 20
    for name, field, note in rates:
        assert note.startswith("in [0, 1)"), f"{name}.{field}: {note}"


@cache
def baseline_weights(task: str) -> Tensor:
    return weights_after(TINY_TASKS[task], ("none", Unregularized()))


@cache
def default_weights(name: str) -> Tensor:
    task = home_of(name)
    return weights_after(task, (name, with_pins(REGULARIZERS[name](), task)))


def complaint_about(name: str, field: str, value: Scalar) -> str | None:
    try:
        REGULARIZERS[name](**{field: value})
    except ValueError as error:
        return str(error)
    return None


def probes_of_range(note: str, *, whole: bool) -> tuple[list[float], list[float]]:
    """Values in the range that a note begins with, its ends first, and values just outside; none for other notes."""
    if whole:
        inside, outside = probes_of_range(note, whole=False)
        below = [math.floor(value) for value in outside if value < min(inside)]
        above = [math.ceil(value) for value in outside if max(inside) < value < math.inf]
        return [int(value) for value in inside if value.is_integer()], below + above
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


def field_types(regularizer: type[Regularizer]) -> dict[str, object]:
    hints = get_type_hints(regularizer)
    return {field.name: hints[field.name] for field in dataclasses.fields(regularizer)}


def probes(scope: Range) -> list[Scalar]:
    """Both ends and the middle of a range, or all options."""
    if isinstance(scope, Choice):
        return list(scope.options)
    middle = math.sqrt(scope.low * scope.high) if scope.log else (scope.low + scope.high) / 2
    return [scope.low, round(middle) if isinstance(scope, Integer) else middle, scope.high]


def two_gradients(name: str, seed: int) -> tuple[Tensor, Tensor]:
    """Gradients of two successive steps without an update, on the same batch and weights; only the streams differ."""
    task = home_of(name)
    training = prepared(task)
    context = Context(
        seed=seed,
        device=torch.device("cpu"),
        name="",
        num_train_samples=len(training.batches.split),
        num_epochs=1,
        num_steps=2,
        learning_rate=0.1,
        input_space=training.batches.input_space,
    )
    chain = Chain.attach([(name, with_pins(REGULARIZERS[name](), task))], training.network, context)
    chain.progress(0.5)
    raw = next(training.batches.epoch())
    gradients = []
    for index in range(2):
        step = Step(
            network=training.network.train(),
            loss=lambda batch: training._batch_loss(batch),
            rng=np.random.default_rng(0),
            index=index,
            epoch=1,
            progress=0.5,
            learning_rate=0.1,
        )
        inputs = training.batches.split.normalised(chain.transform_raw(raw.inputs, step))
        step = dataclasses.replace(step, batch=chain.transform_batch(Batch(inputs, raw.targets), step))
        chain.compute_gradients(lambda step=step: backward(training.network, chain, step), step)
        gradients.append(torch.cat([p.grad.flatten() for p in training.network.parameters() if p.grad is not None]))
    return gradients[0], gradients[1]


def backward(network: nn.Module, chain: Chain, step: Step) -> Tensor:
    network.zero_grad()
    assert step.batch is not None
    loss, penalty = step.loss(step.batch), chain.penalty(step)
    (loss if penalty is None else loss + penalty).backward()
    return loss.detach()


def first_batch(training: Training) -> Batch:
    raw = next(training.batches.epoch())
    return Batch(training.batches.split.normalised(raw.inputs), raw.targets)
