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
    "b": (("hp.block_size", 1.0),),
    "p": (("hp.distortion_rate", 1.0), ("hp.drop_rate", 1.0)),
    "gamma": (("hp.step_size", 1.0),),
}
_FACTORS = {column: factor for columns in _SYMBOLS.values() for column, factor in columns}
_OFFICIAL = "official"  # mode of the released code of distortion, whose step lengths are in other units than gamma
_NUMBER = r"[-+]?\d*\.?\d+(?:e[-+]?\d+)?"
_CHOICE = re.compile(rf"{_NUMBER}|\{{{_NUMBER}(,{_NUMBER})*\}}")
_WORD = re.compile(r"[a-z]\w*")
_RANGE = re.compile(rf"\{{({_NUMBER})\.\.({_NUMBER})\}}")


def has_setting(rows: pd.DataFrame, setting: str) -> pd.Series:
    """Which rows were trained with a setting; none where a symbol is not ours, all where it is empty.

    A part is an equation ("m=10"), a choice ("p in {0.4,0.5,0.6}") or a range ("p in {0.01..0.10}", ends included).
    A symbol that no paper has is a field of ours ("step_size=5"), which may hold a word ("mode=official"). The h of the
    first model counts singular values of 2048, ours is their share; the h of 3x3 kernels counts as ours. Gamma is that
    of the text, which is in other units than the step length of the released code, unless the setting names a mode.

    >>> rows = pd.DataFrame({"hp.h_dense_fraction": [0.5, 1.0], "hp.m": [10, 10]})
    >>> has_setting(rows, "h=1024;m=10").tolist()
    [True, False]
    """
    matches = pd.Series(data=True, index=rows.index)
    parts = parts_of(setting)
    for symbol, allowed in parts.items():
        matches &= _fits(rows, symbol, allowed)
    if "gamma" in parts and "mode" not in parts and "hp.mode" in rows.columns:
        matches &= rows["hp.mode"].ne(_OFFICIAL)
    return matches


def as_printed(values: pd.Series) -> pd.Series:
    """A column as the papers print it, where they count in other units: h of dense layers in singular values of 2048.

    >>> as_printed(pd.Series([2000 / 2048, 1.0], name="hp.h_dense_fraction")).tolist()
    [2000.0, 2048.0]
    """
    return (values.astype(float) * _FACTORS.get(str(values.name), 1.0)).round(6)


def is_printed_otherwise(column: str) -> bool:
    """Whether the papers count it in other units than ours."""
    return _FACTORS.get(column, 1.0) != 1


def words_of(setting: str) -> str:
    """The parts of a setting that name a word rather than numbers.

    >>> words_of("p=0.05;mode=official")
    'mode=official'
    """
    return ";".join(f"{symbol}={allowed}" for symbol, allowed in parts_of(setting).items() if _WORD.fullmatch(allowed))


def parts_of(setting: str) -> dict[str, str]:
    """Each symbol of a setting with what it may be.

    >>> parts_of("h=500;p in {0.4,0.5}")
    {'h': '500', 'p': '{0.4,0.5}'}
    """
    pairs = (part.replace(" in ", "=").partition("=") for part in filter(None, setting.split(";")))
    return {symbol.strip(): allowed.strip() for symbol, _, allowed in pairs}


def _fits(rows: pd.DataFrame, symbol: str, allowed: str) -> pd.Series:
    found = pd.Series(data=False, index=rows.index)
    for column, factor in _SYMBOLS.get(symbol, ((f"hp.{symbol}", 1.0),)):
        if column in rows.columns and _WORD.fullmatch(allowed):
            found |= rows[column].eq(allowed).fillna(value=False).astype(bool)
        elif column in rows.columns:
            held = pd.to_numeric(rows[column], errors="coerce").astype(float).to_numpy() * factor
            found |= pd.Series(_allows(held, allowed), index=rows.index)
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


# Short names of hyperparameters in the papers: ours that may be meant, of which the one counts that was varied.
ALIASES = {f"hp.{symbol}": tuple(column for column, _ in columns) for symbol, columns in _SYMBOLS.items()}


def resolved(trials: pd.DataFrame, name: str) -> str:
    """The column that a name means here: itself where there is such, else that of its alias with the most values."""
    meant = [column for column in ALIASES.get(name, ()) if column in trials.columns and trials[column].notna().any()]
    return name if name in trials.columns or not meant else max(meant, key=lambda column: trials[column].nunique())
