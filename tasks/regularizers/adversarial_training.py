"""Adversarial training replaces every batch by adversarial examples (Madry et al. 2018, eq. 2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

import torch
from torch import nn

from tasks.attacks.attack import AttackSettings, attack
from tasks.attacks.natural_units import natural_gradients
from tasks.attacks.steps import STEPS, StepName
from tasks.input_space import InputSpace
from tasks.regularizers.base import Batch, Context, Hooks, Regularizer, Scalar, Step
from tasks.regularizers.parts.checks import check_at_least, check_choice, check_count, check_factor
from tasks.runtime.state import State
from tasks.runtime.streams import Streams

AttackName = Literal["fgsm", "bim", "pgd", "pgd_l2"]
AttackedLoss = Literal["cross_entropy", "reflected"]
Reflection = Literal["margin", "log_p", "reflected"]
GradientScale = Literal["per_sample", "batch_mean"]
Box = Literal["none", "unit"]
Keep = Literal["best", "last"]


@dataclass(frozen=True, kw_only=True)
class AdversarialTraining(Regularizer):
    """Trains on x' in place of x: the point of a ball around x that an attack on the current network finds.

    Attacks: `fgsm`, one step of the gradient's sign times the radius, from x itself; `bim`, `num_steps` steps of the
    sign within the l_inf ball; `pgd` and `pgd_l2`, steps of the form `step` within the l_inf and the l_2 ball. Radius
    and step size are in the units of the inputs (grey levels in [0, 1] for images), whatever the normalisation.

    The attack maximises the cross-entropy or, with `loss` = reflected, a reflected loss. `reflection` is its form for
    more than two classes (for two, all are equal; see `tasks.attacks.loss`): `log_p` is the one of section 6.5.3 of the
    thesis, `margin` the one with which its figure 6-2 is reproduced, `reflected` is minus the cross-entropy of -f.

    The attack runs in training mode, with separate random streams for the masks, and does not update the running
    statistics of batch norm. List it after other regularizers that change the batch: `cutout + adversarial_training`.
    Soft targets keep their values; the attack is on the class with the largest target.
    """

    attack: AttackName = "pgd"
    loss: AttackedLoss = "cross_entropy"
    radius: float = 0.1  # >= 0, in the units of the inputs
    num_steps: int = 40  # >= 1
    step_size: float = 10.0  # >= 0, factor on the sign, the unit vector or the raw gradient
    step_decay: float = 0.2  # in (0, 1], the factor of the step size
    decay_every: int = 10  # >= 1, steps from one decay to the next
    step: StepName = "raw"
    gradient: GradientScale = "per_sample"
    box: Box = "none"
    random_start: bool = False
    num_restarts: int = 1  # >= 1, number of random starts; unused without random_start
    reflection: Reflection = "log_p"
    keep: Keep = "best"

    off: ClassVar[dict[str, Scalar]] = {"radius": 0.0}
    needs_class_targets: ClassVar[bool] = True
    needs_input_units: ClassVar[bool] = True
    formula: ClassVar[str] = "x <- argmax_{||x' - x|| <= radius} loss(f(x'), y)"
    source: ClassVar[str] = "Madry et al. 2018, eq. 2.1; defaults of PGD-inf in Mianjy's thesis, section 6.5.2"

    def __post_init__(self) -> None:
        """Check every field."""
        check_choice(self, "attack", get_args(AttackName))
        check_choice(self, "loss", get_args(AttackedLoss))
        for field in ("radius", "step_size"):
            check_at_least(self, field, 0)
        for field in ("num_steps", "decay_every", "num_restarts"):
            check_count(self, field, 1)
        check_factor(self, "step_decay")
        check_choice(self, "step", STEPS)
        check_choice(self, "gradient", get_args(GradientScale))
        check_choice(self, "box", get_args(Box))
        check_choice(self, "reflection", get_args(Reflection))
        check_choice(self, "keep", get_args(Keep))

    def fields_without_effect(self) -> Mapping[str, str]:
        """All that shape several steps, where the attack is one step of the radius."""
        of_steps = (
            "num_steps", "step_size", "step_decay", "decay_every", "step", "random_start", "num_restarts", "keep",
        )  # fmt: skip
        return dict.fromkeys(of_steps, "attack") if self.attack == "fgsm" else {}

    @property
    def settings(self) -> AttackSettings:
        """The attack, in the units of the inputs."""
        common = AttackSettings(
            radius=self.radius,
            norm="l2" if self.attack == "pgd_l2" else "linf",
            step_size=self.radius,
            loss=self.loss if self.loss == "cross_entropy" else self.reflection,
            gradient=self.gradient,
            box=None if self.box == "none" else (0.0, 1.0),
            keep="last",
        )
        if self.attack == "fgsm":
            return common
        return replace(
            common,
            step_size=self.step_size,
            num_steps=self.num_steps,
            step="sign" if self.attack == "bim" else self.step,
            step_decay=self.step_decay,
            decay_every=self.decay_every,
            random_start=self.random_start,
            num_restarts=self.num_restarts if self.random_start else 1,
            keep=self.keep,
        )

    def attach(self, network: nn.Module, context: Context) -> Hooks:
        """The hooks that attack every batch; none at radius 0."""
        if self.radius == 0:
            return self
        if context.input_space is None:
            raise ValueError(f"{type(self).__name__} needs the units of the inputs, got none: see Context.input_space.")
        return Attacker(self.settings, context.input_space, context.streams, context.generator("starts"))


class Attacker(Hooks):
    """Hooks that replace every batch of one training by adversarial examples."""

    def __init__(
        self, settings: AttackSettings, space: InputSpace, streams: Streams, generator: torch.Generator
    ) -> None:
        self._settings, self._space, self._streams, self._generator = settings, space, streams, generator

    def state(self) -> State:
        """The state of the generator of random starts; the training saves the streams of masks."""
        return {"generator": self._generator.get_state()}

    def restore(self, state: State) -> None:
        """Set the state of the generator of random starts."""
        self._generator.set_state(state["generator"].cpu())

    def transform_batch(self, batch: Batch, step: Step) -> Batch:
        """The batch with attacked inputs."""
        with self._streams.aside():
            points = attack(
                step.network,
                self._space.natural(batch.inputs),
                batch.targets.argmax(1),
                self._settings,
                generator=self._generator,
                gradients=natural_gradients(step.network, self._space, step.gradients),
            )
        return Batch(self._space.seen(points), batch.targets)
