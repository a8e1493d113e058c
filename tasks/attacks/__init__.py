"""Adversarial attacks: search for the perturbation of an input, within a set, that maximises a loss.

Nothing is imported here, so that `import tasks.attacks` stays free of torch. Import the module you need:

* `tasks.attacks.loss`: the logistic loss and its reflection on the margin, and margins of networks with many classes.
* `tasks.attacks.steps`: steps from gradients: the sign, the normalised gradient, or the raw gradient.
* `tasks.attacks.sets`: projections onto the l_inf ball, the l_2 ball and the box of valid inputs.
* `tasks.attacks.attack`: one loop for FGSM, BIM, PGD and their reflected forms.
* `tasks.attacks.natural_units`: attacks in grey levels on networks that take normalised images.
* `tasks.attacks.isolation`: keeps random numbers and batch statistics of a network unchanged by an attack.
* `tasks.attacks.presets`: the eight attacks of the thesis's table 6-I.
* `tasks.attacks.robust_error`: the fraction of samples that are classified wrongly under attack.
* `tasks.attacks.two_layer`: gradients of two-layer networks in closed form.
* `tasks.attacks.grid`: the exhaustive search over a grid of perturbations of three scores.

Source: Mianjy, PhD thesis (Johns Hopkins University), chapter 6.
"""
