"""Masks and noise for GPUs, where launching a kernel takes time: per site, one or two kernels forward, one backward.

`choice` decides where they are used. Elsewhere the portable form runs (`tasks.regularizers.parts.masking` and
`.distortion`), which is also the reference in tests. Regularizers call the functions of `masks`; these use the torch
operators of `operators`, whose Triton code is in `kernels`.
"""
