"""Ties: which means are equal."""

from __future__ import annotations

import numpy as np

from analysis.rows.rounding import is_rounding


def without_rounding(means: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Means, with those that differ by rounding errors alone replaced by the smallest of them, along the last axis.

    The mean of accuracies k / n depends on how they are rounded and in which order they are added, so that equal sums
    of k may have different means. Neighbours in sorted order are tied if they differ by rounding errors of numbers of
    the larger of their sizes. Every table takes its ties from here, so that all of them have the same ones.

    Args:
        means: any shape; may be infinite or missing.
        sizes: the mean absolute value of the numbers that were averaged, in the same shape.

    >>> without_rounding(np.array([0.3, 0.1 + 0.2, 0.4]), np.array([0.3, 0.3, 0.4])).tolist()
    [0.3, 0.3, 0.4]
    """
    order = np.argsort(means, axis=-1, kind="stable")
    ordered, extents = (np.take_along_axis(each, order, axis=-1) for each in (means, sizes))
    with np.errstate(invalid="ignore"):
        gaps = np.diff(ordered, axis=-1)
    apart = ~(np.isfinite(gaps) & is_rounding(gaps, np.maximum(extents[..., 1:], extents[..., :-1])))
    places = np.arange(means.shape[-1])
    starts = np.concatenate([np.zeros((*apart.shape[:-1], 1), dtype=bool), apart], axis=-1) * places
    first = np.maximum.accumulate(starts, axis=-1)
    result = np.empty_like(means)
    np.put_along_axis(result, order, np.take_along_axis(ordered, first, axis=-1), axis=-1)
    return result
