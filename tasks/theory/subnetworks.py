"""Accuracies of many sub-networks at once, which masks on the last hidden layer select.

Sub-networks share all layers below the mask. So the hidden layer is computed once, and the outputs of all sub-networks
are one matrix product with the stacked, masked output weights.

Source: Mianjy, PhD thesis (Johns Hopkins University), section 5.5; Mianjy and Arora 2020, section 6.
"""

import torch
from torch import Tensor

from tasks.theory.checks import (
    require_count,
    require_equal_sizes,
    require_finite,
    require_floating,
    require_keep_rate,
)

MAX_STACKED = 2**26  # entries of stacked weights at a time (256 MB in single precision)


def fixed_masks(num_masks: int, width: int, keep_rate: float, seed: int) -> Tensor:
    """Draw masks that stay fixed during a training.

    Formula:
        each entry is True with probability q, independently.

    Args:
        num_masks: >= 1. More masks do not change the first ones.
        width: m >= 1, units of the layer.
        keep_rate: q in (0, 1].
        seed: of the generator; derive it from the trial's seed and a name (`tasks.runtime.streams.stream_seed`).

    Returns:
        bool, shape (num_masks, m).

    Source:
        Section 5.5, figure 5-3 (100 masks, q = 0.2).

    Raises:
        ValueError: if a count is not a positive integer or the rate lies outside (0, 1].

    Example:
        >>> fixed_masks(3, 1000, 0.2, seed=0).sum(1)
        tensor([199, 209, 191])
    """
    require_count("num_masks", num_masks)
    require_count("width", width)
    require_keep_rate("keep_rate", keep_rate)
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.rand(width, generator=generator, dtype=torch.float64) < keep_rate for _ in range(num_masks)]
    return torch.stack(rows)


def subnetwork_accuracies(
    hidden: Tensor,
    output_weights: Tensor,
    masks: Tensor,
    labels: Tensor,
    output_bias: Tensor | None = None,
    keep_rate: float | None = None,
) -> Tensor:
    """Fraction of examples that each sub-network classifies correctly.

    Formula:
        accuracy_k = (1 / n) #{i : argmax_c [sum_r U_cr b_kr h_ir / q + bias_c] = y_i}. For all k at once the scores are
        H [U diag(b_1); ..; U diag(b_M)]' / q. Without a bias q changes nothing.

    Args:
        hidden: H, values of the last hidden layer, shape (n, m).
        output_weights: U, as of `torch.nn.Linear`, shape (K, m).
        masks: b, bool, shape (M, m).
        labels: y, integers in 0..K-1, shape (n,).
        output_bias: shape (K,), or None.
        keep_rate: q in (0, 1], by which the scores are divided before the bias is added, as in training with inverted
            dropout; None: not divided.

    Returns:
        The accuracies, float64, shape (M,). For equal scores the first class is predicted.

    Source:
        Section 5.5, figures 5-2 and 5-3. The texts do not state the rescaling; checked by running each sub-network.

    Raises:
        ValueError: if shapes or types do not fit, a value is not finite, or the rate lies outside (0, 1].

    Example:
        >>> hidden, weights = torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> masks = torch.tensor([[True, True], [True, False]])
        >>> subnetwork_accuracies(hidden, weights, masks, torch.tensor([0, 1]))
        tensor([1.0000, 0.5000], dtype=torch.float64)
    """
    _require_layer(hidden, output_weights, masks, labels, output_bias)
    if keep_rate is not None:
        require_keep_rate("keep_rate", keep_rate)
    num_classes, width = output_weights.shape
    scaled = output_weights if keep_rate is None else output_weights / keep_rate
    accuracies = []
    for some in torch.split(masks, max(1, MAX_STACKED // (num_classes * width))):
        stacked = (scaled * some[:, None, :]).flatten(0, 1)
        scores = (hidden @ stacked.mT).view(len(hidden), len(some), num_classes)
        if output_bias is not None:
            scores = scores + output_bias
        accuracies.append((scores.argmax(-1) == labels[:, None]).double().mean(0))
    return torch.cat(accuracies)


def _require_layer(
    hidden: Tensor, output_weights: Tensor, masks: Tensor, labels: Tensor, output_bias: Tensor | None
) -> None:
    named = {"hidden": hidden, "output_weights": output_weights, "masks": masks}
    for name, matrix in named.items():
        if matrix.dim() != 2 or matrix.numel() == 0:
            raise ValueError(f"{name} must be a non-empty matrix, got shape {tuple(matrix.shape)}.")
    for name, value in (("hidden", hidden), ("output_weights", output_weights)):
        require_floating(name, value)
        require_finite(name, value)
    widths = (hidden.shape[1], output_weights.shape[1], masks.shape[1])
    require_equal_sizes("hidden, output_weights and masks must have one column for each hidden unit", widths)
    if masks.dtype != torch.bool:
        raise ValueError(f"masks must be boolean, got {masks.dtype}.")
    if labels.dim() != 1 or labels.is_floating_point():
        found = f"{labels.dtype} of shape {tuple(labels.shape)}"
        raise ValueError(f"labels must be a vector of integers, got {found}.")
    require_equal_sizes("labels must hold one class for each row of hidden", (len(labels), len(hidden)))
    if output_bias is not None:
        require_equal_sizes(
            "output_bias must hold one number for each class", (output_bias.numel(), len(output_weights))
        )
