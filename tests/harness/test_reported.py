"""What a task of other people reports becomes numbers in a row, or a row that says what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.contestants import Contestant
from harness.execution import Execution
from harness.records import TrialRecord, TrialSpec
from harness.results.store import Store
from harness.results.trial_summary import TrialSummary
from harness.search.selection import BEST_VALIDATION
from harness.trial import run_trial
from tasks.experiments import TASKS

Install = Callable[..., Path]

SOURCE = """
from types import SimpleNamespace
from tasks.runtime.trained import Point, Trained
from tasks.task import Task

class Told(Task):
    "Reports what it is told to."
    dataset, architecture, metric, higher_is_better = "made up", "", "score", True
    told = {}
    curve = 0.5
    def default_learning_rate(self, scale): return 0.1
    def epochs(self, scale): return 1
    def example_network(self): return torch.nn.Linear(1, 1)
    def prepare(self, regularizers, setting):
        trained = Trained(epochs_run=1, num_steps=1, final=self.told, best=self.told)
        trained.curves = [Point(epoch=1, split="validation", metric="score", value=self.curve)]
        return SimpleNamespace(
            run=lambda checkpoints: trained, num_parameters=1, network=torch.nn.Linear(1, 1),
            batches=SimpleNamespace(batch_size=1, num_samples=1),
            protocol=SimpleNamespace(switches=SimpleNamespace(compile=False)),
        )

TOLD = Told()
"""
WELL = {"validation": {"score": 0.5}, "test": {"score": 0.25, "other": 2}}


@pytest.fixture
def record_of(install: Install, tmp_path: Path) -> Callable[..., TrialRecord]:
    """The record of a trial whose task reports these values, which the store takes in any case."""
    install("told", {"tasks": {"told": "TOLD"}}, SOURCE)
    store = Store(tmp_path / "results")
    store.prepare()

    def made(told: object, curve: object = 0.5, role: str = "default", **attributes: object) -> TrialRecord:
        task = TASKS["told"]
        for name, value in {"told": told, "curve": curve, **attributes}.items():
            setattr(task, name, value)
        values = Contestant("none").resolve(task, "smoke")
        spec = TrialSpec(
            task="told", regularizer="none", hyperparameters=values, seed=0, role=role, scale="smoke", code_hash=""
        )
        record = run_trial(spec, Execution())
        store.write(record)
        return record

    return made


def test_numbers_of_every_kind_are_taken_as_floats(record_of: Callable[..., TrialRecord]) -> None:
    for number in (0.5, np.float32(0.5), torch.tensor(0.5), torch.tensor([0.5], dtype=torch.float64)):
        record = record_of({**WELL, "validation": {"score": number}}, curve=number)
        assert record.status == "completed"
        assert record.values["validation_value"] == record.curves[0].value == 0.5
        assert type(record.values["validation_value"]) is float
        assert record.metrics == {"other": 2.0}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, torch.tensor(math.nan)], ids=str)
@pytest.mark.parametrize("split", ["validation", "test", "train"])
def test_a_value_that_is_not_finite_is_a_divergence(
    split: str, value: object, record_of: Callable[..., TrialRecord]
) -> None:
    record = record_of({**WELL, split: {"score": value}})
    assert (record.status, record.values["error_type"]) == ("diverged", "Diverged")
    assert record.values["error_message"] == f"The {split} score at the end is {float(value)}."
    assert record.values.get("validation_value") is None


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({**WELL, "validation": {"score": None}}, "The validation score at the end must be a number, got None."),
        ({**WELL, "validation": {"score": "0.9"}}, "The validation score at the end must be a number, got '0.9'."),
        ({**WELL, "validation": {"score": [0.9]}}, "The validation score at the end must be a number, got [0.9]."),
        ({**WELL, "test": {"score": 0.5, "note": "good"}}, "The test note at the end must be a number, got 'good'."),
        ({"validation": {"score": 0.5}}, "The task must report score on the split test at the end; it reports"),
        ({**WELL, "validation": {"accuracy": 0.5}}, "The task must report score on the split validation at the end;"),
        ({}, "it reports nothing."),
    ],
)
def test_what_is_no_number_or_missing_is_a_failure_with_a_sentence(
    told: object, message: str, record_of: Callable[..., TrialRecord]
) -> None:
    record = record_of(told)
    assert record.status == "failed"
    assert message in record.values["error_message"]


def test_a_curve_of_texts_is_a_failure(record_of: Callable[..., TrialRecord]) -> None:
    record = record_of(WELL, curve="0.9")
    assert record.status == "failed"
    assert record.values["error_message"] == "The validation score of epoch 1 must be a number, got '0.9'."


def test_a_tune_trial_needs_no_test_values(record_of: Callable[..., TrialRecord]) -> None:
    assert record_of({"validation": {"score": 0.5}}, role="tune").status == "completed"


def test_a_fingerprint_that_is_no_text_is_a_failure(record_of: Callable[..., TrialRecord]) -> None:
    assert record_of(WELL, dataset_fingerprint=lambda data_dir: 42).status == "failed"


def tuned(*values: float | None) -> list[tuple[TrialSpec, TrialSummary]]:
    return [
        (
            TrialSpec(
                task="t",
                regularizer="none",
                hyperparameters={"a": index},
                seed=0,
                role="tune",
                scale="smoke",
                code_hash="",
            ),
            TrialSummary(str(index), "completed", value, role="tune"),
        )
        for index, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("values", "higher", "best"),
    [
        ([math.nan, 0.9], True, 1),
        ([0.9, math.nan], True, 0),
        ([math.inf, 0.9], True, 1),
        ([-math.inf, 0.9, 0.8], False, 2),
        ([None, 0.9], True, 1),
    ],
)
def test_the_best_validation_value_is_a_finite_number(values: list[float | None], higher: bool, best: int) -> None:
    assert BEST_VALIDATION.choose(tuned(*values), higher).hyperparameters == {"a": best}


def test_without_any_finite_value_nothing_is_chosen() -> None:
    with pytest.raises(ValueError, match="None of the tune trials"):
        BEST_VALIDATION.choose(tuned(math.nan, None), True)


def test_a_stored_row_whose_value_is_no_number_has_no_result() -> None:
    ((_, done),) = tuned(math.nan)
    assert not done.has_result
    assert done.is_failure
