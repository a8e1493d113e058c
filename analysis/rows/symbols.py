"""Settings in the papers' notation ("lambda=0.1;h=2000;m=10"), and the rows that were trained with them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

# The paper's symbol: the columns that may hold it, each with the factor that converts our value to the paper's unit.
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
    """A boolean series: which rows were trained with a setting. All rows match the empty setting.

    A setting is a list of parts joined by ";". A part is an equation ("m=10"), a choice ("p in {0.4,0.5,0.6}") or a
    range ("p in {0.01..0.10}", ends included). A symbol that is not in `_SYMBOLS` is the name of a hyperparameter
    ("step_size=5"), whose value may be a word ("mode=official"). No row matches a symbol that no column holds.

    For dense layers, h counts singular values out of 2048, while `hp.h_dense_fraction` is their fraction; for 3x3
    kernels the two agree. Gamma is the step length of the paper's text. The released code measures it in other units,
    so rows of that mode match only if the setting names the mode.

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
    """A column in the unit of the papers: h of dense layers as a number of singular values out of 2048.

    >>> as_printed(pd.Series([2000 / 2048, 1.0], name="hp.h_dense_fraction")).tolist()
    [2000.0, 2048.0]
    """
    return (values.astype(float) * _FACTORS.get(str(values.name), 1.0)).round(6)


def is_printed_otherwise(column: str) -> bool:
    """Whether the papers print this column in another unit than ours."""
    return _FACTORS.get(column, 1.0) != 1


def words_of(setting: str) -> str:
    """The parts of a setting whose value is a word, not a number.

    >>> words_of("p=0.05;mode=official")
    'mode=official'
    """
    return ";".join(f"{symbol}={allowed}" for symbol, allowed in parts_of(setting).items() if _WORD.fullmatch(allowed))


def parts_of(setting: str) -> dict[str, str]:
    """Each symbol of a setting with its allowed values, as text.

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


# The papers' short names of hyperparameters, each with the columns that it may mean; `resolved` chooses among them.
ALIASES = {f"hp.{symbol}": tuple(column for column, _ in columns) for symbol, columns in _SYMBOLS.items()}


def resolved(trials: pd.DataFrame, name: str) -> str:
    """The column that a name means: itself if there is one, else that of `ALIASES` with the most distinct values."""
    meant = [column for column in ALIASES.get(name, ()) if column in trials.columns and trials[column].notna().any()]
    return name if name in trials.columns or not meant else max(meant, key=lambda column: trials[column].nunique())
