"""The task of figure 4-2: what its readings are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny_tasks import trained

from tasks.experiments.thesis.co_adaptation import THESIS_FIG4_2_WIDTH_16


@pytest.mark.parametrize("validation_fraction", [0.0, 0.5])
def test_the_generalization_gap_is_the_test_error_less_the_training_error(validation_fraction: float) -> None:
    protocol = replace(
        THESIS_FIG4_2_WIDTH_16.protocol,
        epochs=1,
        max_train_samples=64,
        validation_fraction=validation_fraction,
        evaluate_every_epochs=1,
        scales={},
    )
    task = replace(THESIS_FIG4_2_WIDTH_16, dataset="separable_d10_margin0.3", protocol=protocol)
    _, outcome = trained(task)
    errors = {split: values["squared_error"] for split, values in outcome.final.items()}
    assert outcome.final["test"]["generalization_gap"] == pytest.approx(errors["test"] - errors["train"], rel=1e-12)
    assert (errors["validation"] == errors["train"]) == (validation_fraction == 0)
