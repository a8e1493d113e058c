"""A setting as the papers print it ("lambda=0.1;h=2000;m=10"): which of our rows were trained with it."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

# The paper's symbol: the columns that may hold it, each with the factor from ours to the paper's.
_SYMBOLS: dict[str, tuple[tuple[str, float], ...]] = {
    "lambda": (("hp.lam", 1.0),),
    "m": (("hp.m", 1.0),),
    "h": (("hp.h_dense_fraction", 2048.0), ("hp.h_conv", 1.0)),
    "block": (("hp.block_size", 1.0),),
    "p": (("hp.drop_rate", 1.0), ("hp.distortion_rate", 1.0)),
    "gamma": (("hp.step_size", 1.0),),
}
_OFFICIAL = "official"  # mode of the released code of distortion, whose step lengths are in other units than gamma
_NUMBER = r"[-+]?\d*\.?\d+(?:e[-+]?\d+)?"
_CHOICE = re.compile(rf"{_NUMBER}|\{{{_NUMBER}(,{_NUMBER})*\}}")
_RANGE = re.compile(rf"\{{({_NUMBER})\.\.({_NUMBER})\}}")


def has_setting(rows: pd.DataFrame, setting: str) -> pd.Series:
    """Which rows were trained with a setting; none where a symbol is not ours, all where it is empty.

    A part is an equation ("m=10"), a choice ("p in {0.4,0.5,0.6}") or a range ("p in {0.01..0.10}", ends included).
    A symbol that no paper has is a field of ours ("step_size=5"). The h of the first model counts singular values of
    2048, ours is their share; the h of 3x3 kernels counts as ours.

    >>> rows = pd.DataFrame({"hp.h_dense_fraction": [0.5, 1.0], "hp.m": [10, 10]})
    >>> has_setting(rows, "h=1024;m=10").tolist()
    [True, False]
    """
    matches = pd.Series(data=True, index=rows.index)
    for part in filter(None, setting.split(";")):
        symbol, _, allowed = part.replace(" in ", "=").partition("=")
        matches &= _fits(rows, symbol.strip(), allowed.strip())
    return matches


def _fits(rows: pd.DataFrame, symbol: str, allowed: str) -> pd.Series:
    found = pd.Series(data=False, index=rows.index)
    for column, factor in _SYMBOLS.get(symbol, ((f"hp.{symbol}", 1.0),)):
        if column in rows.columns:
            held = pd.to_numeric(rows[column], errors="coerce").astype(float).to_numpy() * factor
            found |= pd.Series(_allows(held, allowed), index=rows.index)
    if symbol == "gamma" and "hp.mode" in rows.columns:
        found &= rows["hp.mode"].ne(_OFFICIAL)
    return found


def _allows(held: np.ndarray, allowed: str) -> list[bool]:
    span = _RANGE.fullmatch(allowed)
    if span:
        low, high = map(float, span.groups())
        return [bool(low - 1e-9 < value < high + 1e-9) for value in held]
    if not _CHOICE.fullmatch(allowed):
        return [False] * len(held)
    wanted = [float(number) for number in re.findall(_NUMBER, allowed)]
    return [bool(fits) for fits in np.isclose(held[:, None], wanted).any(axis=1)]
