"""The eight attacks of the thesis's table 6-I, with settings that reproduce its row of the standard model.

The thesis does not state the number of steps, whether steps are raw, the scale of the gradient and the box. These
settings give the row of the standard model within the spread over seeds (thesis: .236 .286 .033 .286 .003 .256 for
FGSM, BIM, PGD, reflected PGD, PGD-2, reflected PGD-2); others do not. More than 20 steps change nothing.

Source: Mianjy, PhD thesis (Johns Hopkins University), section 6.5.2: radius .1 for l_inf and 2 for l_2, step size 10
that shrinks by .2 every 10 steps. Gradient and box as in the code of the "Adversarial ML Tutorial" that it follows.
"""

from __future__ import annotations

from dataclasses import replace

from tasks.attacks.attack import AttackSettings

_ITERATED = AttackSettings(radius=0.1, step_size=10.0, num_steps=40, step_decay=0.2, decay_every=10)
_PLAIN = {
    "fgsm": AttackSettings(radius=0.1, step_size=0.1, keep="last"),  # by definition the point after the step
    "bim": _ITERATED,
    "pgd": replace(_ITERATED, step="raw"),
    "pgd_l2": replace(_ITERATED, step="raw", norm="l2", radius=2.0, gradient="batch_mean", box=(0.0, 1.0)),
}
# For two classes all reflected losses are the same; `margin` is the cheapest.
TABLE_6_I: dict[str, AttackSettings] = _PLAIN | {
    f"reflected_{name}": replace(settings, loss="margin") for name, settings in _PLAIN.items()
}
