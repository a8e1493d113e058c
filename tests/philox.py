"""The counter-based generator Philox, slow and obvious, and uniform numbers as Triton makes them of its words."""

from __future__ import annotations

import numpy as np


def philox(counter: list[int], key: int, rounds: int = 10) -> list[int]:
    """Philox 4x32 as published (Salmon et al. 2011, section 3.3)."""
    low, high = key & 0xFFFFFFFF, key >> 32
    a, b, c, d = counter
    for _ in range(rounds):
        first, second = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (
            (second >> 32) ^ b ^ low, second & 0xFFFFFFFF, (first >> 32) ^ d ^ high, first & 0xFFFFFFFF
        )  # fmt: skip
        low, high = (low + 0x9E3779B9) & 0xFFFFFFFF, (high + 0xBB67AE85) & 0xFFFFFFFF
    return [a, b, c, d]


def uniform(word: int) -> np.float32:
    """As Triton makes it of 32 bits: the magnitude of the signed number, times nearly 2^-31."""
    signed = word - 2**32 if word >= 2**31 else word
    return np.float32(4.6566127342e-10) * np.float32(-signed - 1 if signed < 0 else signed)
