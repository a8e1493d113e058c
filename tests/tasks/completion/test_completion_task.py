"""Matrix completion as a task: the kernel's step is the usual one, and the readings are what they say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tiny_tasks import prepared, tiny, weights_of
from torch import Tensor

from harness.checks.tasks import LAWS, CheckedTask
from tasks.completion.factor_model import FactorModel
from tasks.completion.readings import Readings
from tasks.completion.task import Completion
from tasks.datasets.batches import Split
from tasks.datasets.synthetic_ratings import SYNTHETIC_RATINGS
from tasks.experiments.thesis.completion import SYNTHETIC_RATINGS_FACTORS
from tasks.regularizers.base import Regularizer, Step
from tasks.regularizers.concrete_dropout import ConcreteDropout
from tasks.regularizers.curriculum_dropout import CurriculumDropout
from tasks.regularizers.dropout import Dropout
from tasks.regularizers.gaussian_dropout import GaussianDropout
from tasks.regularizers.none import Unregularized
from tasks.regularizers.sam import SAM
from tasks.regularizers.weight_decay import WeightDecay
from tasks.regularizers.weighted_trace_norm import WeightedTraceNorm
from tasks.theory.matrix_completion import weighted_trace_norm

TASK = tiny("synthetic-ratings-factors")


@pytest.mark.parametrize(
    "regularizer",
    [
        Unregularized(),
        Dropout(drop_rate=0.3),
        Dropout(drop_rate=0.3, share="batch"),
        Dropout(drop_rate=0.0),
        CurriculumDropout(drop_rate=0.3),
    ],
    ids=["none", "dropout", "shared", "off", "curriculum"],
)
def test_the_kernel_makes_the_steps_of_autograd(regularizer: Regularizer) -> None:
    by_kernel, by_autograd = prepared(TASK, regularizer), prepared(TASK, regularizer)
    assert by_kernel._own_step is not None
    by_autograd._own_step = None
    losses = [training.run_epoch(epoch)[0] for epoch in (1, 2) for training in (by_kernel, by_autograd)]
    assert losses[0::2] == pytest.approx(losses[1::2], rel=1e-5)
    torch.testing.assert_close(weights_of(by_kernel.network), weights_of(by_autograd.network), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "regularizer",
    [WeightDecay(rate=0.01), SAM(), GaussianDropout(), ConcreteDropout()],
    ids=lambda regularizer: type(regularizer).__name__,
)
def test_whatever_else_acts_gets_the_usual_step(regularizer: Regularizer) -> None:
    assert prepared(TASK, regularizer)._own_step is None
    assert prepared(TASK, Dropout(), regularizer)._own_step is None


@pytest.mark.parametrize("changes", [{"momentum": 0.9}, {"weight_decay": 0.1}, {"optimizer": "adam"}], ids=str)
def test_a_protocol_with_another_step_than_the_kernel_s_gets_its_own(changes: dict[str, object]) -> None:
    task = tiny("synthetic-ratings-factors", learning_rate=0.01, **changes)
    assert isinstance(task, Completion)
    allowed, forbidden = (
        prepared(replace(task, makes_own_steps=makes), Dropout(drop_rate=0.3)) for makes in (True, False)
    )
    for epoch in (1, 2):
        allowed.run_epoch(epoch), forbidden.run_epoch(epoch)
    torch.testing.assert_close(weights_of(allowed.network), weights_of(forbidden.network), rtol=1e-4, atol=1e-5)


def test_the_closed_form_of_dropout_is_left_out_for_a_penalty_that_drops_nothing() -> None:
    """Its deviation is |mean loss - F| / F, and a mean without masks is the loss, whatever the rate of the penalty."""
    penalised, plain, both = (
        prepared(TASK, *parts).run().final["test"]
        for parts in (
            [WeightedTraceNorm(drop_rate=0.2)],
            [Unregularized()],
            [WeightedTraceNorm(drop_rate=0.2), Dropout(drop_rate=0.2)],
        )
    )
    assert "dropout_deviation" not in penalised
    assert plain["dropout_deviation"] == pytest.approx(0, abs=1e-6)
    assert "dropout_deviation" not in both


def test_readings_are_root_mean_squared_errors_and_the_lowest_so_far() -> None:
    model = FactorModel(3, 2, 4, torch.Generator().manual_seed(0))
    places = torch.tensor([[0, 0], [2, 1], [1, 1]])
    split = Split(inputs=places, targets=torch.tensor([[1.0], [2.0], [3.0]]))
    readings = Readings({"validation": split})
    U, V = (factor.detach() for factor in model.factors())
    errors = [float((U[r] @ V[c] - y) ** 2) for (r, c), y in zip(places.tolist(), (1, 2, 3), strict=True)]
    first = readings(model)["validation"]
    assert first["rmse"] == pytest.approx(math.sqrt(sum(errors) / 3))
    with torch.no_grad():
        model.row_factors.weight.mul_(100)
    second = readings(model)["validation"]
    assert second["rmse"] > first["rmse"] == second["oracle_rmse"]
    again = Readings({"validation": split})
    again.restore(readings.state())
    assert again(model) == {"validation": second}


def test_what_is_read_at_the_end_follows_from_the_factors() -> None:
    training = prepared(TASK, Dropout(drop_rate=0.5))
    final = training.run().final
    test, network = final["test"], training.network
    assert isinstance(network, FactorModel)
    U, V = (factor.detach().double() for factor in network.factors())
    places = training.batches.split.inputs  # type: ignore[attr-defined]  # all in memory
    counts = [torch.bincount(column, minlength=size) for column, size in zip(places.T, (40, 30), strict=True)]
    p, q = (count / count.sum() for count in map(Tensor.double, counts))
    norm = float(weighted_trace_norm(U @ V.T, p, q))
    assert test["weighted_trace_norm"] == pytest.approx(norm)
    assert test["induced_regularizer"] == pytest.approx(norm**2 / 8)
    assert test["population_regularizer"] >= test["induced_regularizer"]
    observed = (U[places[:, 0]] * V[places[:, 1]]).square().sum(1).mean()
    assert test["completion_regularizer"] == pytest.approx(float(observed))
    errors = test["dropout_deviation"] * test["dropout_objective"] / test["sampling_error"]
    assert abs(errors) < 5
    users, items = (set(column.tolist()) for column in places.T)
    tested = SYNTHETIC_RATINGS.splits(None).test.inputs.tolist()
    unseen = [row not in users or column not in items for row, column in tested]
    assert test["unseen_fraction"] == pytest.approx(sum(unseen) / len(tested))
    assert any(unseen)
    assert final["train"]["rmse"] < final["test"]["rmse"]


def test_the_weighted_trace_norm_is_that_of_the_product_at_the_frequencies_of_training() -> None:
    training = prepared(TASK, WeightedTraceNorm(drop_rate=0.2))
    network, batch = training.network, next(training.batches.epoch())
    assert isinstance(network, FactorModel)
    assert training._own_step is None
    step = Step(network=network, loss=lambda _: torch.zeros(()), rng=None, index=0, epoch=1, progress=0, batch=batch)
    penalty = training.hooks.penalty(step)
    assert penalty is not None
    U, V = (factor.detach().double() for factor in network.factors())
    norm = weighted_trace_norm(U @ V.T, network.row_probabilities, network.column_probabilities)
    assert float(penalty.detach()) == pytest.approx(float(0.25 / 8 * norm.square()), rel=1e-5)
    penalty.backward()
    gradient = network.row_factors.weight.grad
    assert gradient is not None
    assert bool(gradient[network.row_probabilities > 0].abs().sum(1).all())


def test_contestants_that_move_inputs_or_need_layers_are_skipped() -> None:
    from tasks.regularizers import REGULARIZERS

    reasons = {name: TASK.skip_reason(REGULARIZERS[name]()) for name in REGULARIZERS.own}
    assert reasons["adversarial_training"] == (
        "AdversarialTraining perturbs inputs; inputs of this task are indices of rows and columns."
    )
    assert {name for name, reason in reasons.items() if reason is None} >= {
        "none", "weight_decay", "early_stopping", "sam", "dropout", "gaussian_dropout", "concrete_dropout", "dropblock",
    }  # fmt: skip
    for name in (
        "mixup",
        "cutout",
        "dropconnect",
        "nuclear_norm",
        "k_support_norm",
        "path_norm",
        "l1",
        "max_norm",
        "rademacher_probe",
    ):
        assert reasons[name] is not None, name


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_laws_of_tasks_hold(law: object) -> None:
    assert list(law(CHECKED)) == []


CHECKED = CheckedTask("synthetic-ratings-factors", SYNTHETIC_RATINGS_FACTORS)


def test_the_plan_counts_the_official_ratings() -> None:
    task = replace(SYNTHETIC_RATINGS_FACTORS, dataset="movielens_10m")
    workload = task.workload("paper")
    assert workload.num_train_evaluated == 100_000
    assert workload.num_test == 1_000_005
