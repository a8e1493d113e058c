"""The attack loop: torchattacks' results, independent iterates, and a network that is left as it was."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.attacks.attack import AttackSettings, Autograd, attack
from tasks.attacks.loss import LOSS_NAMES, LOSSES, LossName, hard_margins
from tasks.attacks.presets import TABLE_6_I
from tasks.attacks.two_layer import TwoLayer

UNIT = (0.0, 1.0)


def network(outputs: int = 3, dtype: torch.dtype = torch.float64, width: int = 20) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(48, width), nn.ReLU(), nn.Linear(width, outputs))
    return layers.to(dtype).eval()


def images(number: int = 16, classes: int = 3, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(number, 3, 4, 4, generator=generator, dtype=dtype)
    return inputs, torch.randint(classes, (number,), generator=generator)


@torch.no_grad()
def margins_at(model: nn.Module, points: Tensor, labels: Tensor) -> Tensor:
    return hard_margins(model(points), labels)


def by_torchattacks(name: str, model: nn.Module, inputs: Tensor, labels: Tensor, **settings: Any) -> Tensor:
    torchattacks = pytest.importorskip("torchattacks", reason="the oracle torchattacks is not installed")
    result: Tensor = getattr(torchattacks, name)(model, **settings)(inputs, labels)
    return result


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("outputs", [2, 3])
def test_fgsm_is_torchattacks_fgsm(outputs: int, dtype: torch.dtype) -> None:
    model, (inputs, labels) = network(outputs, dtype), images(classes=outputs, dtype=dtype)
    theirs = by_torchattacks("FGSM", model, inputs, labels, eps=0.1)
    settings = AttackSettings(radius=0.1, step_size=0.1, box=UNIT, keep="last")
    torch.testing.assert_close(attack(model, inputs, labels, settings), theirs, rtol=0, atol=1e-7)
    assert float((attack(model, inputs, labels, replace(settings, box=None)) - theirs).abs().max()) > 0.05


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.parametrize("outputs", [2, 3])
def test_bim_and_pgd_from_the_input_are_those_of_torchattacks(outputs: int, steps: int, dtype: torch.dtype) -> None:
    model, (inputs, labels) = network(outputs, dtype), images(classes=outputs, dtype=dtype)
    settings = AttackSettings(radius=0.1, step_size=0.03, num_steps=steps, box=UNIT, keep="last")
    ours = attack(model, inputs, labels, settings)
    for name, extra in (("BIM", {}), ("PGD", {"random_start": False})):
        theirs = by_torchattacks(name, model, inputs, labels, eps=0.1, alpha=0.03, steps=steps, **extra)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_pgd_from_the_same_random_start_is_torchattacks_pgd(steps: int) -> None:
    model, (inputs, labels) = network(), images()
    torch.manual_seed(5)
    theirs = by_torchattacks("PGD", model, inputs, labels, eps=0.1, alpha=0.03, steps=steps)
    settings = AttackSettings(radius=0.1, step_size=0.03, box=UNIT, keep="last", num_steps=steps, random_start=True)
    ours = attack(model, inputs, labels, settings, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7)


@pytest.mark.parametrize("steps", [1, 4])
def test_normalised_l2_steps_are_torchattacks_pgdl2_once_its_epsilon_is_out_of_the_way(steps: int) -> None:
    model, (inputs, labels) = network(), images()
    # The l_2 ball comes first and the box second in torchattacks; inside a box that is wide enough both agree.
    settings = AttackSettings(
        radius=0.05, norm="l2", step="normalised", step_size=0.02, num_steps=steps, box=UNIT, keep="last"
    )
    inputs = 0.25 + inputs / 2
    ours = attack(model, inputs, labels, settings)
    common: dict[str, Any] = {"eps": 0.05, "alpha": 0.02, "steps": steps, "random_start": False}
    theirs = by_torchattacks("PGDL2", model, inputs, labels, **common, eps_for_division=1e-30)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7)


def test_torchattacks_pgdl2_hardly_moves_confident_points_and_ours_takes_the_whole_step() -> None:
    model, (inputs, _) = network(2), images(classes=2)
    with torch.no_grad():
        model[3].weight *= 200
    labels = model(inputs).argmax(-1)
    confident = margins_at(model, inputs, labels) > 25
    assert bool(confident.any())
    settings = AttackSettings(radius=9.0, norm="l2", step="normalised", step_size=0.5, keep="last")
    ours = (attack(model, inputs, labels, settings) - inputs).flatten(1).norm(dim=1)
    torch.testing.assert_close(ours, torch.full_like(ours, 0.5))
    common: dict[str, Any] = {"eps": 9.0, "alpha": 0.5, "steps": 1, "random_start": False}
    theirs = (by_torchattacks("PGDL2", model, inputs, labels, **common) - inputs).flatten(1).norm(dim=1)
    assert float(theirs[confident].max()) < 0.4


def raw_iterates(
    model: nn.Sequential, inputs: Tensor, labels: Tensor, settings: AttackSettings, reflected: bool
) -> list[Tensor]:
    """Raw steps on a net with one output, an example and a unit at a time, from the formulas alone."""
    V, b = (value.detach().tolist() for value in (model[1].weight, model[1].bias))
    u, c = model[3].weight.detach()[0].tolist(), model[3].bias.item()
    low, high = settings.box or (-math.inf, math.inf)
    share = 1 / len(inputs) if settings.gradient == "batch_mean" else 1.0
    iterates = [inputs.clone()]
    for t in range(settings.num_steps):
        step_size = settings.step_size * settings.step_decay ** (t // settings.decay_every)
        moved = []
        for start, point, label in zip(inputs.flatten(1), iterates[-1].flatten(1), labels.tolist(), strict=True):
            y = 2 * label - 1
            hidden = [
                math.fsum(w * x for w, x in zip(row, point.tolist(), strict=True)) + s
                for row, s in zip(V, b, strict=True)
            ]
            z = y * (math.fsum(weight * max(h, 0) for weight, h in zip(u, hidden, strict=True)) + c)
            slope = -1 / (1 + math.exp(-z)) if reflected else -1 / (1 + math.exp(z))
            gradient = torch.zeros_like(point)
            for weight, h, row in zip(u, hidden, V, strict=True):
                if h > 0:
                    gradient += y * weight * torch.tensor(row, dtype=point.dtype)
            target = torch.clamp(point + step_size * share * slope * gradient, low, high)
            move = target - start
            if settings.norm == "linf":
                move = move.clamp(-settings.radius, settings.radius)
            elif float(move.norm()) > settings.radius:
                move = move / move.norm() * settings.radius
            moved.append((start + move).view(inputs.shape[1:]))
        iterates.append(torch.stack(moved))
    return iterates


@pytest.mark.parametrize("reflected", [False, True], ids=["plain", "reflected"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("gradient", ["per_sample", "batch_mean"])
@pytest.mark.parametrize("box", [None, UNIT], ids=["no box", "box"])
def test_raw_steps_are_the_iterates_computed_by_hand(norm: Any, gradient: Any, box: Any, reflected: bool) -> None:
    model, (inputs, labels) = network(1, width=6), images(5, classes=2)
    settings = AttackSettings(
        radius=0.6 if norm == "l2" else 0.1,
        norm=norm,
        step="raw",
        step_size=2.0,
        num_steps=5,
        step_decay=0.2,
        decay_every=2,
        gradient=gradient,
        box=box,
        loss="margin" if reflected else "cross_entropy",
        keep="last",
    )
    iterates = raw_iterates(model, inputs, labels, settings, reflected)
    for gradients in (None, TwoLayer.of(model)):
        ours = attack(model, inputs, labels, settings, gradients=gradients)
        torch.testing.assert_close(ours, iterates[-1], rtol=0, atol=1e-12)
        best = attack(model, inputs, labels, replace(settings, keep="best"), gradients=gradients)
        margins = torch.stack([margins_at(model, points, labels) for points in iterates])
        torch.testing.assert_close(margins_at(model, best, labels), margins.min(0).values, rtol=0, atol=1e-12)


def test_the_start_counts_as_a_candidate_and_so_does_the_last_step() -> None:
    model, (inputs, labels) = network(1), images(classes=2)
    wild = AttackSettings(radius=50.0, step="raw", step_size=1e4, loss="margin", num_steps=3)
    before, after = (margins_at(model, x, labels) for x in (inputs, attack(model, inputs, labels, wild)))
    assert bool((after <= before).all())
    one = AttackSettings(radius=0.1, step_size=0.1)  # Algorithm 5 as printed would return the start
    assert bool((margins_at(model, attack(model, inputs, labels, one), labels) < before).all())


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_steps_that_use_the_direction_alone_are_equal_for_the_plain_and_the_reflected_loss(
    outputs: int, dtype: torch.dtype
) -> None:
    model, (inputs, labels) = network(outputs, dtype), images(classes=2, dtype=dtype)
    with torch.no_grad():
        model[3].weight *= 3000  # margins far beyond where single precision has a slope
    for norm, step in (("linf", "sign"), ("l2", "normalised")):
        common: dict[str, Any] = {"radius": 0.1, "step_size": 0.02, "num_steps": 7, "norm": norm, "step": step}
        results = [attack(model, inputs, labels, AttackSettings(loss=name, **common)) for name in LOSS_NAMES]
        assert not torch.equal(results[0], inputs)
        assert all(torch.equal(result, results[0]) for result in results)


def test_reflected_raw_steps_move_confident_points_and_plain_ones_do_not() -> None:
    model, (inputs, _) = network(1), images(classes=2)
    with torch.no_grad():
        model[3].weight *= 200
    labels = (model(inputs)[:, 0] > 0).long()
    confident = margins_at(model, inputs, labels) > 20
    for loss, moves in (("cross_entropy", False), ("margin", True)):
        settings = AttackSettings(radius=1.0, norm="l2", step="raw", step_size=1.0, loss=loss)
        lengths = (attack(model, inputs, labels, settings) - inputs).flatten(1).norm(dim=1)[confident]
        assert bool((lengths > 0.99 if moves else lengths < 1e-6).all())


def test_on_a_linear_model_large_l2_steps_end_at_the_worst_point_of_the_ball() -> None:
    model = nn.Linear(5, 1).double()
    inputs, labels = torch.randn(9, 5, dtype=torch.float64), torch.arange(9) % 2
    settings = AttackSettings(radius=0.3, norm="l2", step="raw", step_size=1e6, loss="margin", num_steps=2)
    weight = model.weight.detach()[0]
    worst = inputs - 0.3 * (2 * labels - 1)[:, None] * weight / weight.norm()
    found = attack(network=model, inputs=inputs, targets=labels, settings=settings)
    torch.testing.assert_close(found, worst, rtol=0, atol=1e-6)  # one step of 1e6 is rounded


def test_the_greedy_target_fails_where_another_class_is_within_reach() -> None:
    model = nn.Linear(2, 3, bias=False).double()
    model.weight.data = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 10.0]], dtype=torch.float64)
    inputs, labels = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.tensor([0])

    def lowest(target: int) -> float:
        """min over the ball of f_1 - f_target, in closed form: the function is linear."""
        difference = (model.weight[0] - model.weight[target]).detach()
        return float(difference @ inputs[0] - 0.3 * difference.norm())

    assert lowest(1) == pytest.approx(0.7)
    assert lowest(2) == pytest.approx(-1.0594117, abs=1e-7)
    settings = AttackSettings(
        radius=0.3, norm="l2", step="normalised", step_size=0.05, num_steps=50, loss="margin", keep="best"
    )
    stuck = attack(model, inputs, labels, settings)
    assert float(margins_at(model, stuck, labels)) == pytest.approx(0.7)  # the target stays class 2
    reached = attack(model, inputs, labels, replace(settings, loss="cross_entropy"))
    assert float(margins_at(model, reached, labels)) < -1  # plain cross-entropy is drawn to class 3 here


@pytest.mark.parametrize("loss", LOSS_NAMES)
def test_the_kept_point_is_never_better_classified_than_the_input_and_lies_in_the_set(loss: LossName) -> None:
    model, (inputs, labels) = network(), images()
    settings = AttackSettings(
        radius=0.4,
        norm="l2",
        step="raw",
        step_size=3.0,
        num_steps=6,
        loss=loss,
        box=UNIT,
        random_start=True,
        num_restarts=3,
    )
    result = attack(model, inputs, labels, settings, generator=torch.Generator().manual_seed(0))
    assert bool((result >= 0).all() and (result <= 1).all())
    assert bool(((result - inputs).flatten(1).norm(dim=1) <= 0.4 + 1e-12).all())
    from_input = attack(model, inputs, labels, replace(settings, random_start=False, num_restarts=1))
    assert bool((margins_at(model, from_input, labels) <= margins_at(model, inputs, labels)).all())


@pytest.mark.parametrize("keep", ["best", "last"])
def test_restarts_return_the_worst_of_their_results(keep: Any) -> None:
    model, (inputs, labels) = network(), images()
    settings = AttackSettings(radius=0.3, step_size=0.02, num_steps=2, random_start=True, keep=keep)
    generator = torch.Generator().manual_seed(3)
    single = [attack(model, inputs, labels, settings, generator=generator) for _ in range(4)]
    margins = torch.stack([margins_at(model, result, labels) for result in single])
    together = attack(
        model, inputs, labels, replace(settings, num_restarts=4), generator=torch.Generator().manual_seed(3)
    )
    assert torch.equal(margins_at(model, together, labels), margins.min(0).values)
    assert len(set(margins.argmin(0).tolist())) > 1


def test_an_attack_leaves_parameters_gradients_mode_and_global_random_numbers_alone() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 3)
    )
    inputs, labels = images(dtype=torch.float32)
    F.cross_entropy(model(inputs), labels).backward()
    before = [value.clone() for value in (*model.parameters(), *model.buffers())]
    gradients = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    random_state = torch.get_rng_state()
    settings = AttackSettings(radius=0.1, step_size=0.05, num_steps=3, random_start=True)
    results = [attack(model, inputs, labels, settings, generator=torch.Generator().manual_seed(2)) for _ in range(2)]
    assert torch.equal(*results)
    assert not results[0].requires_grad
    assert model.training
    assert torch.equal(torch.get_rng_state(), random_state)
    for old, new in zip(before, (*model.parameters(), *model.buffers()), strict=True):
        assert torch.equal(old, new)
    for kept, parameter in zip(gradients, model.parameters(), strict=True):
        assert torch.equal(kept, parameter.grad)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_batch_statistics_move_when_asked_as_in_the_reference_code_and_the_result_is_the_same() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    inputs, labels = images(dtype=torch.float32)
    kept = AttackSettings(radius=0.1, step_size=0.05, num_steps=3)
    results = [attack(model, inputs, labels, kept)]
    assert int(model[1].num_batches_tracked) == 0
    results.append(attack(model, inputs, labels, replace(kept, batch_statistics="moved")))
    assert torch.equal(*results)
    assert int(model[1].num_batches_tracked) == 4  # three steps, and the last point's margins
    assert float(model[1].running_mean.abs().max()) > 0.01


def test_examples_that_batch_normalisation_couples_are_weighed_by_their_slopes() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).double()
    inputs, labels = images()
    settings = AttackSettings(radius=0.1, step_size=0.1, keep="last")
    points = inputs.clone().requires_grad_()
    F.cross_entropy(model(points), labels).backward()
    expected = inputs + 0.1 * points.grad.sign()
    torch.testing.assert_close(attack(model, inputs, labels, settings), expected, rtol=0, atol=1e-12)


def test_dropout_in_an_attack_draws_from_the_generator_that_is_passed() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 30), nn.Dropout(0.5), nn.Linear(30, 3))
    inputs, labels = images(dtype=torch.float32)
    settings = AttackSettings(radius=0.1, step="raw", step_size=0.1, num_steps=2, keep="last")
    generator = torch.Generator().manual_seed(1)
    first, second = (attack(model, inputs, labels, settings, generator=generator) for _ in range(2))
    assert not torch.equal(first, second)
    again = attack(model, inputs, labels, settings, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first, again)


def test_the_global_stream_is_put_back_even_if_the_network_fails() -> None:
    def fail(_: Tensor) -> Tensor:
        torch.rand(3)
        raise RuntimeError("broken")

    model, before = network().train(), torch.get_rng_state()
    model.forward = fail
    with pytest.raises(RuntimeError, match="broken"):
        attack(model, *images(), AttackSettings(radius=0.1, step_size=0.1), generator=torch.Generator())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference_mode"])
def test_attacks_run_where_gradients_are_switched_off(context: Any) -> None:
    model, settings = network(), AttackSettings(radius=0.1, step_size=0.05, num_steps=2)
    expected = attack(model, *images(), settings)
    with context():
        inside = attack(model, *images(), settings)
    assert torch.equal(inside, expected)
    assert not inside.is_inference()


def test_half_precision_scores_make_margins_in_single_precision() -> None:
    model, (inputs, labels) = network(dtype=torch.bfloat16), images(dtype=torch.bfloat16)
    result = attack(model, inputs, labels, AttackSettings(radius=0.1, step="raw", step_size=1.0))
    assert result.dtype == torch.bfloat16


def test_radius_zero_returns_the_inputs_and_draws_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, labels = images()
    settings = AttackSettings(radius=0.0, step_size=0.1, random_start=True)
    assert torch.equal(attack(network(), inputs, labels, settings, generator=generator), inputs)
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state())


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_closed_form_gradients_are_those_of_autograd_at_exact_zeros_too(outputs: int, slope: float) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(6, 8), nn.LeakyReLU(slope) if slope else nn.ReLU(), nn.Linear(8, outputs)).double()
    with torch.no_grad():
        layers[0].weight[:3, 0], layers[0].weight[:3, 1:], layers[0].bias[:3] = 1.0, 0.0, 0.0
    points = torch.randn(7, 6, dtype=torch.float64)
    points[:4, 0] = 0.0  # three units are exactly 0 there
    labels = torch.arange(7) % max(outputs, 2)

    def weights(scores: Tensor) -> Tensor:
        margins, derivatives = LOSSES["margin"].margins_of(scores, labels)
        return derivatives * LOSSES["margin"].slope(margins).unsqueeze(-1)

    closed, automatic = TwoLayer.of(layers), Autograd(layers)
    for ours, theirs in zip(
        closed.scores_and_gradients(points, weights), automatic.scores_and_gradients(points, weights), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(closed.scores(points), layers(points).detach(), rtol=1e-12, atol=1e-14)


def test_closed_form_gradients_follow_the_parameters() -> None:
    model, (inputs, labels) = network(1), images(classes=2)
    closed, settings = TwoLayer.of(model), AttackSettings(radius=0.1, step="raw", step_size=1.0, num_steps=2)
    with torch.no_grad():
        model[1].weight.neg_()
    torch.testing.assert_close(
        attack(model, inputs, labels, settings, gradients=closed), attack(model, inputs, labels, settings)
    )


def test_the_attacks_of_the_table_come_in_pairs_that_differ_in_the_loss_alone() -> None:
    assert len(TABLE_6_I) == 8
    for name in ("fgsm", "bim", "pgd", "pgd_l2"):
        assert TABLE_6_I[f"reflected_{name}"] == replace(TABLE_6_I[name], loss="margin")
    model, (inputs, labels) = network(1), images(classes=2)
    results = {name: attack(model, inputs, labels, settings) for name, settings in TABLE_6_I.items()}
    assert torch.equal(results["fgsm"], results["reflected_fgsm"])
    assert torch.equal(results["bim"], results["reflected_bim"])
    assert not torch.equal(results["pgd_l2"], results["reflected_pgd_l2"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radius": -1.0}, "AttackSettings.radius must be finite and >= 0, got -1.0"),
        ({"num_steps": 0}, "AttackSettings.num_steps must be a whole number >= 1, got 0"),
        ({"norm": "l1"}, "AttackSettings.norm"),
        ({"step": "signed"}, "AttackSettings.step"),
        ({"loss": "hinge"}, "AttackSettings.loss"),
        ({"gradient": "mean"}, "AttackSettings.gradient"),
        ({"keep": "first"}, "AttackSettings.keep"),
        ({"batch_statistics": "frozen"}, "AttackSettings.batch_statistics"),
        ({"step_decay": 0.0}, "AttackSettings.step_decay must lie in"),
        ({"box": (1.0, 0.0)}, "two numbers .low, high. with low < high, got .1.0, 0.0."),
        ({"num_restarts": 2}, "num_restarts above 1 needs random_start=True"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_say_what_is_wrong_with_them(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AttackSettings(**({"radius": 0.1, "step_size": 0.1} | changes))


def test_what_cannot_be_attacked_is_refused() -> None:
    model, (inputs, labels) = network(), images()
    settings = AttackSettings(radius=0.1, step_size=0.1)
    with pytest.raises(ValueError, match="inputs must hold floating-point numbers"):
        attack(model, inputs.long(), labels, settings)
    with pytest.raises(ValueError, match=r"targets must be int64 of shape \(16,\)"):
        attack(model, inputs, labels[:3], settings)
    with pytest.raises(ValueError, match="Random starts need the argument generator"):
        attack(model, inputs, labels, replace(settings, random_start=True))
    with pytest.raises(ValueError, match="generator must be on the device of the inputs, got cpu for inputs on meta"):
        attack(model, inputs.to("meta"), labels.to("meta"), settings, generator=torch.Generator())
    with pytest.raises(ValueError, match="got Flatten, Linear"):
        TwoLayer.of(nn.Sequential(nn.Flatten(), nn.Linear(2, 3)))
    with pytest.raises(ValueError, match="the same d1, got shapes"):
        TwoLayer(hidden_weights=torch.ones(2, 3), output_weights=torch.ones(1, 3))
