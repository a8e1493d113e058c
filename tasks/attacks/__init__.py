"""Adversarial attacks: search for the perturbation of an input, within a set, that a network classifies worst.

Nothing is imported here, so that `import tasks.attacks` stays free of torch. Import the module you need:

* `tasks.attacks.loss`: the logistic loss and its reflection on the margin, and margins of networks with many classes.
* `tasks.attacks.steps`: what a step makes of a gradient: its sign, its direction, or the gradient as it is.
* `tasks.attacks.sets`: projections onto the l_inf ball, the l_2 ball and the box of valid inputs.
* `tasks.attacks.attack`: one loop for FGSM, BIM, PGD and their reflected forms.
* `tasks.attacks.natural_units`: attacks in grey levels on networks that see normalised images.
* `tasks.attacks.isolation`: what keeps an attack from disturbing the network that it attacks.
* `tasks.attacks.presets`: the eight attacks of the thesis's table 6-I.
* `tasks.attacks.robust_error`: the share of samples that attacks make a network classify wrongly.
* `tasks.attacks.two_layer`: gradients of two-layer networks in closed form.
* `tasks.attacks.grid`: the exhaustive search over a grid of perturbations of three scores.

Source: Mianjy, PhD thesis (Johns Hopkins University), chapter 6.
"""
