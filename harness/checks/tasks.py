"""The laws of tasks: what must hold for a task's protocol, its network and the values that it reports."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.checks.law import Law
from harness.checks.tiny_tasks import trained_in_two_parts
from harness.contestants import BASELINE, Contestant
from harness.execution import Execution
from harness.records import SCALES, Scale, TrialRecord, TrialSpec
from harness.trial import prepare, run_trial
from tasks.regularizers import REGULARIZERS
from tasks.runtime.switches import Switches
from tasks.sites import sites_of
from tasks.task import Task

SCALE: Scale = "smoke"  # seconds on a processor


@dataclass(frozen=True)
class CheckedTask:
    """The subject of these laws: a task, its name, and trials of the baseline on it at the smallest scale."""

    name: str
    task: Task
    data_dir: Path | None = None

    @property
    def spec(self) -> TrialSpec:
        """A default trial of the baseline with the protocol's learning rate."""
        values = Contestant(BASELINE).resolve(self.task, SCALE)
        return TrialSpec(
            task=self.name,
            regularizer=BASELINE,
            hyperparameters=values,
            seed=0,
            role="default",
            scale=SCALE,
            code_hash="",
        )

    @property
    def execution(self) -> Execution:
        """Settings to run trials in this process."""
        return Execution(data_dir=str(self.data_dir.absolute()) if self.data_dir else None)

    @cached_property
    def record(self) -> TrialRecord:
        """The record of that trial."""
        torch.manual_seed(1)
        return run_trial(self.spec, self.execution)

    @property
    def can_train(self) -> bool:
        """Whether it needs no data files, or their folder is known."""
        return not self.task.needs_data or self.data_dir is not None


def has_a_protocol_at_every_scale(checked: CheckedTask) -> Iterator[str]:
    """Its learning rate is positive, its epochs are at least 1, and its switches are a `Switches`."""
    for scale in SCALES:
        learning_rate, epochs = checked.task.default_learning_rate(scale), checked.task.epochs(scale)
        if not (isinstance(learning_rate, int | float) and 0 < learning_rate < math.inf):
            yield f"default_learning_rate({scale!r}) must be a positive number, got {learning_rate!r}."
        if not (type(epochs) is int and epochs >= 1):
            yield f"epochs({scale!r}) must be a whole number of at least 1, got {epochs!r}."
        if not isinstance(checked.task.switches(scale), Switches):
            yield f"switches({scale!r}) must be a Switches."


def shows_its_network_with_measured_sites(checked: CheckedTask) -> Iterator[str]:
    """`skip_reason` of regularizers looks at this network."""
    network = checked.task.example_network()
    if not isinstance(network, nn.Module):
        yield f"example_network() must be a torch module, got {network!r:.200}."
    elif unmeasured := [site for site in sites_of(network) if site.shape is None]:
        yield f"example_network() has {len(unmeasured)} sites without a shape; call tasks.sites.measure_sites on it."


def names_only_fields_of_contestants_in_its_defaults_and_pins(checked: CheckedTask) -> Iterator[str]:
    """A name that no contestant has would be ignored."""
    known = {field.name for cls in map(_class, REGULARIZERS.own) for field in fields(cls)}
    for attribute in ("defaults", "pins"):
        for name in getattr(checked.task, attribute):
            part, _, field = name.rpartition(".")
            if part and (part not in REGULARIZERS or field not in {each.name for each in fields(_class(part))}):
                yield f"{attribute} names {name!r}, but there is no such contestant or field."
            elif not part and field not in known:
                yield f"{attribute} names {name!r}, but no contestant of regarena has a field of that name."


def says_of_every_contestant_whether_it_fits(checked: CheckedTask) -> Iterator[str]:
    """If it skips a contestant, the reason is one sentence."""
    for name in REGULARIZERS.own:
        reason = Contestant(name).skip_reason(checked.task, SCALE)
        if reason is not None and (not reason.endswith(".") or "\n" in reason):
            yield f"The reason why {name} is skipped must be one sentence, got {reason!r:.200}."


def trains_the_baseline_to_an_end(checked: CheckedTask) -> Iterator[str]:
    """A trial of the baseline succeeds, with a finite metric on validation and test data."""
    if not checked.can_train:
        return
    values = checked.record.values
    if not checked.record.succeeded:
        error = f"{values.get('error_type')}: {values.get('error_message')}"
        yield f"A trial of `{BASELINE}` at scale {SCALE} ends as {checked.record.status} ({error.rstrip('.')})."


def leaves_the_test_split_alone_while_tuning(checked: CheckedTask) -> Iterator[str]:
    """With `Setting.with_test = False` the test split is not evaluated."""
    if not (checked.can_train and checked.record.succeeded):
        return
    _, training = prepare(replace(checked.spec, role="tune"), checked.execution)
    outcome = training.run()
    if "test" in outcome.final or any(point.split == "test" for point in outcome.curves):
        yield "It evaluates the test split although Setting.with_test is False, as it is while tuning."


def gives_the_same_values_twice(checked: CheckedTask) -> Iterator[str]:
    """Bit for bit, whatever the states of the global random generators."""
    if not (checked.can_train and checked.record.succeeded):
        return
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002  # the global generator is the subject here
    again = run_trial(checked.spec, checked.execution)
    for name in (
        "validation_value",
        "test_value",
        "test_value_at_best_validation",
        "train_value",
        "dataset_fingerprint",
    ):
        if again.values.get(name) != checked.record.values.get(name):
            yield (
                f"The same trial run again has {name} = {again.values.get(name)} in place of "
                f"{checked.record.values.get(name)}; draw from streams of Setting.seed alone."
            )
    if again.curves != checked.record.curves:
        yield "The same trial run again has other curves; draw from streams of Setting.seed alone."


def ends_after_a_break_as_without_one(checked: CheckedTask) -> Iterator[str]:
    """A training that is cut off after an epoch and continued from a checkpoint has the same values."""
    if not (checked.can_train and checked.record.succeeded) or checked.task.epochs(SCALE) < 2:
        return
    _, outcome = trained_in_two_parts(lambda: prepare(checked.spec, checked.execution)[1])
    value = outcome.final["validation"][checked.task.metric]
    if value != checked.record.values["validation_value"]:
        yield (
            f"A training that was cut off after an epoch ends with {checked.task.metric} = {value} in place of "
            f"{checked.record.values['validation_value']}; its state must hold what it remembers."
        )


LAWS: tuple[Law[CheckedTask], ...] = (
    has_a_protocol_at_every_scale,
    shows_its_network_with_measured_sites,
    names_only_fields_of_contestants_in_its_defaults_and_pins,
    says_of_every_contestant_whether_it_fits,
    trains_the_baseline_to_an_end,
    leaves_the_test_split_alone_while_tuning,
    gives_the_same_values_twice,
    ends_after_a_break_as_without_one,
)


def _class(name: str) -> type[Any]:
    return REGULARIZERS[name]
