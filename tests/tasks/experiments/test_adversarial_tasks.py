"""Tasks under attack: what their rows hold, which splits are attacked, and what figures 6-1 and 6-2 count."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_tasks import prepared, trained

from tasks.attacks.attack import AttackSettings
from tasks.attacks.loss import LOSSES, hard_margins
from tasks.attacks.robust_error import robust_errors
from tasks.classification import Classification
from tasks.datasets.batches import Split
from tasks.experiments import SUITES, TASKS
from tasks.experiments.thesis.adversarial import THESIS_TABLE6_1
from tasks.experiments.thesis.chapter6_calculations import THESIS_FIG6_1, THESIS_FIG6_2
from tasks.input_space import InputSpace
from tasks.metrics import accuracy, cross_entropy, scores_of
from tasks.regularizers.adversarial_training import AdversarialTraining
from tasks.regularizers.none import Unregularized
from tasks.regularizers.reflected_adversarial_training import ReflectedAdversarialTraining
from tasks.regularizers.weight_decay import WeightDecay
from tasks.suites import Suite

TINY = replace(
    THESIS_TABLE6_1,
    dataset="separable_d10_margin0.3",
    protocol=replace(THESIS_TABLE6_1.protocol, epochs=1, max_train_samples=128, max_evaluation_samples=130, scales={}),
)


def test_a_row_has_the_errors_under_all_eight_attacks_on_both_splits() -> None:
    _, outcome = trained(TINY)
    for split in ("validation", "test"):
        errors = {name: value for name, value in outcome.final[split].items() if name.startswith("robust_error/")}
        assert len(errors) == 8
        assert all(0 <= value <= 1 for value in errors.values())
        assert (
            errors["robust_error/fgsm"] == errors["robust_error/reflected_fgsm"] >= outcome.final[split]["clean_error"]
        )
        assert errors["robust_error/bim"] == errors["robust_error/reflected_bim"]
        assert outcome.final[split]["attack_seconds"] > 0
    assert not any("robust_error" in point.metric for point in outcome.curves)


def test_a_shortened_training_has_as_many_epochs_at_the_full_rate_as_the_whole_one() -> None:
    for scale in ("smoke", "short", "paper"):
        protocol = THESIS_TABLE6_1.protocol.at(scale)
        factors = [protocol.learning_rate_factor(epoch / protocol.epochs) for epoch in range(protocol.epochs)]
        assert factors.count(1.0) == 5
        assert factors[-1] == pytest.approx(0.2**3)


def test_while_tuning_no_test_sample_is_attacked() -> None:
    outcome = prepared(TINY, with_test=False).run()
    assert set(outcome.final) == {"validation", "train"}
    assert "robust_error/pgd" in outcome.final["validation"]


def test_a_task_may_be_ranked_by_an_error_under_attack() -> None:
    ranked = replace(TINY, metric="robust_error/bim", selected_by="clean_error", attacks={"bim": TINY.attacks["bim"]})
    _, outcome = trained(ranked)
    assert ranked.metric in outcome.final["test"]
    assert set(outcome.best["test"]) == {"clean_error", "accuracy", "cross_entropy"}


def test_robust_errors_of_a_linear_network_are_those_in_closed_form() -> None:
    generator = torch.Generator().manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 1)).eval()
    split = Split(
        inputs=torch.randn(333, 6, 1, 1, generator=generator),
        targets=torch.eye(2)[torch.randint(2, (333,), generator=generator)],
    )
    weights = network[1].weight.detach().flatten()
    with torch.no_grad():
        margins = hard_margins(network(split.inputs), split.targets.argmax(1))
    attacks = {
        "linf": AttackSettings(radius=0.3, step_size=0.3),
        "l2": AttackSettings(radius=0.3, norm="l2", step="normalised", step_size=0.3),
    }
    measured = robust_errors(network, split, attacks, InputSpace(), 0, torch.device("cpu"))
    for name, norm in (("linf", weights.abs().sum()), ("l2", weights.norm())):
        expected = (margins < 0.3 * norm).double().mean()
        assert measured[f"robust_error/{name}"] == pytest.approx(float(expected), abs=1e-9)


def test_attacks_on_a_normalised_network_are_in_grey_levels() -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1, bias=False)).eval()
    torch.nn.init.ones_(network[1].weight)
    grey = torch.tensor([0.5, 0.62, 0.75, 0.9]).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    space = InputSpace(scale=(2.0,), offset=(-1.0,), low=0.0, high=1.0)
    split = Split(inputs=space.seen(grey), targets=torch.eye(2)[torch.ones(4, dtype=torch.int64)])
    measured = robust_errors(
        network, split, {"fgsm": AttackSettings(radius=0.2, step_size=0.2)}, space, 0, torch.device("cpu")
    )
    assert measured["robust_error/fgsm"] == 0.5  # f = 8 grey - 4 > 0 needs grey - 0.2 > 0.5


def test_one_output_is_the_margin_of_class_1() -> None:
    outputs, targets = torch.tensor([[2.0], [-1.0], [30.0]]), torch.tensor([[0.0, 1.0], [0.3, 0.7], [0.0, 1.0]])
    two = scores_of(outputs)
    assert float(accuracy(outputs, targets)) == pytest.approx(2 / 3)
    torch.testing.assert_close(cross_entropy(outputs, targets), torch.nn.functional.cross_entropy(two, targets))
    confident = torch.tensor([[30.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(cross_entropy(confident, targets[2:]), confident)
    assert float(slope) == pytest.approx(-9.3576e-14, rel=1e-3)  # -sigmoid(-30), which two scores round to 0


def test_the_losses_enclose_the_0_1_loss() -> None:
    readings = THESIS_FIG6_1.readings("smoke")
    assert readings["largest_violation"] == 0
    assert readings["reflected_loss/1.00"] == pytest.approx(-readings["logistic_loss/-1.00"])


def test_the_grid_counts_what_the_brute_force_counts() -> None:
    readings = THESIS_FIG6_2.readings("smoke")
    assert (readings["feasible"], readings["flips"]) == (487_799_080, 172)
    assert [readings[f"flips_in_top_{k}/margin"] for k in (10, 100, 1000)] == [10, 100, 172]
    others = ("cross_entropy", "log_p", "reflected")
    assert {readings[f"flips_in_top_{k}/{name}"] for k in (10, 100, 1000) for name in others} == {0}
    assert readings["smallest_margin/greedy"] == pytest.approx(0.7)
    assert readings["smallest_margin/other"] == pytest.approx(2 - 0.3 * 104**0.5)


def test_a_calculation_is_a_row_and_skips_who_would_train() -> None:
    _, outcome = trained(THESIS_FIG6_1, Unregularized())
    assert outcome.final["test"] == outcome.final["validation"]
    assert (outcome.epochs_run, outcome.num_steps) == (0, 0)
    reason = THESIS_FIG6_1.skip_reason(WeightDecay())
    assert reason == "WeightDecay changes how a network is trained; this task is a calculation."


def test_the_suite_of_the_thesis_holds_its_chapters_but_table_6_2() -> None:
    tasks = {task for task, _ in SUITES["thesis"].cells()}
    assert {"thesis-fig6-1", "thesis-fig6-2", "thesis-table6-1"} <= tasks
    assert "thesis-table6-2" not in tasks


def test_table_6_2_trains_with_the_likeliest_wrong_class_made_likelier() -> None:
    """Section 6.5.3: "we aim at maximizing the log-likelihood of the wrong class", the one with the highest."""
    (point, *_) = SUITES["thesis-table6-2"].points("thesis-table6-2", "reflected_adversarial_training")
    attacked = LOSSES[ReflectedAdversarialTraining(**point).settings.loss]
    scores = torch.randn(6, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = scores.detach().argmax(1)
    wrong = scores.log_softmax(1).scatter(1, labels[:, None], -torch.inf).max(1).values
    torch.testing.assert_close(attacked(scores, labels), wrong)
    (expected,) = torch.autograd.grad(wrong.sum(), scores)
    margins, directions = attacked.margins_of(scores.detach(), labels)
    torch.testing.assert_close(attacked.slope(margins)[:, None] * directions, expected)


def test_table_6_2_has_a_cell_for_each_radius_and_number_of_steps() -> None:
    suite: Suite = SUITES["thesis-table6-2"]
    points = suite.points("thesis-table6-2", "adversarial_training")
    assert {(round(float(point["radius"]) * 255), point["num_steps"]) for point in points} == {
        (levels, steps) for levels in (2, 4, 8, 16) for steps in (2, 4, 16, 32)
    }
    task = TASKS["thesis-table6-2"]
    assert isinstance(task, Classification)
    assert task.skip_reason(AdversarialTraining()) is None
    assert task.attacks["pgd"].num_steps == 50
    assert task.attacks["pgd"].num_restarts == 10
