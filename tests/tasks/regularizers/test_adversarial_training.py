"""Adversarial training: what it learns is in the ball, worse than the batch, and nobody else notices."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
import torch
from tiny_tasks import TINY_TASKS, prepared, tiny, trained_in_two_parts, weights_of
from torch import Tensor, nn

from tasks.attacks.attack import AttackSettings
from tasks.attacks.presets import TABLE_6_I
from tasks.metrics import cross_entropy
from tasks.regularizers.adversarial_training import AdversarialTraining
from tasks.regularizers.base import Batch, Regularizer, Step
from tasks.regularizers.dropout import Dropout
from tasks.regularizers.reflected_adversarial_training import ReflectedAdversarialTraining
from tasks.training import Training

TASK = TINY_TASKS["digits-mlp"]
QUICK = AdversarialTraining(num_steps=3, step_size=0.05, step="sign")


def learnt(training: Training, num_steps: int = 1) -> list[tuple[Batch, Batch]]:
    """(batch as it was, batch that was learnt) of the first steps."""
    last: list[Tensor] = []
    training.network.register_forward_pre_hook(lambda module, inputs: last.append(inputs[0].detach().clone()))
    pairs = []
    training.network.train()
    for batch in islice(training.batches.epoch(), num_steps):
        training.step(batch, epoch=1)
        plain = Batch(training.batches.normalised(batch.inputs), batch.targets)
        pairs.append((plain, Batch(last[-1], batch.targets)))
    return pairs


@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd", "pgd_l2"])
def test_what_is_learnt_lies_in_the_ball_in_natural_units_and_costs_more(name: str) -> None:
    contestant = replace(QUICK, attack=name, radius=0.2 if name == "pgd_l2" else 0.05)
    training = prepared(TASK, contestant)
    ((plain, attacked),) = learnt(training)
    space = training.batches.input_space
    moves = (space.natural(attacked.inputs) - space.natural(plain.inputs)).flatten(1)
    sizes = moves.norm(dim=1) if name == "pgd_l2" else moves.abs().amax(1)
    assert sizes.max() <= contestant.radius * (1 + 1e-4)
    assert sizes.max() >= contestant.radius * (1 - 1e-4)
    before = prepared(TASK).network
    assert cross_entropy(before(attacked.inputs), plain.targets) > cross_entropy(before(plain.inputs), plain.targets)


def test_the_unit_box_holds_grey_levels() -> None:
    training = prepared(TASK, replace(QUICK, box="unit", radius=0.3, step_size=0.3))
    ((_, attacked),) = learnt(training)
    natural = training.batches.input_space.natural(attacked.inputs)
    assert natural.min() >= -1e-6
    assert natural.max() <= 1 + 1e-6


@pytest.mark.parametrize(
    ("contestant", "attack"),
    [
        (AdversarialTraining(), "pgd"),
        (AdversarialTraining(attack="fgsm"), "fgsm"),
        (AdversarialTraining(attack="bim"), "bim"),
        (AdversarialTraining(attack="pgd_l2", radius=2.0, gradient="batch_mean", box="unit"), "pgd_l2"),
        (ReflectedAdversarialTraining(reflection="margin"), "reflected_pgd"),  # for one output, all are equal
        (ReflectedAdversarialTraining(reflection="margin", attack="bim"), "reflected_bim"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_its_settings_are_those_of_the_thesis(contestant: AdversarialTraining, attack: str) -> None:
    expected: AttackSettings = TABLE_6_I[attack]
    if expected.num_steps == 1:  # nothing decays in one step
        expected = replace(expected, decay_every=contestant.settings.decay_every)
    assert contestant.settings == expected


@pytest.mark.parametrize("other", [Dropout(), AdversarialTraining(radius=0.0)], ids=["dropout", "itself, off"])
def test_masks_of_the_step_are_those_without_an_attack(other: Regularizer) -> None:
    def masks(*contestants: Regularizer) -> list[Tensor]:
        training, drawn = prepared(TASK, *contestants), []
        site = next(module for module in training.network.modules() if getattr(module, "kind", "") == "dense")
        site.register_forward_hook(lambda module, inputs, output: drawn.append((output / inputs[0]).detach()))
        of_steps = []
        training.network.train()
        for batch in islice(training.batches.epoch(), 3):
            training.step(batch, epoch=1)
            of_steps.append(drawn[-1])
        return of_steps

    for alone, beside in zip(masks(other), masks(other, QUICK), strict=True):
        known = ~alone.isnan() & ~beside.isnan()  # units that are 0 do not tell
        assert known.float().mean() > 0.1
        torch.testing.assert_close(alone[known], beside[known])


def test_batch_statistics_are_those_of_what_is_learnt() -> None:
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10))
    training = prepared(TASK, QUICK)
    hooks = training.hooks
    step_batch = next(training.batches.epoch())
    seen: list[Tensor] = []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    step = Step(network=network.train(), loss=lambda batch: batch.inputs.sum(), rng=None, index=0, epoch=1, progress=0)
    hooks.transform_batch(Batch(training.batches.normalised(step_batch.inputs), step_batch.targets), step)
    assert len(seen) == QUICK.num_steps + 1
    assert torch.equal(network[1].running_mean, torch.zeros(64))
    assert int(network[1].num_batches_tracked) == 0
    assert all(parameter.grad is None for parameter in network.parameters())


def test_random_starts_go_on_bit_for_bit_and_differ_between_seeds() -> None:
    contestant = replace(QUICK, random_start=True, num_restarts=2)
    whole, parts = prepared(TASK, contestant), trained_in_two_parts(TASK, contestant)[0]
    whole.run()
    assert torch.equal(weights_of(whole.network), weights_of(parts.network))
    first, second = (learnt(prepared(TASK, contestant))[0][1].inputs for _ in range(2))
    assert torch.equal(first, second)


def test_a_task_whose_inputs_have_no_units_is_skipped_with_the_reason() -> None:
    whitened = tiny("digits-mlp", preprocessing="mean_zca")
    reason = whitened.skip_reason(AdversarialTraining())
    assert reason is not None
    assert reason.startswith("AdversarialTraining needs the units of the inputs")
    assert whitened.skip_reason(Dropout()) is None


def test_fields_without_effect_change_no_setting_of_the_attack() -> None:
    """As for one step of FGSM, whose length is the radius."""
    plain = AdversarialTraining(attack="fgsm")
    others = {
        "num_steps": 3, "step_size": 0.5, "step_decay": 0.9, "decay_every": 2, "step": "sign", "random_start": True,
        "num_restarts": 4, "keep": "last",
    }  # fmt: skip
    assert plain.fields_without_effect().keys() == others.keys()
    assert AdversarialTraining(attack="fgsm", **others).settings == plain.settings
    assert not AdversarialTraining(attack="pgd").fields_without_effect()
