"""Masks and noise in one or two kernels a site and direction, for GPUs, where each kernel takes time to launch.

`choice` decides where they are used; elsewhere the portable form runs (`tasks.regularizers.parts.masking`,
`.distortion`), which is also the reference. `operators` are torch's operators, `kernels` their code in Triton, `masks`
what regularizers call.
"""
