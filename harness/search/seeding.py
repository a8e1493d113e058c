"""The seed of a trial, from its role and number: the same for every contestant, and fresh ones for confirm trials.

The n-th confirm trials of all contestants share a seed, hence the initial network and the order of the data, so that
differences between contestants can be tested in pairs.
"""

from __future__ import annotations

import hashlib

from harness.records import Role

SEEDS_PER_ROLE = 1_000
SEEDS_PER_CAMPAIGN = 10_000
MAX_CAMPAIGN_SEED = 2**31 - 1  # seeds of trials are 64-bit integers in the rows
_OFFSETS: dict[Role, int] = {"tune": 0, "default": 1_000, "confirm": 2_000, "timing": 3_000}


def trial_seed(campaign_seed: int, role: Role, index: int) -> int:
    """Seed of the `index`-th trial of a role; all trials of one study share index 0.

    Example:
        >>> trial_seed(0, "confirm", 2), trial_seed(1, "confirm", 2)
        (2002, 12002)
    """
    if not 0 <= index < SEEDS_PER_ROLE:
        raise ValueError(f"A role has seeds 0 to {SEEDS_PER_ROLE - 1}, got {index}.")
    return campaign_seed * SEEDS_PER_CAMPAIGN + _OFFSETS[role] + index


def study_seed(campaign_seed: int, task: str, regularizer: str) -> int:
    """Seed of the sampler of one cell's study: 31 bits from the campaign's seed and the cell's names."""
    digest = hashlib.sha256(f"{campaign_seed}/{task}/{regularizer}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
