"""`--splits`: whoever holds samples out for validation holds out others on another split, and tests on the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.checks.datasets import CheckedDataset, holds_out_other_samples_on_another_split
from tasks.datasets import DATASETS
from tasks.datasets.dataset import Dataset, Splits
from tasks.experiments import TASKS
from tasks.protocols import Protocol
from tasks.task import Setting

HOLD_OUT = [name for name, task in TASKS.items() if not task.needs_data and task.validation_fraction("smoke")]


@pytest.mark.parametrize("name", [name for name, data in DATASETS.items() if not data.files])
def test_every_data_set_has_other_validation_samples_and_the_same_test_samples(name: str) -> None:
    assert list(holds_out_other_samples_on_another_split(CheckedDataset(name, DATASETS[name]))) == []


@pytest.mark.parametrize("name", HOLD_OUT)
def test_every_task_that_holds_samples_out_reads_others_on_another_split(name: str) -> None:
    def readings(split: int) -> Mapping[str, Mapping[str, float]]:
        task = TASKS[name]
        setting = Setting(seed=0, scale="smoke", learning_rate=task.default_learning_rate("smoke"))
        training = task.on_split(split).prepare((), setting)
        return training.evaluate()

    first, second = readings(0), readings(1)
    assert first["validation"] != second["validation"]
    assert first["test"] == second["test"]


def test_a_data_set_that_forgets_the_split_or_moves_its_test_samples_is_told() -> None:
    digits = DATASETS["digits"]

    class Forgetful(type(digits)):
        def splits(self, data_dir: Path | None, protocol: Protocol | None = None, num_workers: int = 0) -> Splits:
            return digits.splits(data_dir)

    class Careless(type(digits)):
        def splits(self, data_dir: Path | None, protocol: Protocol | None = None, num_workers: int = 0) -> Splits:
            found = digits.splits(data_dir, protocol)
            return Splits(train=found.train, validation=found.validation, test=found.validation, fingerprint="x")

    def told(kind: type[Dataset]) -> list[str]:
        return list(holds_out_other_samples_on_another_split(CheckedDataset("mine", kind(**vars(digits)))))

    assert [finding.startswith("It holds out the same samples") for finding in told(Forgetful)] == [True]
    assert [finding.startswith("Its test split depends") for finding in told(Careless)] == [True]
