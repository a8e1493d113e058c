"""Keep rates that make structured dropout comparable across widths, and with and without overlapping blocks.

Source: Pal, Lane, Vidal and Haeffele 2020, eq. 7 and section 5.3.
"""

import math
from typing import Literal

from tasks.theory.checks import require_block_size, require_count, require_keep_rate


def adaptive_keep_rate(keep_bar: float, block_size: int, width: int) -> float:
    """Keep rate at which a layer of a given width is regularized as strongly as one block at the rate `keep_bar`.

    Formula:
        theta(d) = tb r / (tb r + (1 - tb) d), so that (1 - theta(d)) / theta(d) = (d / r) (1 - tb) / tb.

    Args:
        keep_bar: tb in (0, 1].
        block_size: r >= 1, a divisor of the width.
        width: d >= 1.

    Returns:
        theta(d) in (0, 1].

    Source:
        Eq. 7. Not to be confused with `inverse_adaptive_keep_rate`, which goes from theta(d) to tb.

    Raises:
        ValueError: if keep_bar lies outside (0, 1], or block_size does not divide the width.

    Example:
        >>> adaptive_keep_rate(0.5, block_size=1, width=4)
        0.2
    """
    require_keep_rate("keep_bar", keep_bar)
    require_block_size(block_size, width)
    return keep_bar * block_size / (keep_bar * block_size + (1 - keep_bar) * width)


def inverse_adaptive_keep_rate(keep: float, block_size: int, width: int) -> float:
    """Keep rate of a single block that regularizes as strongly as `keep` does at the given width.

    Formula:
        tb = theta d / (theta d + (1 - theta) r); beta = (1 - tb) / tb = (r / d) (1 - theta) / theta is the strength
        of the convex problem that `dropblock_global_minimum` solves.

    Args:
        keep: theta in (0, 1].
        block_size: r >= 1, a divisor of the width.
        width: d >= 1.

    Returns:
        tb in (0, 1].

    Source:
        Eq. 7, solved for tb.

    Raises:
        ValueError: if keep lies outside (0, 1], or block_size does not divide the width.

    Example:
        >>> inverse_adaptive_keep_rate(0.2, block_size=1, width=4)
        0.5
    """
    require_keep_rate("keep", keep)
    require_block_size(block_size, width)
    return keep * width / (keep * width + (1 - keep) * block_size)


def equal_rate_keep(keep: float, block_size: int, variant: Literal["exact", "printed"] = "exact") -> float:
    """Keep rate of the seeds for which overlapping DropBlock has the same keep rate per unit as non-overlapping blocks.

    Formula:
        exact: theta' = theta^(1/r): a unit is kept iff all r seeds whose windows cover it are 1.
        printed: theta' = 1 - (1 - theta)^(1 / (2r - 1)).

    Args:
        keep: theta in (0, 1], the keep rate of a unit.
        block_size: r >= 1, the length of a window. Windows may overhang the layer, so that each unit has r of them.
        variant: "exact", or "printed" for the paper's formula.

    Returns:
        theta' in (0, 1].

    Source:
        Section 5.3, corrected: the printed form is for units that are kept if any of 2r - 1 seeds is 1, the reverse of
        DropBlock (and it uses k, the number of blocks, for the window length); checked by enumerating all masks.

    Raises:
        ValueError: if keep lies outside (0, 1], block_size is not a positive integer, or the variant is unknown.

    Example:
        >>> equal_rate_keep(0.25, block_size=2)
        0.5
    """
    require_keep_rate("keep", keep)
    require_count("block_size", block_size)
    if variant not in ("exact", "printed"):
        raise ValueError(f"variant must be 'exact' or 'printed', got {variant!r}.")
    if variant == "printed":
        return -math.expm1(math.log1p(-keep) / (2 * block_size - 1)) if keep < 1 else 1.0
    return float(keep ** (1 / block_size))
