"""Masks and noise for GPUs, where launching a kernel takes time: per site, one or two kernels in each direction.

`choice` decides where they are used. Elsewhere the portable form runs (in `tasks.regularizers.parts`, or in the module
of the regularizer), which is also the reference in tests. Regularizers call differentiable functions; these use torch
operators, whose Triton code is in modules of kernels:

* `masks`, `operators`, `kernels`: masks and noise of given rates;
* `learned`, `learned_operators`, `learned_kernels`: noise whose size is learned, with its divergence from a prior;
* `weights`, `weight_operators`, `weight_kernels`: likewise on weights, drawn at the outputs of their layer;
* `norms`, `norm_kernels`: products of norms over all layers.
"""
